"""Commands that look go on where they may not write, or another program holds the database."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from orchestrator.cli import context
from orchestrator.cli.context import Places, collected
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.database.rebuild import verify
from orchestrator.database.roots import last_pass
from orchestrator.status.sweep_status import sweep_statuses
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root


@pytest.fixture
def places(root, tmp_path, monkeypatch):
    """A planned sweep and its database, which is not waited for longer than a moment."""
    monkeypatch.setattr(context, "_SILENT_S", 0.1)
    monkeypatch.setattr(context, "_PATIENT_S", 0.1)
    places = Places(root, str(tmp_path / "results.db"))
    collected(places).dispose()
    return places


def collected_at(places, moment):
    """Set the time of the last collect."""
    with sqlite3.connect(places.db) as connection:
        where = f"key = 'collected {places.root.path.resolve()}'"
        connection.execute(f"UPDATE meta SET value = '{moment}' WHERE {where}")


def test_a_database_that_is_being_written_is_shown_as_of_the_last_collect(places, capsys):
    moment = time.time() - 3600
    collected_at(places, moment)
    other = sqlite3.connect(places.db)
    other.execute("BEGIN EXCLUSIVE")
    started_s = time.monotonic()
    assert len(sweep_statuses(collected(places), None)[0].runs) == 4
    assert time.monotonic() - started_s < 1.5

    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("waiting for ") and "another program is writing" in lines[0]
    assert "shown as of " in lines[1]  # with the day before the hour, in the hour after midnight
    assert lines[1].endswith(time.strftime("%H:%M", time.localtime(moment)))
    assert len(lines) == 2
    other.rollback()
    collected(places)
    assert capsys.readouterr().err == ""
    assert time.time() - last_pass(open_database(places.db), places.root) < 60


def test_a_database_that_cannot_even_be_read_is_one_error_after_the_wait(places, capsys):
    with sqlite3.connect(places.db) as other:
        other.execute("PRAGMA journal_mode=DELETE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(context.StoreError, match=r"another program holds it .*; try again"):
        collected(places)
    assert capsys.readouterr().err.count("waiting for") == 1


def test_a_collector_of_ours_at_work_is_no_news(places, capsys):
    with (places.root.path / "collector.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        collected(places)
    assert capsys.readouterr().err == ""


AS_NOBODY = """
import contextlib, io, os, pwd, sys
from orchestrator.cli.main import app
os.environ["HOME"] = os.environ["MPLCONFIGDIR"] = "/tmp"
# Once as the owner, so that all modules are loaded: another user may not reach them.
for line in sys.argv[2:]:
    with contextlib.redirect_stdout(io.StringIO()):
        app(line.replace(sys.argv[1], sys.argv[1] + "-copy").split(), standalone_mode=False)
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(pwd.getpwnam("nobody").pw_gid)
    os.setuid(pwd.getpwnam("nobody").pw_uid)
for line in sys.argv[2:]:
    words, errors = line.split(), io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()) as out:
        app(words, standalone_mode=False)
    lines = [text for text in errors.getvalue().splitlines()]
    print(words[4], len(lines), len(out.getvalue()) > 20, *lines)
"""


def test_every_command_that_looks_reads_what_it_may_not_write(places, tmp_path):
    shutil.copy(places.db, f"{places.db}-copy")
    below_tmp = [folder for folder in [tmp_path, *tmp_path.parents] if "pytest-" in str(folder)]
    for folder in below_tmp:
        folder.chmod(0o755)
    for path in [*places.root.path.rglob("*"), places.root.path, tmp_path / "results.db"]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid():
        tmp_path.chmod(0o555)
    first, second = [run.run_id for run in places.root.runs()][:2]
    commands = ["status", "report --table mlp_norm", f"show {first}", f"diff {first} {second}"]
    commands += [f"logs {first}", "export --out /tmp/EXPORT"]
    out = tmp_path.parent / f"{tmp_path.name}-out"
    out.mkdir()
    out.chmod(0o777)
    try:
        lines = [
            f"--root {places.root.path} --db {places.db} {words}".replace("/tmp/EXPORT", str(out))
            for words in commands
        ]
        code = [sys.executable, "-c", AS_NOBODY, places.db, *lines]
        done = subprocess.run(code, capture_output=True, text=True, cwd="/", timeout=60)
    finally:
        for path in [tmp_path, *tmp_path.rglob("*")]:
            path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    shown = [line.split(maxsplit=3) for line in done.stdout.splitlines()]
    assert [line[0] for line in shown] == ["status", "report", "show", "diff", "logs", "export"]
    for name, count, has_output, *rest in shown:
        expected = "1" if name in ("status", "report", "export") else "0"
        assert count == expected and has_output == "True", (name, rest)
        assert not rest or "results.db cannot be written; shown as of " in rest[0]


def test_a_root_that_cannot_be_written_is_collected_into_a_database_that_can(root, tmp_path):
    (root.path / "collector.lock").unlink(missing_ok=True)
    engine = open_database(str(tmp_path / "mine.db"))
    real_open = os.open

    def read_only(path, flags, *arguments, **options):
        if flags & (os.O_CREAT | os.O_RDWR | os.O_WRONLY):
            raise OSError(30, "Read-only file system", str(path))
        return real_open(path, flags, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.open", read_only)
        assert collect(root, engine, Queue()) == []
    assert len(sweep_statuses(engine, None)[0].runs) == 4


def test_a_root_behind_a_link_is_the_same_root(places, tmp_path):
    link = Root(tmp_path / "link")
    link.path.symlink_to(places.root.path)
    assert verify(places.db, link, Queue()) == (5, [])
    with sqlite3.connect(places.db) as connection:
        # As an earlier version recorded it, which was called by the link.
        connection.execute(f"UPDATE runs SET root = '{link.path}'")
        connection.execute(f"UPDATE sweeps SET root = '{link.path}'")
    assert verify(places.db, link, Queue()) == (5, [])
    assert verify(places.db, places.root, Queue()) == (5, [])
    assert len(sweep_statuses(open_database(places.db), None)[0].runs) == 4


def test_of_two_links_that_swap_nothing_is_lost(places, tmp_path):
    link = Root(tmp_path / "link")
    link.path.symlink_to(places.root.path)
    engine = open_database(places.db)
    for root in (link, places.root, link):
        assert collect(root, engine, Queue()) == []
        assert len(sweep_statuses(engine, None)[0].runs) == 4


def test_the_first_collector_of_a_database_is_waited_for(root, tmp_path, capsys):
    """As after `rm results.db`, when two look at once: neither sees an empty database."""
    descriptor = os.open(root.path / "collector.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    release = threading.Timer(0.5, os.close, [descriptor])
    release.start()
    engine = collected(Places(root, str(tmp_path / "results.db")))
    release.join()
    assert [status.label for status in sweep_statuses(engine)] == ["tiny"]
    assert capsys.readouterr().err.startswith("waiting for ")
