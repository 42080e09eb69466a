"""Against a real SLURM: `tests/slurm/start.sh` starts one node with four fake GPUs. Skipped where none answers."""

import json
import shutil
import subprocess
import time

import pytest

from byol_core.files import RecordLog
from orchestrator.root import Root

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def cluster():
    if shutil.which("sinfo") is None or subprocess.run(["sinfo", "-h"], capture_output=True, timeout=20).returncode != 0:
        pytest.skip("no SLURM answers here; tests/slurm/start.sh starts one")


def counts(sweep):
    return json.loads(sweep("status", "--json", check=0).stdout)["sweeps"][0]["counts"]


def wait_until(sweep, wanted, seconds=150):
    deadline = time.monotonic() + seconds
    while (now := counts(sweep)) != wanted:
        assert time.monotonic() < deadline, f"still {now}"
        time.sleep(1)


def test_an_array_runs_to_the_same_results_as_local(sweep, spec_file, tmp_path):
    file = spec_file()
    done = sweep("launch", file, "--executor", "slurm", check=0)
    assert "submitted 4 jobs" in done.stdout
    again = sweep("launch", file, "--executor", "slurm", check=0)
    assert "nothing to submit" in again.stdout  # queued or running: nothing goes out twice
    wait_until(sweep, {"COMPLETED": 4})
    sweep("--root", "here", "--db", "here.db", "launch", file, "--executor", "local", "--slots", "2", check=0)
    ours, local = Root(tmp_path / "sweep-runs"), Root(tmp_path / "here")
    assert [run.run_id for run in ours.runs()] == [run.run_id for run in local.runs()]
    for one, other in zip(ours.runs(), local.runs(), strict=True):
        assert list(one.evaluations()) == list(other.evaluations())
    job_ids = {json.loads(run.attempt(1).claim.read_text())["job"]["job_id"].partition("_")[0] for run in ours.runs()}
    assert len(job_ids) == 1  # one array


def test_a_cancelled_job_checkpoints_and_goes_on_when_asked_to(sweep, spec_file, tmp_path):
    file = spec_file(("epochs: 2,", "epochs: 150,"), ("seeds: [0, 1]", "seeds: [0]"))
    sweep("launch", file, "--executor", "slurm", check=0)
    root = Root(tmp_path / "sweep-runs")
    wait_until(sweep, {"RUNNING": 2}, 60)
    deadline = time.monotonic() + 60
    while not all(run.attempts() and run.attempt(1).events.exists() for run in root.runs()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    time.sleep(2)
    (log,) = (tmp_path / "sweep-runs" / "sweeps" / "tiny" / "launches").glob("*.jsonl")
    key = json.loads(log.read_text().splitlines()[0])["key"]
    subprocess.run(["scancel", "--name", key], check=True, timeout=30)
    wait_until(sweep, {"CANCELLED": 2}, 60)
    sweep("launch", file, "--executor", "slurm", "--retry", "cancelled", check=0)
    wait_until(sweep, {"COMPLETED": 2})
    for run in root.runs():
        assert [attempt.number for attempt in run.attempts()] == [1, 2]
        start = json.loads(run.attempt(2).events.read_text().splitlines()[0])
        assert start["step"] > 0 and start["exact"] is True


def test_a_launcher_that_died_before_it_knew_the_job_leaves_no_orphan(sweep, spec_file, tmp_path):
    """Submit held jobs under a name, as a launcher does, and lose the acknowledgement."""
    file = spec_file()
    sweep("launch", file, "--dry-run", "--executor", "slurm", check=0)
    root = Root(tmp_path / "sweep-runs")
    root.create()
    key = f"sweep-test-{time.time_ns()}"
    with RecordLog(_log(root)) as log:
        log.append({"type": "intent", "key": key, "run_ids": ["0" * 64]}, durable=True)
    subprocess.run(
        ["sbatch", "--hold", "--job-name", key, "--output=/dev/null", "--wrap", "true"], check=True, capture_output=True
    )
    assert key in _queue()
    done = sweep("launch", file, "--executor", "slurm", check=0)
    assert "withdrew 1 jobs that an earlier launch had not acknowledged" in done.stdout and key not in _queue()
    wait_until(sweep, {"COMPLETED": 4})


def test_a_refused_submission_is_one_error_and_stays_planned(sweep, spec_file):
    file = spec_file(("gpus: 0", "gpus: 0, partition: nowhere"))
    done = sweep("launch", file, "--executor", "slurm")
    assert done.returncode == 1 and "sbatch refused" in done.stderr and "Traceback" not in done.stderr
    assert counts(sweep) == {"PLANNED": 4}


def test_gpus_are_asked_for(sweep, spec_file, tmp_path):
    file = spec_file(("gpus: 0", "gpus: 1"), ("seeds: [0, 1]", "seeds: [0]"))
    sweep("launch", file, "--executor", "slurm", check=0)
    script = next((tmp_path / "sweep-runs").rglob("*submission*.sh")).read_text()
    assert "--gpus-per-node=1" in script and "PYTHONSAFEPATH=1" in script
    wait_until(sweep, {"COMPLETED": 2})


def _log(root):
    folder = root.sweep("tiny").launches
    folder.mkdir(parents=True)
    return folder / "dead.jsonl"


def _queue():
    return subprocess.run(["squeue", "-h", "-o", "%j"], capture_output=True, text=True, timeout=20, check=True).stdout


def test_prune_cancels_the_jobs_of_what_left_the_spec_and_no_others(sweep, spec_file):
    long = (("epochs: 2,", "epochs: 400,"), ("seeds: [0, 1]", "seeds: [0]"))
    sweep("launch", spec_file(*long), "--executor", "slurm", check=0)
    wait_until(sweep, {"RUNNING": 2}, 60)
    smaller = spec_file(*long, ("  no_norm: {projector.norm: none, predictor.norm: none}\n", ""))
    named = sweep("launch", smaller, "--executor", "slurm", check=0)
    assert "no longer in the spec, or changed: no_norm" in named.stdout and len(_jobs()) == 2
    pruned = sweep("launch", smaller, "--executor", "slurm", "--prune", check=0)
    assert "pruned 1 runs that left the spec, 1 jobs cancelled" in pruned.stdout
    deadline = time.monotonic() + 60
    while len(_jobs()) != 1:
        assert time.monotonic() < deadline, _jobs()
        time.sleep(0.5)
    subprocess.run(["scancel", *_jobs()], check=True, timeout=30)


def _jobs():
    listed = subprocess.run(["squeue", "-h", "-r", "-o", "%i"], capture_output=True, text=True, timeout=20, check=True)
    return listed.stdout.split()
