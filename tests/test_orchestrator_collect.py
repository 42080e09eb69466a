"""The collector: from run folders to rows, again and again, cut short anywhere, and never twice."""

import math
import os
import shutil
import time
from dataclasses import asdict, replace

import pytest
from conftest import SPEC
from sqlalchemy import func, select, text
from test_orchestrator_store import INLINE, go_on, stop_after

from analysis.render.json_table import as_json
from analysis.report import report
from analysis.results.connect import reading
from analysis.results.runs import read_runs, with_results
from byol_core.files import RecordLog, RecordReader, claim_folder, read_json, write_json
from orchestrator.database import schema
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.database.rebuild import verify
from orchestrator.errors import StoreError
from orchestrator.executors.worker import run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.machine.processes import this_process
from orchestrator.spec import load_sweep
from orchestrator.status.provenance import provenance
from orchestrator.status.show import run_details
from orchestrator.store.device import device_used
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State


@pytest.fixture
def db(tmp_path):
    return open_database(str(tmp_path / "results.db"))


def rows(engine, table):
    with engine.connect() as connection:
        return [
            tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
        ]


def dump(engine):
    """All rows, without the stamps, which say when somebody looked."""
    tables = [table for table in schema.metadata.tables.values() if table is not schema.meta]
    found = {table.name: rows(engine, table) for table in tables}
    stamp = schema.runs.columns.keys().index("stamp")
    return {**found, "runs": [row[:stamp] + row[stamp + 1 :] for row in found["runs"]]}


def claimed(run):
    """Return an attempt that this process has just begun."""
    attempt = run.attempt(1)
    claim = {"process": asdict(this_process()), "job": asdict(INLINE), "claimed_at": time.time()}
    assert claim_folder(attempt.path, attempt.claim.name, claim)
    return attempt


def measures(run):
    """How many numbers a logged step has: its metrics and the speed."""
    records = RecordReader(run.attempt(1).events)
    return 1 + len(next(one["metrics"] for one in records if one["type"] == "metrics"))


def test_collecting_twice_changes_nothing(root, run, db):
    run_attempt(root.path, run.run_id, INLINE, go_on)
    collect(root, db, Queue())
    before = dump(db)
    collect(root, db, Queue())
    assert dump(db) == before and len(before["evaluations"]) == 4
    assert len(before["points"]) == 4 * measures(run)


def test_collecting_at_every_byte_gives_what_one_pass_gives(root, run, db, tmp_path):
    run_attempt(root.path, run.run_id, INLINE, go_on)
    collect(root, db, Queue())
    events = run.attempt(1).events
    whole, expected = events.read_bytes(), dump(db)
    done = run.attempt(1).done.read_bytes()
    run.attempt(1).done.unlink()
    slow = open_database(str(tmp_path / "slow.db"))
    for cut in range(0, len(whole), 37):
        events.write_bytes(whole[:cut])
        collect(root, slow, Queue())
    events.write_bytes(whole)
    run.attempt(1).done.write_bytes(done)
    collect(root, slow, Queue())
    assert dump(slow) == expected


def test_a_pass_that_dies_leaves_the_database_as_it_was(root, run, db, monkeypatch):
    collect(root, db, Queue())
    before = dump(db)
    run_attempt(root.path, run.run_id, INLINE, go_on)

    from orchestrator.database.write_rows import Writer

    monkeypatch.setattr(
        Writer, "_insert_points", lambda *_: (_ for _ in ()).throw(RuntimeError("killed"))
    )
    with pytest.raises(RuntimeError):
        collect(root, db, Queue())
    assert dump(db) == before
    monkeypatch.undo()
    collect(root, db, Queue())
    assert len(dump(db)["points"]) == 4 * measures(run)


def test_damaged_lines_are_counted_and_the_rest_is_collected(root, run, db):
    run_attempt(root.path, run.run_id, INLINE, go_on)
    events = run.attempt(1).events
    each = measures(run)
    lines = events.read_bytes().splitlines(keepends=True)
    events.write_bytes(b"".join([lines[0], lines[1][:20] + b"X" + lines[1][21:], *lines[2:]]))
    collect(root, db, Queue())
    run.attempt(1).done.touch()
    (
        run.path / "evaluations" / "another"
    ).touch()  # a reason to look again, from where the last look ended
    collect(root, db, Queue())
    with db.connect() as connection:
        assert connection.scalar(select(schema.attempts.c.skipped_lines)) == 1
        assert connection.scalar(select(func.count()).select_from(schema.points)) == 3 * each


def test_a_value_that_is_not_finite_is_stored_as_such(root, run, db):
    attempt = claimed(run)
    with RecordLog(attempt.events) as log:
        log.append(
            {
                "type": "metrics",
                "t": 0,
                "step": 0,
                "epoch": 0,
                "metrics": {"loss": float("nan")},
                "images_per_s": 1.0,
            }
        )
    collect(root, db, Queue())
    with db.connect() as connection:
        found = connection.execute(select(schema.points.c.value, schema.points.c.non_finite)).all()
    assert (None, "nan") in [tuple(row) for row in found]


def test_a_second_collector_leaves_the_work_to_the_first(root, db):
    import fcntl

    descriptor = os.open(root.path / "collector.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert collect(root, db, Queue()) is None
    os.close(descriptor)
    assert collect(root, db, Queue()) == []


def test_the_database_can_be_made_again_from_the_files(root, run, db, tmp_path):
    run_attempt(root.path, run.run_id, INLINE, stop_after(2))
    collect(root, db, Queue())
    run_attempt(root.path, run.run_id, INLINE, go_on)
    collect(root, db, Queue())
    again = open_database(str(tmp_path / "again.db"))
    collect(root, again, Queue())
    first, second = dump(db), dump(again)
    assert {tuple(r) for r in first["points"]} == {tuple(r) for r in second["points"]}
    for name in ("runs", "attempts", "evaluations", "summaries", "sweep_runs"):
        assert first[name] == second[name], name


def test_a_text_file_is_no_database(tmp_path):
    (tmp_path / "results.db").write_text(
        "hello, I am a text file, and long enough to be looked at" * 30
    )
    with pytest.raises(StoreError, match="not a database"):
        open_database(str(tmp_path / "results.db"))
    assert (tmp_path / "results.db").read_text().startswith("hello")


def test_a_newer_schema_is_refused_untouched(tmp_path, db):
    with db.begin() as connection:
        connection.execute(text("UPDATE meta SET value = '99' WHERE key = 'schema_version'"))
    with pytest.raises(StoreError, match="schema version 99"):
        open_database(str(tmp_path / "results.db"))


def times(run):
    """When the folders of a run were last changed."""
    return {
        folder: folder.stat().st_mtime_ns for folder in (run.path / "attempts", run.attempt(1).path)
    }


def test_a_change_that_a_coarse_clock_hides_is_found_all_the_same(root, run, db):
    """Clocks of file systems tick every few milliseconds: two changes, and a look between, may bear
    the same time.
    """
    attempt = claimed(run)
    with RecordLog(attempt.events) as log:
        log.append({"type": "end", "t": 0, "state": "FAILED", "reason": "x"})
    seen = times(run)
    collect(root, db, Queue())
    write_json(attempt.done, {"outcome": "ok", "step": 4})
    for folder, modified in {**seen, attempt.done: seen[attempt.path]}.items():
        os.utime(folder, ns=(modified, modified))
    collect(root, db, Queue())
    with db.connect() as connection:
        assert State.COMPLETED in connection.scalars(select(schema.runs.c.state)).all()


def make_old(run):
    """Let all of a run look as if nothing had been written for long."""
    for path in run.path.rglob("*"):
        os.utime(path, (1e9, 1e9))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A root with one finished run, which nothing was written into for long."""
    place = tmp_path_factory.mktemp("finished")
    (place / "tiny.yaml").write_text(SPEC)
    root = Root(place / "root")
    root.create()
    write_plan(make_plan(load_sweep(place / "tiny.yaml"), root, Selection(), Queue()), root)
    run_attempt(root.path, root.runs()[0].run_id, INLINE, go_on)
    return place


@pytest.mark.parametrize(
    "name",
    ["evaluations/probe-v3.json", "evaluations/knn-v3.json", "attempts/0001/done.json"],
)
def test_a_result_that_is_cut_short_in_place_is_noticed_by_the_next_pass(
    finished, tmp_path, name, db
):
    shutil.copytree(finished, tmp_path / "copy")
    root = Root(tmp_path / "copy" / "root")
    make_old(root.runs()[0])
    assert collect(root, db, Queue()) == []

    # The file is written over: its folder stays as it was.
    file = root.runs()[0].path / name
    os.truncate(file, 20)
    collect(root, db, Queue())
    with db.connect() as connection:
        reasons = connection.scalars(
            select(schema.runs.c.reason).where(schema.runs.c.state == "FAILED")
        )
        assert str(file) in reasons.one()


def test_what_no_look_notices_of_a_finished_run_verify_finds(finished, tmp_path, db):
    shutil.copytree(finished, tmp_path / "copy")
    root = Root(tmp_path / "copy" / "root")
    make_old(root.runs()[0])
    collect(root, db, Queue())
    os.truncate(root.runs()[0].attempt(1).claim, 20)
    assert collect(root, db, Queue()) == []
    _, differences = verify(str(tmp_path / "results.db"), root, Queue())
    assert [difference.what for difference in differences] != []


def test_what_has_long_been_as_it_is_is_not_read_again(root, run, db, monkeypatch):
    run_attempt(root.path, run.run_id, INLINE, go_on)
    make_old(run)
    collect(root, db, Queue())
    monkeypatch.setattr(
        "orchestrator.database.collect.read_run", lambda *_: pytest.fail("it was read again")
    )
    collect(root, db, Queue())
    run_attempt(root.path, run.run_id, replace(INLINE, rerun=True), go_on)
    with pytest.raises(pytest.fail.Exception, match="read again"):
        collect(root, db, Queue())


def test_a_sign_of_collapse_that_is_not_finite_reaches_the_tables_as_such(root, run, db, tmp_path):
    run_attempt(root.path, run.run_id, INLINE, go_on)
    done = read_json(run.attempt(1).done)
    write_json(run.attempt(1).done, {**done, "final": {"std_sqrt_d": "nan", "effective_rank": 7.5}})
    collect(root, db, Queue())
    with reading(tmp_path / "results.db") as connection:
        [one] = with_results(
            connection, [one for one in read_runs(connection) if one.run_id == run.run_id]
        )
    assert (
        math.isnan(one.final["std_sqrt_d"])
        and one.final["effective_rank"] == 7.5
        and one.origin["device"] == "cpu"
    )
    built = report(str(tmp_path / "results.db"), "mlp_norm")
    assert '"std_sqrt_d": null' in as_json(built) and "nan" not in as_json(built).lower()


OLDER = {"versions": {}, "gpus": None}


@pytest.mark.parametrize(
    ("asked", "origin", "used"),
    [
        ("auto", {"compute": {"device": "cpu"}}, "cpu"),
        ("cuda:1", {"compute": {"device": "cuda"}}, "cuda"),
        ("cuda:1", OLDER, "cuda"),
        ("auto", OLDER, None),
        ("cpu", None, None),
    ],
)
def test_the_device_of_an_attempt_is_the_one_it_used_and_null_while_that_is_not_known(
    root, run, db, asked, origin, used
):
    attempt = run.attempt(1)
    job = {**asdict(INLINE), "device": asked}
    claim = {"process": asdict(this_process()), "job": job, "claimed_at": time.time()}
    assert claim_folder(attempt.path, attempt.claim.name, claim)
    collect(root, db, Queue())
    with db.connect() as connection:
        assert connection.execute(select(schema.attempts.c.device)).scalar_one() is None

    if origin is not None:
        start = {"type": "start", "t": 1.0, "step": 0, "total_steps": 9, "exact": True}
        with RecordLog(attempt.events) as log:
            log.append({**start, "origin": origin}, durable=True)
    collect(root, db, Queue())
    with db.connect() as connection:
        assert connection.execute(select(schema.attempts.c.device)).scalar_one() == used
    shown = run_details(run, standing(run, Queue()))["attempts"][0]
    assert device_used(shown["origin"], shown["claim"]) == used == provenance(run)["device"]
    assert verify(str(db.url.database), root, Queue())[1] == []
