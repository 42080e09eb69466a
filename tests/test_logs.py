"""`sweep logs`: follows a run through its attempts, without pestering SLURM, and finds the words of
a job that died early.
"""

import json
import threading
import time

import pytest

from byol_core.files import RecordLog
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.status import logs
from orchestrator.status.logs import log_lines
from orchestrator.store.jobs import JobFacts, Queue
from orchestrator.store.root import Root


@pytest.fixture
def run(tmp_path, spec_file):
    """A planned run and its root."""
    root = Root(tmp_path / "sweep-runs")
    root.create()
    plan = make_plan(load_sweep(spec_file()), root, Selection(), Queue())
    write_plan(plan, root)
    return root, root.run(plan.start[0].run_id)


def claim(run, number, job_id="7_0"):
    """Begin an attempt as a worker on another machine does; return its log."""
    attempt = run.attempt(number)
    attempt.path.mkdir(parents=True)
    process = {"host": "elsewhere", "boot_id": "x", "pid": 1, "started": 1}
    job = {"executor": "slurm", "job_id": job_id, "device": "auto"}
    attempt.claim.write_text(
        json.dumps({"process": process, "job": job, "claimed_at": time.time()})
    )
    return RecordLog(attempt.events)


def say(log, step):
    log.append(
        {
            "type": "metrics",
            "t": time.time(),
            "step": step,
            "epoch": 0,
            "metrics": {"loss": 1.0},
            "images_per_s": 5.0,
        }
    )


def test_a_finished_run_is_printed_and_that_is_all(run):
    root, folder = run
    run_attempt(root.path, folder.run_id, AttemptContext("inline", capture=False), lambda: None)
    lines = list(log_lines(root, folder, True, Queue))
    assert (
        lines[0] == "attempt 1"
        and any("step 0 " in line for line in lines)
        and "COMPLETED" in lines[-1]
    )


def test_following_goes_on_through_a_requeue_and_asks_slurm_rarely(run, monkeypatch):
    monkeypatch.setattr(logs, "_FOLLOW_S", 0.01)
    root, folder = run
    asked, live = [], {folder.run_id: JobFacts("7_0", "RUNNING", time.time())}
    first = claim(folder, 1)

    def look():
        asked.append(time.monotonic())
        return Queue(live=live)

    def work():
        say(first, 1)
        time.sleep(0.2)
        first.append(
            {"type": "end", "t": time.time(), "state": "PREEMPTED", "reason": "SIGUSR2"},
            durable=True,
        )
        time.sleep(0.2)
        second = claim(folder, 2)
        say(second, 2)
        time.sleep(0.2)
        second.append(
            {"type": "end", "t": time.time(), "state": "FAILED", "reason": "x"}, durable=True
        )

    thread = threading.Thread(target=work)
    thread.start()
    lines = list(log_lines(root, folder, True, look))
    thread.join()
    told = [line for line in lines if "attempt" in line or "step" in line or "end" in line]
    assert [
        word
        for line in told
        for word in ("attempt 1", "attempt 2", "step 1", "step 2", "PREEMPTED", "FAILED")
        if word in line
    ] == [
        "attempt 1",
        "step 1",
        "PREEMPTED",
        "attempt 2",
        "step 2",
        "FAILED",
    ]
    assert len(asked) == 1  # within its first 15 s


@pytest.mark.slow
def test_a_job_that_died_before_it_began_shows_its_words(fake_slurm, sweep, spec_file, tmp_path):
    sweep("launch", spec_file(), "--executor", "slurm", check=0)
    root = Root(tmp_path / "sweep-runs")
    (launch,) = (path for path in root.sweep("tiny").launches.iterdir() if path.is_dir())
    job_ids = sorted(fake_slurm.jobs())
    (launch / f"{job_ids[0]}_0_log.err").write_text("module: command not found\n")
    fake_slurm.end(*job_ids, state="FAILED", exit="127:0")
    (log,) = root.sweep("tiny").launches.glob("*.jsonl")
    first = json.loads(log.read_text().splitlines()[0])["run_ids"][0]
    printed = sweep("logs", first[:10], check=0).stdout
    assert "no attempt yet, failed" in printed and "err: module: command not found" in printed
    assert (
        "ended before it began; `sweep logs` shows its output"
        in sweep("status", "--state", "failed", check=0).stdout
    )


def test_a_planned_run_has_nothing_to_say(run):
    assert list(log_lines(*run, False, Queue)) == ["no attempt yet, planned"]
