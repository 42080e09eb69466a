"""A process that dies at any file operation of a checkpoint or a result, or whose disk fails there: the next one goes on.

The child counts every durable effect (open for writing, fsync, rename, mkdir, delete) and dies before the k-th.
"""

import json
import multiprocessing
import os
from datetime import date

import pytest

from byol_core.checkpoint import Checkpoints
from byol_core.files import RecordReader, write_json
from orchestrator.plan import Narrowing, make_plan, write_plan
from orchestrator.root import Root
from orchestrator.spec import load_sweep
from orchestrator.states import Queue
from orchestrator.worker import Job, run_attempt

JOB = Job("inline", capture=False, device="cpu", threads=1, log_every=1, checkpoint_every_s=0)
EFFECTS = ("open", "write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir")


class Faults:
    """Counts the durable effects of this process; before the k-th it dies, or raises an errno once."""

    def __init__(self, root, k, errno):
        self.root, self.k, self.errno, self.count = str(root), k, errno, 0

    def install(self):
        for name in EFFECTS:
            setattr(os, name, self.hook(name, getattr(os, name)))

    def hook(self, name, original):
        def effect(*arguments, **keywords):
            ours = any(self.root in str(argument) for argument in arguments) or name in ("fsync", "write")
            if ours and not (name == "open" and not arguments[1] & os.O_WRONLY):
                self.count += 1
                if self.count == self.k:
                    if self.errno is None:
                        os._exit(9)
                    raise OSError(self.errno, os.strerror(self.errno))
            return original(*arguments, **keywords)

        return effect


def attempt_with_faults(root, run_id, k, errno, count):
    faults = Faults(root, k, errno)
    faults.install()
    try:
        run_attempt(root, run_id, JOB, lambda: None)
    except OSError:
        pass
    finally:
        count.value = faults.count


SHORT = (("epochs: 2,", "epochs: 1,"), ("seeds: [0, 1]", "seeds: [0]"))


@pytest.fixture
def planned(tmp_path, spec_file):
    def make(name):
        root = Root(tmp_path / name)
        root.create()
        write_plan(make_plan(load_sweep(spec_file(*SHORT)), root, Narrowing(only=["byol"]), Queue()), root)
        run = root.runs()[0]
        write_json(run.description, {**run.describe(), "protocols": ["knn"]})  # the probe would take most of the time
        return root, run

    return make


def outcome(run):
    """What must not depend on interruptions: result, evaluations, weights and every point of the series."""
    done = [json.loads(attempt.done.read_text()) for attempt in run.attempts() if attempt.done.exists()]
    assert len(done) == 1
    series = {}
    for attempt in run.attempts():
        series.update({r["step"]: r["metrics"] for r in RecordReader(attempt.events) if r["type"] == "metrics"})
    manifest = json.loads((run.path / "encoder" / "manifest.json").read_text())
    return done[0]["outcome"], done[0]["final"], list(run.evaluations()), series, manifest["sha256"]


def child(root, run, k, errno=None):
    """Make an attempt in a process of its own; return (exit status, effects seen)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["orchestrator.executors.warm"])
    count = context.Value("i", 0)
    process = context.Process(target=attempt_with_faults, args=(root.path, run.run_id, k, errno, count))
    process.start()
    process.join(100)
    return process.exitcode, count.value


@pytest.fixture
def whole(planned):
    root, run = planned("whole")
    run_attempt(root.path, run.run_id, JOB, lambda: None)
    return outcome(run)


@pytest.fixture
def total(planned):
    """How many effects an attempt has; each is a place to die."""
    root, run = planned("count")
    status, count = child(root, run, 10**9)
    assert status == 0 and count > 100, "the hook sees too few effects to mean anything"
    return count


@pytest.mark.slow
def test_dying_at_any_file_operation_loses_nothing_that_counts(planned, whole, total):
    """Every 12th operation, from an offset that changes with the day; over a fortnight all of them."""
    for k in range(1 + date.today().toordinal() % 12, total + 1, 12):
        root, run = planned(f"die{k}")
        assert child(root, run, k)[0] == 9, f"operation {k} of {total} was never reached"
        run_attempt(root.path, run.run_id, JOB, lambda: None)
        assert outcome(run) == whole, f"died at operation {k} of {total}"


@pytest.mark.slow
@pytest.mark.parametrize("errno", [28, 5], ids=["ENOSPC", "EIO"])
def test_a_disk_that_fails_once_fails_the_attempt_and_not_the_run(planned, whole, total, errno):
    for k in range(3, total + 1, total // 6):
        root, run = planned(f"fail{errno}-{k}")
        child(root, run, k, errno)
        run_attempt(root.path, run.run_id, JOB, lambda: None)
        assert outcome(run) == whole, f"errno {errno} at operation {k} of {total}"


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
