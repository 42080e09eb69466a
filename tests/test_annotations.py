"""What people say of runs and sweeps: files that two may write at once, rows in the database, runs
that tables leave out, sweeps that are forgotten.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from byol_core.files import write_json
from orchestrator.database import schema
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.database.rebuild import rebuild, verify
from orchestrator.errors import StoreError, UsageError
from orchestrator.store import annotations
from orchestrator.store.annotations import Kind, annotate, read_annotations, read_remarks
from orchestrator.store.jobs import Queue


@pytest.fixture
def db(tmp_path):
    return open_database(str(tmp_path / "results.db"))


def stored(engine, table, *columns):
    with engine.connect() as connection:
        query = select(*(table.c[name] for name in columns)).order_by(*table.primary_key)
        return [tuple(row) for row in connection.execute(query)]


# Files


def test_what_is_taken_back_no_longer_counts_and_notes_stay(run):
    annotate(run.path, Kind.TAG, "camera-2")
    annotate(run.path, Kind.TAG, "keep")
    annotate(run.path, Kind.UNTAG, "camera-2")
    annotate(run.path, Kind.NOTE, "  the node\nwas  slow ")
    annotate(run.path, Kind.EXCLUDE, "wrong lens")
    assert read_remarks(run.path).excluded.text == "wrong lens"
    annotate(run.path, Kind.INCLUDE)
    remarks = read_remarks(run.path)
    assert remarks.tags == ("keep",) and remarks.excluded is None
    assert [note.text for note in remarks.notes] == ["the node was slow"]
    assert len(list((run.path / "annotations").iterdir())) == 6  # none is ever changed or deleted


def test_an_annotation_says_who_when_and_what_and_is_as_open_as_its_run(run):
    annotation = annotate(run.path, Kind.EXCLUDE, "wrong lens")
    file = run.path / "annotations" / annotation.file
    content = json.loads(file.read_text())
    assert set(content) == {"version", "kind", "text", "at", "by"} and content["version"] == 1
    assert abs(content["at"] - time.time()) < 60 and "@" not in content["by"]
    assert file.name.startswith(time.strftime("%Y%m%dT", time.gmtime(content["at"])))
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    run.path.chmod(0o2750)
    (run.path / "annotations").chmod(0o2750)
    shared = annotate(run.path, Kind.INCLUDE)
    assert (run.path / "annotations" / shared.file).stat().st_mode & 0o777 == 0o640


def test_a_later_word_counts_though_the_clock_was_set_back(run, monkeypatch):
    annotate(run.path, Kind.EXCLUDE, "first")
    monkeypatch.setattr(annotations.time, "time", lambda: 1_000_000_000.0)
    annotate(run.path, Kind.INCLUDE)
    assert read_remarks(run.path).excluded is None


AT_ONCE = """
import sys
from pathlib import Path
from orchestrator.store.annotations import Kind, annotate
sys.stdin.readline()
for number in range(25):
    annotate(Path(sys.argv[1]), Kind.NOTE, f"{sys.argv[2]} {number}")
"""


def test_two_processes_that_annotate_at_once_lose_nothing(run):
    command = [sys.executable, "-c", AT_ONCE, run.path]
    both = [
        subprocess.Popen([*command, who], stdin=subprocess.PIPE, text=True) for who in ("a", "b")
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda process: process.communicate("go\n", timeout=60), both))
    assert [process.returncode for process in both] == [0, 0]
    texts = [note.text for note in read_remarks(run.path).notes]
    assert sorted(texts) == sorted(f"{who} {n}" for who in "ab" for n in range(25))
    assert [text for text in texts if text.startswith("a")] == [f"a {n}" for n in range(25)]


DAMAGES = {
    "cut": b'{"version": 1, "kind": "excl',
    "empty": b"",
    "list": b"[3]",
    "other kind": b'{"version": 1, "kind": "exclde", "text": "x", "at": 5, "by": "me"}',
    "kind of a list": b'{"version": 1, "kind": ["note"], "text": "x", "at": 5, "by": "me"}',
    "no text": b'{"version": 1, "kind": "note", "at": 5, "by": "me"}',
    "half a character": b'{"version": 1, "kind": "note", "text": "\\ud800", "at": 5, "by": "me"}',
    "NUL": b'{"version": 1, "kind": "note", "text": "a\\u0000b", "at": 5, "by": "me"}',
    "no date": b'{"version": 1, "kind": "note", "text": "x", "at": 1e300, "by": "me"}',
    "before time": b'{"version": 1, "kind": "note", "text": "x", "at": -1, "by": "me"}',
    "a folder": None,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_annotation_sets_itself_alone_aside_by_name(root, run, db, damage):
    annotate(run.path, Kind.TAG, "good")
    bad = run.path / "annotations" / "20260101T000000.000000Z-00000000.json"
    if DAMAGES[damage] is None:
        bad.mkdir()
    else:
        bad.write_bytes(DAMAGES[damage])
    (bad.parent / ".half.json.1.tmp").write_bytes(b"{")
    for _ in range(2):  # named until it is mended
        [damaged] = collect(root, db, Queue())
        assert damaged.startswith(f"{bad}: this annotation does not count: ")
    assert stored(db, schema.annotations, "kind", "text") == [("tag", "good")]
    assert ("PLANNED", '["good"]') in stored(db, schema.runs, "state", "tags")


def test_a_damaged_annotation_of_a_sweep_leaves_the_sweep(root, db):
    folder = root.sweep("tiny").path
    annotate(folder, Kind.NOTE, "for the talk")
    (folder / "annotations" / "x.json").write_text("?")
    [damaged] = collect(root, db, Queue())
    assert "x.json: this annotation does not count" in damaged
    assert stored(db, schema.annotations, "text") == [("for the talk",)]


def test_annotations_that_are_no_folder_are_named(root, run, db):
    (run.path / "annotations").write_text("mine")
    [damaged] = collect(root, db, Queue())
    assert damaged.startswith(f"{run.path / 'annotations'}: this annotation does not count")


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (Kind.EXCLUDE, " \n", "its text is empty"),
        (Kind.TAG, "two words", "is no name of a tag"),
        (Kind.TAG, "a,b", "is no name of a tag"),
        (Kind.TAG, "x" * 65, "is no name of a tag"),
        (Kind.NOTE, "x" * 2001, "has 2001 characters"),
    ],
)
def test_texts_that_say_nothing_or_too_much_are_refused(run, kind, text, problem):
    with pytest.raises(UsageError, match=problem):
        annotate(run.path, kind, text)
    assert not (run.path / "annotations").exists()


def test_a_folder_that_cannot_be_written_is_one_error(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(annotations, "write_json", full)
    with pytest.raises(StoreError, match="No space left on device; nothing was changed"):
        annotate(run.path, Kind.NOTE, "x")
    assert read_annotations(run.path) == ([], [])


# The database


def test_the_collector_finds_annotations_by_the_folders_stamp(root, run, db):
    collect(root, db, Queue())
    old = time.time_ns() - 10**11

    # The first, in a run that nobody has begun.
    annotate(run.path, Kind.EXCLUDE, "wrong lens")
    os.utime(run.path / "annotations", ns=(old, old))
    collect(root, db, Queue())
    assert ("wrong lens", "[]") in stored(db, schema.runs, "excluded", "tags")

    # A later one: nothing but the time of the folder tells it.
    annotate(run.path, Kind.INCLUDE)
    annotate(run.path, Kind.TAG, "t")
    collect(root, db, Queue())
    assert (None, '["t"]') in stored(db, schema.runs, "excluded", "tags")
    kinds = stored(db, schema.annotations, "kind")
    assert kinds == [("exclude",), ("include",), ("tag",)]


def test_a_run_of_which_nothing_new_is_said_is_not_looked_at_again(root, run, db, monkeypatch):
    annotate(run.path, Kind.NOTE, "seen")
    old = time.time_ns() - 10**11
    os.utime(run.path / "annotations", ns=(old, old))
    collect(root, db, Queue())

    def read(*_):
        raise AssertionError("looked at again")

    monkeypatch.setattr("orchestrator.database.collect.read_run", read)
    collect(root, db, Queue())


def test_annotations_survive_a_rebuild_and_a_new_launch_and_verify_covers_them(
    root, run, db, tmp_path
):
    folder = root.sweep("tiny").path
    annotate(run.path, Kind.EXCLUDE, "wrong lens")
    annotate(folder, Kind.TAG, "paper")
    annotate(folder, Kind.FORGET, "an old try")
    old = time.time_ns() - 10**11
    os.utime(run.path / "annotations", ns=(old, old))
    collect(root, db, Queue())
    columns = ("file", "kind", "text", "at", "by")
    before = sorted(stored(db, schema.annotations, *columns))
    plan = root.sweep("tiny").read_plan()
    write_json(root.sweep("tiny").plan, {**plan, "launched_at": plan["launched_at"] + 1})
    collect(root, db, Queue())
    assert sorted(stored(db, schema.annotations, *columns)) == before

    address = str(tmp_path / "results.db")
    assert rebuild(address, root, Queue()).damaged == []
    assert sorted(stored(db, schema.annotations, *columns)) == before
    [(tags, forgotten_at)] = stored(db, schema.sweeps, "tags", "forgotten_at")
    assert tags == '["paper"]' and forgotten_at == max(row[3] for row in before)
    assert verify(address, root, Queue())[1] == []
    with db.begin() as connection:
        table = schema.annotations
        connection.execute(table.update().where(table.c.kind == "exclude").values(text="other"))
    assert [change.what for change in verify(address, root, Queue())[1]] == [f"run {run.run_id}"]


def test_a_damaged_run_keeps_what_is_said_of_it(root, run, db):
    annotate(run.path, Kind.EXCLUDE, "wrong lens")
    collect(root, db, Queue())
    (run.path / "attempts").write_text("no folder")
    collect(root, db, Queue())
    assert ("FAILED", "wrong lens") in stored(db, schema.runs, "state", "excluded")
