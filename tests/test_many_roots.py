"""One database for several roots: equal sweeps and equal runs in two of them are kept apart."""

import json
import shutil

import pytest

from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.database.rebuild import verify
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.status.sweep_status import sweep_statuses
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root


@pytest.fixture
def engine(tmp_path):
    return open_database(str(tmp_path / "results.db"))


@pytest.fixture
def roots(tmp_path, spec_file):
    """Two roots with the same four runs planned in each."""
    made = [Root(tmp_path / name) for name in ("ada", "bob")]
    for root in made:
        root.create()
        write_plan(make_plan(load_sweep(spec_file()), root, Selection(), Queue()), root)
    return made


def finish(root, number, accuracy=0.5):
    """Let the run of that number have ended well in this root."""
    run = root.runs()[number]
    attempt = run.path / "attempts" / "0001"
    attempt.mkdir(parents=True)
    process = {"host": root.path.name, "boot_id": "b", "pid": 1, "started": 1}
    job = {"executor": "local", "job_id": None, "device": "cpu"}
    claim = {"process": process, "user": root.path.name, "job": job, "claimed_at": 1.0}
    (attempt / "claim.json").write_text(json.dumps(claim))
    (attempt / "done.json").write_text(json.dumps({"outcome": "ok", "wall_s": accuracy}))
    return run.run_id


def held_by(engine):
    """run id → root and state, of the runs that are not only planned."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT run_id, root, state FROM runs")
        return {run_id: (root, state) for run_id, root, state in rows if state != "PLANNED"}


def test_equal_sweeps_of_two_roots_stand_beside_one_another(roots, engine):
    for root in [*roots, *roots]:
        collect(root, engine, Queue())
    statuses = sweep_statuses(engine)
    assert {status.root for status in statuses} == {str(root.path) for root in roots}
    assert [len(status.runs) for status in statuses] == [4, 4]


def test_a_run_of_two_roots_is_the_first_ones_that_has_a_result(roots, engine):
    ada, bob = roots
    collect(ada, engine, Queue())  # which has planned it before
    run_id = finish(bob, 0)
    collect(bob, engine, Queue())
    expected = {run_id: (str(bob.path), "COMPLETED")}
    assert held_by(engine) == expected

    # A second result elsewhere changes nothing, however often both are collected.
    finish(ada, 0)
    for root in [ada, bob, ada]:
        collect(root, engine, Queue())
        assert held_by(engine) == expected
    assert all(status.skipped_lines == 0 for status in sweep_statuses(engine))


def test_a_run_that_has_begun_in_one_root_is_not_shown_as_planned_in_the_other(roots, engine):
    ada, bob = roots
    collect(ada, engine, Queue())
    run_id = finish(bob, 2)
    (bob.run(run_id).path / "attempts" / "0001" / "done.json").unlink()
    for root in [bob, ada, bob]:
        collect(root, engine, Queue())
    assert held_by(engine)[run_id][0] == str(bob.path)


def test_a_root_that_was_moved_keeps_its_runs(roots, engine, tmp_path):
    ada, _ = roots
    run_id = finish(ada, 1)
    collect(ada, engine, Queue())
    moved = Root(shutil.move(ada.path, tmp_path / "elsewhere"))
    collect(moved, engine, Queue())
    assert held_by(engine) == {run_id: (str(moved.path), "COMPLETED")}
    assert [status.root for status in sweep_statuses(engine)] == [str(moved.path)]
    assert verify(str(tmp_path / "results.db"), moved, Queue())[1] == []
