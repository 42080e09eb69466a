"""Several runs in one job: side by side, through a crash of one of them, and through SLURM's
warning.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from orchestrator.launch.launch import Reporter, launch
from orchestrator.launch.options import LaunchOptions
from orchestrator.launch.selection import Selection
from orchestrator.slurm.queue import look_at_queue
from orchestrator.spec import load_sweep
from orchestrator.store.root import Root
from orchestrator.store.standing import standing

pytestmark = pytest.mark.slow
SILENT = Reporter(lambda *_: None, lambda _: None, lambda _: None)
LONG = ("epochs: 2,", "epochs: 400,")


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "sweep-runs")


@pytest.fixture
def submitted(spec_file, root, fake_slurm):
    """Submit the four runs of a spec as one job; return their folders in order."""

    def submit(*replacements, side_by_side=1):
        bundled = f"cpus: 2, timeout_min: 10, runs_per_job: 4, side_by_side: {side_by_side}"
        file = spec_file(("cpus: 1, mem_gb: 1, timeout_min: 10", bundled), *replacements)
        done = launch(LaunchOptions(load_sweep(file), Selection(), "slurm"), root, SILENT)
        assert done.sent.job_ids == ["1001_0"] and done.sent.run_count == 4
        return [root.run(run.run_id) for run in done.plan.start]

    return submit


def start_job(root, runs, fake_slurm):
    """Start the job as SLURM does, in a process group of its own."""
    bundles = [[run.run_id for run in runs]]
    call = f"from orchestrator.executors.slurm_job import work; work({str(root.path)!r}, {bundles!r}, 1, False, {{}})"
    slurm = {
        "SLURM_JOB_ID": "1001",
        "SLURM_ARRAY_JOB_ID": "1001",
        "SLURM_ARRAY_TASK_ID": "0",
        "SLURM_CPUS_PER_TASK": "1",
    }
    fake_slurm.start("1001_0")
    return subprocess.Popen(
        [sys.executable, "-c", call], env={**os.environ, **slurm}, start_new_session=True
    )


def wait_for(condition, what, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def states(root, runs):
    queue = look_at_queue(root)
    return [standing(run, queue).state.value for run in runs]


def trains(run):
    return any(
        '"metrics"' in attempt.events.read_text()
        for attempt in run.attempts()
        if attempt.events.exists()
    )


def test_nni_938_runs_go_side_by_side_and_the_job_is_submitits(submitted, root, fake_slurm):
    runs = submitted(side_by_side=2)
    done = fake_slurm.execute("1001_0")
    assert done.returncode == 0 and states(root, runs) == ["COMPLETED"] * 4
    claims = [json.loads(run.attempt(1).claim.read_text()) for run in runs]
    assert {claim["job"]["job_id"] for claim in claims} == {"1001_0"}
    assert len({claim["process"]["pid"] for claim in claims}) == 4
    begun = sorted(claim["claimed_at"] for claim in claims)
    assert begun[1] < min(
        (run.attempt(1).done).stat().st_mtime for run in runs
    )  # two were at work at once


def test_guildai_251_a_crash_of_one_run_takes_no_other_down(submitted, root, fake_slurm):
    runs = submitted()
    description = runs[1].read_description()
    description["config"]["epochs"] = 4000
    runs[1].description.write_text(json.dumps(description))
    job = start_job(root, runs, fake_slurm)
    try:
        wait_for(lambda: trains(runs[1]), "the second run does not train")
        os.kill(json.loads(runs[1].attempt(1).claim.read_text())["process"]["pid"], signal.SIGKILL)
        assert job.wait(90) == 0
    finally:
        job.kill()
        job.wait()
    fake_slurm.end("1001_0", state="TIMEOUT")
    found = states(root, runs)
    assert [found[0], *found[2:]] == ["COMPLETED"] * 3 and found[1] != "COMPLETED"


@pytest.mark.parametrize("warning", [signal.SIGUSR2, signal.SIGTERM])
def test_a_warning_to_all_processes_of_the_job_stops_what_runs_and_leaves_the_rest(
    submitted, root, fake_slurm, warning
):
    runs = submitted(LONG)
    job = start_job(root, runs, fake_slurm)
    try:
        wait_for(lambda: trains(runs[0]), "the first run does not train")
        os.killpg(job.pid, warning)
        assert job.wait(90) == 0
    finally:
        job.kill()
        job.wait()
    assert (runs[0].path / "checkpoints").exists() and [len(run.attempts()) for run in runs] == [
        1,
        0,
        0,
        0,
    ]
    assert fake_slurm.calls("scontrol")[-1] == [
        "requeue",
        "1001_0",
    ]  # the job comes back for all four
    assert states(root, runs) == ["SUBMITTED"] * 4
