"""A disk that fills under a run is not the run's fault: it goes on by itself once there is room."""

import errno
import os
import subprocess
from contextlib import suppress

import pytest

from orchestrator.database import connect
from orchestrator.errors import StoreError
from orchestrator.executors import worker
from orchestrator.executors.ending import ending_of
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.store.exit_codes import DISK_FAILED, in_words, of_process
from orchestrator.store.jobs import JobFacts, Queue
from orchestrator.store.retry import held_back
from orchestrator.store.root import Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State


@pytest.fixture
def small(tmp_path):
    """A disk of 4 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_a_run_goes_on_once_there_is_room_again(small, spec_file):
    root = Root(small / "root")
    root.create()
    write_plan(make_plan(load_sweep(spec_file()), root, Selection(), Queue()), root)
    run = root.runs()[0]
    context = AttemptContext("local", capture=False, device="cpu", threads=1, log_every=1)

    def full_from_the_third_step():
        if sum(record["type"] == "metrics" for record in run.attempt(1).read_events()) == 2:
            fill(small)
        return None

    # Its last word may still fit into the last page of the log.
    try:
        assert run_attempt(root.path, run.run_id, context, full_from_the_third_step) == State.LOST
        assert "No space left on device" in standing(run, Queue()).reason
    except SystemExit as ended:
        assert ended.code == DISK_FAILED
    assert held_back(run, State.LOST) is None

    (small / "filler").unlink()
    assert run_attempt(root.path, run.run_id, context, lambda: None) == State.COMPLETED
    assert standing(run, Queue()).state == State.COMPLETED


def test_what_the_last_word_cannot_say_the_exit_status_does(root, run, monkeypatch):
    def full(log, record, durable=False):
        if record["type"] != "start":
            raise OSError(errno.ENOSPC, "No space left on device", str(run.path))

    monkeypatch.setattr(worker.RecordLog, "append", full)
    context = AttemptContext("local", capture=False, device="cpu", threads=1)
    with pytest.raises(SystemExit) as ended:
        run_attempt(root.path, run.run_id, context, lambda: None)
    assert ended.value.code == DISK_FAILED and "is the disk full" in of_process(DISK_FAILED)


def test_slurms_word_for_such_a_job_is_read_as_lost(root, run):
    facts = JobFacts("7_0", "FAILED", exit_code=f"{DISK_FAILED}:0", submitted_at=1.0)
    told = standing(run, Queue(ended={run.run_id: facts}))
    assert told.state == State.LOST and "is the disk full, over its quota" in told.reason
    assert in_words("1:0") == "exit status 1" and held_back(run, State.LOST) is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_an_error_of_the_disk_is_no_failure_of_the_run(number):
    state, reason = ending_of(OSError(number, os.strerror(number), "runs/x/checkpoints"))
    assert state == State.LOST and os.strerror(number) in reason
    assert ending_of(FileNotFoundError(errno.ENOENT, "no", "x"))[0] == State.FAILED


def test_a_database_without_room_asks_for_room_and_for_no_rebuild(small):
    fill(small)
    with pytest.raises(StoreError, match="make room there") as refused:
        connect.open_database(str(small / "results.db"))
    assert "rebuild" not in str(refused.value)
