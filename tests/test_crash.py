"""A worker that dies, loses power or meets a failing disk at any of its effects: the next attempt
gives the same result.

`make slow-test` visits every 32nd effect; `make crash-test` all of them (marker exhaustive).
"""

import errno
import json
import multiprocessing
import os
import shutil
from datetime import date

import pytest
from disk import DEAD, Disk

from byol_core.files import RecordLog, RecordReader, write_json
from byol_core.train.checkpoint import Checkpoints
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.database.rebuild import verify
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root
from orchestrator.store.state import State

JOB = AttemptContext(
    "inline", capture=False, device="cpu", threads=1, log_every=1, checkpoint_every_s=0
)
SHORT = (
    ("epochs: 2,", "epochs: 1,"),
    ("batch_size: 64", "batch_size: 128"),
    ("seeds: [0, 1]", "seeds: [0]"),
)
FAULTS = {"die": "die", "power": "power"} | {
    name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EDQUOT", "EROFS")
}
_DAYS = 32


class Acknowledged:
    """Shared with a child: the last record that it was told is on the disk, and how its attempt
    ended.
    """

    def __init__(self):
        context = multiprocessing.get_context("forkserver")
        self.effects, self.durable_seq, self.completed = (
            context.Value("i", start) for start in (0, -1, 0)
        )


def attempt_on(root, run_id, k, fault, told):
    """The child: make an attempt on a failing disk."""
    append = RecordLog.append

    def noted(self, record, durable=False):
        append(self, record, durable)
        if durable:
            told.durable_seq.value = self._seq - 1

    RecordLog.append = noted
    disk = Disk(root, k, fault)
    disk.install()
    try:
        told.completed.value = run_attempt(root, run_id, JOB, lambda: None) == State.COMPLETED
    except OSError:
        pass
    finally:
        told.effects.value = disk.count


def child(root, run, k, fault):
    """Make an attempt in a process of its own; return its exit status and what it was told."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["orchestrator.executors.warm"])
    told = Acknowledged()
    process = context.Process(target=attempt_on, args=(root.path, run.run_id, k, fault, told))
    process.start()
    process.join(100)
    return process.exitcode, told


@pytest.fixture
def planned(tmp_path, spec_file):
    """Make a root with one short run, judged by k nearest neighbours alone: the probe would take
    most of the time.
    """
    root = Root(tmp_path / "template")
    root.create()
    write_plan(
        make_plan(load_sweep(spec_file(*SHORT)), root, Selection(only=["byol"]), Queue()), root
    )
    run = root.runs()[0]
    write_json(run.description, {**run.read_description(), "protocols": ["knn"]})

    def make(name):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        shutil.copytree(tmp_path / "template", tmp_path / name)
        root = Root(tmp_path / name)
        return root, root.runs()[0]

    return make


def outcome(run):
    """What must not depend on interruptions: one result, evaluations, weights and every point of
    the series.
    """
    results = [
        json.loads(attempt.done.read_text()) for attempt in run.attempts() if attempt.done.exists()
    ]
    assert len(results) == 1
    series = {}
    for attempt in run.attempts():
        series.update(
            {
                r["step"]: r["metrics"]
                for r in RecordReader(attempt.events)
                if r["type"] == "metrics"
            }
        )
    manifest = json.loads((run.path / "encoder" / "manifest.json").read_text())
    return (
        results[0]["outcome"],
        results[0]["final"],
        list(run.evaluations()),
        series,
        manifest["sha256"],
    )


def check_recovery(planned, whole, k, fault):
    """Fail at effect k, look, try again, look again: the invariants hold."""
    where = f"{fault} at effect {k}"
    root, run = planned("run")
    status, told = child(root, run, k, FAULTS[fault])
    assert status == (DEAD if fault in ("die", "power") else 0), (
        f"{where} was never reached, or broke the attempt"
    )
    kept = {record["seq"] for attempt in run.attempts() for record in RecordReader(attempt.events)}
    assert kept >= set(range(told.durable_seq.value + 1)), (
        f"{where}: a record that was on the disk is lost"
    )
    assert not told.completed.value or run.attempts()[-1].done.exists(), (
        f"{where}: the result is lost"
    )
    database = str(root.path.parent / "run.db")
    collect(root, open_database(database), Queue())
    run_attempt(root.path, run.run_id, JOB, lambda: None)
    assert outcome(run) == whole, where
    assert verify(database, root, Queue())[1] == [], f"{where}: the database differs from the files"
    for name in ("run.db", "run.db-wal", "run.db-shm"):
        (root.path.parent / name).unlink(missing_ok=True)


@pytest.fixture
def whole(planned):
    root, run = planned("whole")
    run_attempt(root.path, run.run_id, JOB, lambda: None)
    return outcome(run)


@pytest.fixture
def effects(planned):
    """How many effects an attempt has; each is a place to fail."""
    root, run = planned("count")
    status, told = child(root, run, 0, "die")
    assert status == 0 and told.effects.value > 80, "the disk sees too few effects to mean anything"
    return told.effects.value


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["die", "power"])
def test_dying_at_some_effects_loses_nothing_that_counts(planned, whole, effects, fault):
    for k in range(1 + date.today().toordinal() % _DAYS, effects + 1, _DAYS):
        check_recovery(planned, whole, k, fault)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["ENOSPC", "EIO"])
def test_a_disk_that_fails_once_fails_the_attempt_and_not_the_run(planned, whole, effects, fault):
    for k in range(3, effects + 1, effects // 3):
        check_recovery(planned, whole, k, fault)


@pytest.mark.exhaustive
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("fault", FAULTS)
def test_failing_at_every_effect_loses_nothing_that_counts(planned, whole, effects, fault, half):
    for k in range(1 + half, effects + 1, 2):
        check_recovery(planned, whole, k, fault)


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path / "checkpoints", "0001")
    checkpoints.save(1, {"step": 1}, {})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(2, {"step": 2}, {})
    monkeypatch.undo()
    assert checkpoints.latest().step == 1
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001.0001"]
