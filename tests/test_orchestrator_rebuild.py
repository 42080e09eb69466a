"""results.db is an index: made again from the files, compared with them, of older versions,
damaged, written by many.
"""

import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from byol_core.files import RecordLog, write_json
from orchestrator.database import schema
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database, writing
from orchestrator.database.digests import digests
from orchestrator.database.rebuild import rebuild, verify
from orchestrator.database.write_rows import Writer
from orchestrator.errors import OldSchemaError, StoreError
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

ORIGIN = {"commit": "c", "dirty": False, "versions": {"torch": "2"}}


def finish(run, steps=4, metrics=("loss", "std_sqrt_d")):
    """Write what a worker would have written, without training."""
    attempt = run.attempt(1)
    attempt.path.mkdir(parents=True)
    job = {"executor": "local", "job_id": None, "device": "cpu"}
    write_json(
        attempt.claim,
        {
            "process": {"host": "h", "boot_id": "b", "pid": 1, "started": 1},
            "job": job,
            "claimed_at": 1.0,
        },
    )
    with RecordLog(attempt.events) as log:
        log.append(
            {
                "t": 1.0,
                "type": "start",
                "step": 0,
                "total_steps": steps,
                "exact": True,
                "origin": ORIGIN,
            }
        )
        for step in range(steps):
            values = {name: step + 0.5 if name != "loss" else float("nan") for name in metrics}
            log.append(
                {
                    "t": 2.0,
                    "type": "metrics",
                    "step": step,
                    "epoch": 0,
                    "metrics": values,
                    "images_per_s": 10.0,
                }
            )
        log.append({"t": 3.0, "type": "end", "state": "COMPLETED", "reason": "ok"})
    write_json(
        attempt.done,
        {
            "outcome": "ok",
            "step": steps,
            "final": {"std_sqrt_d": 0.9},
            "wall_s": 1.0,
            "disk_bytes": 5,
        },
    )
    (run.path / "evaluations").mkdir()
    write_json(
        run.path / "evaluations" / "knn-v1.json",
        {"protocol": "knn", "version": 1, "online": {"accuracy": 0.5}},
    )
    for path in run.path.rglob("*"):
        os.utime(path, (1e9, 1e9))  # long ago: what changed just now is always looked at again


@pytest.fixture
def root(tmp_path, spec_file):
    return finished_root(tmp_path / "root", spec_file())


def finished_root(path, spec):
    root = Root(path)
    root.create()
    write_plan(make_plan(load_sweep(spec), root, Selection(), Queue()), root)
    for run in root.runs():
        finish(run)
    return root


@pytest.fixture
def db(tmp_path):
    return str(tmp_path / "results.db")


def content(db):
    engine = open_database(db)
    with engine.connect() as connection:
        return digests(connection)


def change(db, statement):
    with writing(open_database(db)) as connection:
        connection.execute(text(statement))


def test_a_rebuilt_database_holds_what_the_collected_one_held(root, db):
    collect(root, open_database(db), Queue())
    before = content(db)
    assert len(before) == 5
    done = rebuild(db, root, Queue())
    assert content(db) == before and done.runs == 4 and done.kept is None and done.missing == []
    assert verify(db, root, Queue()) == (5, [])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE points SET value = value + 1e-12 WHERE step = 2 AND value IS NOT NULL",
        "UPDATE points SET non_finite = 'inf' WHERE non_finite = 'nan'",
        "DELETE FROM points WHERE step = 1",
        "UPDATE runs SET outcome = 'diverged'",
        "UPDATE evaluations SET value = 0.51",
        "DELETE FROM summaries",
        "UPDATE attempts SET job_id = '7'",
        "UPDATE variants SET overrides = '{}'",
        "DELETE FROM runs WHERE run_number = 1",
    ],
)
def test_verify_finds_any_change_and_rebuild_mends_it(root, db, statement):
    collect(root, open_database(db), Queue())
    before = content(db)
    change(db, statement)
    _, differences = verify(db, root, Queue())
    healed_by_collecting = statement.startswith(
        "DELETE FROM runs"
    )  # a run that is unknown is collected again at once
    assert bool(differences) is not healed_by_collecting
    rebuild(db, root, Queue())
    assert content(db) == before and verify(db, root, Queue())[1] == []


def test_verify_names_the_runs_that_only_one_side_knows(root, db):
    collect(root, open_database(db), Queue())
    change(
        db,
        "UPDATE runs SET run_id = 'f' || substr(run_id, 2), root = '/elsewhere' WHERE run_number = 1",
    )
    _, differences = verify(db, root, Queue())
    # The database's own copy of a run on another root cannot be compared with files that are not there.
    assert [one.kind for one in differences] == ["only in the database"]


def test_a_rebuild_that_dies_changes_nothing_and_readers_see_the_old_content_until_it_ends(
    root, db, monkeypatch
):
    collect(root, open_database(db), Queue())
    before = content(db)

    def die(self, runs):
        assert content(db) == before  # another connection, in the middle of the rebuild
        raise RuntimeError("killed")

    monkeypatch.setattr(Writer, "write", die)
    with pytest.raises(RuntimeError):
        rebuild(db, root, Queue())
    assert content(db) == before


def old_version(db, root, run_id="0" * 64):
    connection = sqlite3.connect(db)
    connection.executescript(
        f"""CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
        INSERT INTO meta VALUES ('schema_version', '1');
        CREATE TABLE runs (id INTEGER PRIMARY KEY, run_id TEXT, root TEXT, accuracy REAL);
        CREATE TABLE of_somebody_else (id INTEGER PRIMARY KEY, run REFERENCES runs (id));
        INSERT INTO runs VALUES (1, '{run_id}', '{root.path}', 0.25);
        INSERT INTO of_somebody_else VALUES (1, 1);"""
    )
    connection.commit()
    connection.close()


def test_an_older_version_is_made_again_and_its_copy_kept_where_run_files_are_missing(
    root, db, sweep, tmp_path
):
    old_version(db, root)
    with pytest.raises(OldSchemaError, match="sweep rebuild"):
        open_database(db)
    done = sweep("--root", root.path, "--db", db, "status", check=0)
    assert (
        "made by an older version" in done.stderr
        and "1 runs whose folders are missing" in done.stderr
    )
    assert "tiny" in done.stdout
    (kept,) = tmp_path.glob("results.db.before-rebuild-*")
    assert sqlite3.connect(kept).execute("SELECT run_id, accuracy FROM runs").fetchall() == [
        ("0" * 64, 0.25)
    ]
    assert verify(db, root, Queue()) == (5, [])


def test_an_older_version_that_knows_nothing_more_is_made_again_without_a_copy(root, db, tmp_path):
    old_version(db, root, root.runs()[0].run_id)
    assert rebuild(db, root, Queue()).kept is None
    assert verify(db, root, Queue()) == (5, []) and [*tmp_path.glob("results.db.*")] == []
    with open_database(db).connect() as connection:
        assert connection.execute(text("SELECT run FROM of_somebody_else")).scalar_one() == 1


def test_a_newer_version_is_refused_and_left_alone(root, db, sweep):
    open_database(db)
    change(db, "UPDATE meta SET value = '99'")
    done = sweep("--root", root.path, "--db", db, "status", check=1)
    assert "schema version 99" in done.stderr and "Traceback" not in done.stderr
    assert sqlite3.connect(db).execute("SELECT value FROM meta").fetchall() == [("99",)]


def test_a_damaged_database_is_moved_away_and_made_again(root, db, sweep, tmp_path):
    collect(root, open_database(db), Queue())
    before = content(db)
    connection = sqlite3.connect(db)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = (tmp_path / "results.db").read_bytes()
    (tmp_path / "results.db").write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    broken = sweep("--root", root.path, "--db", db, "status")
    assert broken.returncode == 1 and "Traceback" not in broken.stderr
    done = sweep("--root", root.path, "--db", db, "rebuild", check=0)
    assert "kept as results.db.damaged-" in done.stdout and content(db) == before
    assert len([*tmp_path.glob("results.db.damaged-*[0-9]")]) == 1


def test_a_file_that_is_no_database_is_not_moved(root, tmp_path):
    (tmp_path / "notes.txt").write_text("do not lose me\n" * 9)
    with pytest.raises(StoreError, match="is no SQLite database"):
        rebuild(str(tmp_path / "notes.txt"), root, Queue())
    assert (tmp_path / "notes.txt").read_text().startswith("do not")


def test_a_rebuild_from_one_root_keeps_the_runs_of_the_others(root, db, tmp_path, spec_file):
    other = finished_root(
        tmp_path / "other",
        spec_file(("name: tiny", "name: second"), ("seeds: [0, 1]", "seeds: [5]")),
    )
    for one in (root, other):
        collect(one, open_database(db), Queue())
    before = content(db)
    rebuild(db, root, Queue())
    assert content(db) == before and len(before) == 4 + 2 + 2
    shutil.rmtree(other.path)
    done = rebuild(db, root, Queue())
    assert done.runs == 4 and len(done.missing) == 2 and done.kept is not None


def test_many_openers_of_a_new_database_make_it_once(db):
    with ThreadPoolExecutor(8) as pool:
        for engine in pool.map(lambda _: open_database(db), range(8)):
            engine.dispose()
    with open_database(db).connect() as connection:
        assert connection.execute(select(schema.meta)).all() == [
            ("schema_version", str(schema.VERSION))
        ]


def test_collectors_of_two_roots_share_one_database(root, db, tmp_path, spec_file):
    other = finished_root(
        tmp_path / "other",
        spec_file(("name: tiny", "name: second"), ("seeds: [0, 1]", "seeds: [5]")),
    )
    with ThreadPoolExecutor(2) as pool:
        damaged = list(
            pool.map(lambda one: collect(one, open_database(db), Queue(), wait=True), [root, other])
        )
    assert damaged == [[], []] and verify(db, root, Queue())[1] == []


def test_a_log_whose_end_shows_up_after_the_result_is_still_read(root, db):
    """A shared file system may show done.json before the last lines of events.jsonl, and its folder
    does not change then.
    """
    run = root.runs()[0]
    whole = run.attempt(1).events.read_bytes()
    run.attempt(1).events.write_bytes(whole[: len(whole) // 2])
    engine = open_database(db)
    collect(root, engine, Queue())
    run.attempt(1).events.write_bytes(whole)
    collect(root, engine, Queue())
    assert verify(db, root, Queue()) == (5, [])


def test_the_commands_say_what_they_did(root, db, sweep):
    places = ("--root", root.path, "--db", db)
    assert "made" in sweep(*places, "rebuild", check=0).stdout
    same = sweep(*places, "rebuild", "--verify", check=0)
    assert "hold the same: 5 runs and sweeps" in same.stdout
    change(db, "UPDATE evaluations SET value = 0.1")
    other = sweep(*places, "rebuild", "--verify")
    assert (
        other.returncode == 1
        and "4 of 5 runs and sweeps differ" in other.stdout
        and "sweep rebuild" in other.stdout
    )


def test_records_repeated_in_a_new_segment_count_once(root, db):
    """After an I/O error a log begins a new segment with the records that may be lost, some of
    which are not.
    """
    engine = open_database(db)
    collect(root, engine, Queue())
    events = root.runs()[0].attempt(1).events
    events.with_name("events.jsonl.1").write_bytes(
        b"".join(events.read_bytes().splitlines(keepends=True)[2:])
    )
    os.utime(root.runs()[0].attempt(1).done)  # of a finished run, nothing else is looked at
    collect(root, engine, Queue())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM points")).scalar_one() == 4 * 4 * 3
        assert (
            connection.execute(text("SELECT max(events_segment) FROM attempts")).scalar_one() == 1
        )
    assert verify(db, root, Queue())[1] == []
