"""Against a real SLURM, which `make slurm-test` starts in three configurations; skipped where none
runs.

`accounting` has slurmdbd; `plain` has no accounting; `bare` forgets jobs 2 s after their end, sends
no signal of ours before a preemption and takes arrays of 6 at most. Jobs run as a user who is not
root.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from conftest import SPEC
from slurm.cluster import (
    HOST,
    USER,
    Place,
    answers,
    configuration,
    events,
    jobs,
    python,
    slurm,
    stopped,
    until,
)

from byol_core.files import RecordLog

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(240)]


_NO_NORM = "  no_norm: {projector.norm: none, predictor.norm: none}\n"


@pytest.fixture(scope="module")
def cluster():
    if not answers():
        pytest.skip("no SLURM of tests/slurm/start.sh runs here, or we are not root")
    return configuration()


@pytest.fixture(autouse=True)
def in_configuration(request, cluster):
    """Run a test in the configurations that its mark names, in all without one."""
    mark = request.node.get_closest_marker("only")
    if mark is not None and cluster not in mark.args:
        pytest.skip(f"this cluster is {cluster}; the test is for {' and '.join(mark.args)}")


@pytest.fixture
def place(cluster):
    """A place of the test user's; its jobs are gone when the test ends."""
    folder = Path(tempfile.mkdtemp(prefix="sweep-slurm-test-"))
    shutil.chown(folder, USER)
    yield Place(folder)
    slurm("scontrol", "update", f"NodeName={HOST}", "State=RESUME", check=False)
    slurm("scancel", "--user", USER)
    until(lambda: not jobs())
    shutil.rmtree(folder)


@pytest.fixture
def spec(place):
    """Write a spec of stub runs: `runs` of them, `steps` steps of a fifth of a second each."""

    def write(runs=1, steps=10, resources="gpus: 1, cpus: 1, mem_gb: 1, timeout_min: 10"):
        text = SPEC.replace("gpus: 0, cpus: 1, mem_gb: 1, timeout_min: 10", resources).replace(
            "epochs: 2", f"epochs: {steps}"
        )
        text = text.replace("seeds: [0, 1]", f"seeds: {list(range(runs))}")
        text = text.replace(_NO_NORM, "")
        file = place.folder / "tiny.yaml"
        file.write_text(text)
        return file

    return write


def preempt(seconds=3, gpus=4):
    """Send a job that takes the GPUs from what runs on the lower partitions."""
    options = (
        "--partition=high",
        f"--gpus-per-node={gpus}",
        "--time=1",
        "--output=/dev/null",
        "--job-name=high",
    )
    slurm("sbatch", *options, "--wrap", f"sleep {seconds}")


# Submission and results


@pytest.mark.only("accounting")
def test_an_array_runs_to_the_same_results_as_local(place, spec):
    place.trains = True
    file = spec(runs=2, steps=2)
    assert "submitted 2 jobs" in place.launch(file)
    assert "nothing to submit" in place.launch(file)  # queued or running: nothing goes out twice
    place.ends({"COMPLETED": 2})
    place.sweep(
        "--root", "here", "--db", "here.db", "launch", file, "--executor", "local", "--slots", "2"
    )
    local = type(place.root)(place.folder / "here")
    assert [run.run_id for run in place.root.runs()] == [run.run_id for run in local.runs()]
    for one, other in zip(place.root.runs(), local.runs(), strict=True):
        assert list(one.evaluations()) == list(other.evaluations())
    assert len({place.job_id(run).partition("_")[0] for run in place.root.runs()}) == 1  # one array


@pytest.mark.only("accounting")
def test_thirty_runs_share_four_gpus(place, spec):
    """On one GPU each: what runs at the same time has different ones."""
    place.launch(spec(runs=30, steps=2))
    place.ends({"COMPLETED": 30}, 200)
    assert all(len(run.attempts()) == 1 for run in place.root.runs())


@pytest.mark.only("bare")
def test_more_runs_than_an_array_can_have(place, spec):
    out = place.launch(spec(runs=14, steps=2))
    assert "submitted 14 jobs" in out
    place.ends({"COMPLETED": 14}, 150)
    assert len({place.job_id(run).partition("_")[0] for run in place.root.runs()}) == 3


def test_a_refused_submission_is_one_error_and_stays_planned(place, spec):
    out = place.launch(
        spec(resources="gpus: 1, cpus: 1, mem_gb: 1, timeout_min: 10, partition: nowhere"), status=1
    )
    assert (
        "invalid partition" in out and "Traceback" not in out and place.counts() == {"PLANNED": 1}
    )


@pytest.mark.only("accounting")
def test_a_launcher_that_died_before_it_knew_the_job_leaves_no_orphan(place, spec):
    """Submit a held job under a name, as a launcher does, and lose the acknowledgement."""
    file = spec()
    launches = place.root.sweep("tiny").launches
    launches.mkdir(parents=True)
    key = f"sweep-test-{time.time_ns()}"
    with RecordLog(launches / "dead.jsonl") as log:
        log.append(
            {"type": "intent", "key": key, "run_ids": ["0" * 64], "at": time.time()}, durable=True
        )
    subprocess.run(["chown", "-R", USER, place.root.path], check=True)
    slurm(
        "runuser",
        "-u",
        USER,
        "--",
        "sbatch",
        "--hold",
        "--job-name",
        key,
        "--output=/dev/null",
        "--wrap",
        "true",
    )
    assert key in jobs("%j")
    assert "withdrew 1 run that an earlier launch had not acknowledged" in place.launch(file)
    assert key not in jobs("%j")
    place.ends({"COMPLETED": 1})


@pytest.mark.only("accounting")
def test_an_sbatch_that_a_still_slurmctld_does_not_answer_gives_one_job(place, spec):
    file = spec(runs=2)
    with stopped("slurmctld"):
        place.sweep("launch", file, "--executor", "slurm", status=1, timeout=230)
    slurm("sinfo")
    place.launch(file)
    place.ends({"COMPLETED": 2})
    assert all(len(run.attempts()) == 1 for run in place.root.runs())


@pytest.mark.only("accounting")
def test_prune_cancels_the_jobs_of_what_left_the_spec_and_no_others(place, spec):
    file = spec(steps=500)
    one = file.read_text()
    file.write_text(one.replace("variants:\n", f"variants:\n{_NO_NORM}"))
    place.launch(file)
    place.training(2)
    file.write_text(one)
    assert "no longer in the spec, or changed: no_norm" in place.launch(file) and len(jobs()) == 2
    assert "pruned 1 run that left the spec, 1 job cancelled" in place.launch(file, "--prune")
    until(lambda: len(jobs()) == 1)


# Coming back


@pytest.mark.only("plain", "bare")
def test_a_preempted_run_goes_on_where_it_was(place, spec, cluster):
    """On SIGUSR2; in the bare cluster on SIGTERM alone."""
    place.launch(spec(steps=50))
    (run,) = place.training()
    preempt()
    place.ends({"COMPLETED": 1}, 90)
    assert events(run, "start")[1]["step"] > 0 and [end["state"] for end in events(run, "end")] == [
        "PREEMPTED",
        "COMPLETED",
    ]
    assert (
        events(run, "end")[0]["reason"]
        == f"interrupted by {'SIGTERM' if cluster == 'bare' else 'SIGUSR2'}"
    )
    assert (
        len({place.job_id(run)}) == 1
        and events(run, "requeue")[0]["done"]
        and "nothing to submit" in place.launch(place.folder / "tiny.yaml")
    )


@pytest.mark.only("bare")
def test_where_preemption_cancels_the_run_goes_on_all_the_same(place, spec):
    place.launch(
        spec(steps=50, resources="gpus: 1, cpus: 1, mem_gb: 1, timeout_min: 10, partition: cheap")
    )
    (run,) = place.training()
    preempt()
    place.ends({"COMPLETED": 1}, 90)
    assert [end["state"] for end in events(run, "end")] == ["PREEMPTED", "COMPLETED"]


@pytest.mark.only("plain")
def test_runs_that_share_a_job_all_go_on_after_a_preemption(place, spec):
    asked = "gpus: 1, cpus: 2, mem_gb: 1, timeout_min: 10, runs_per_job: 3, side_by_side: 2"
    place.launch(spec(runs=3, steps=40, resources=asked))
    begun = place.training(2)
    preempt()
    place.ends({"COMPLETED": 3}, 120)
    runs = place.root.runs()
    assert len({place.job_id(run) for run in runs}) == 1
    assert [len(run.attempts()) for run in runs] == [2 if run in begun else 1 for run in runs]
    assert all(events(run, "start")[1]["step"] > 0 for run in begun)


@pytest.mark.only("accounting")
def test_a_preempted_run_ends_with_the_very_weights_of_one_left_alone(place, spec):
    place.trains = True
    file = spec(steps=25)
    place.launch(file)
    place.training(points=2)
    preempt()
    one_thread = ("--executor", "local", "--slots", os.cpu_count())  # as many as the job has
    place.sweep("--root", "here", "--db", "here.db", "launch", file, *one_thread)
    place.ends({"COMPLETED": 1}, 120)
    (run,) = place.root.runs()
    weights = [
        place.folder / root / "runs" / run.run_id / "encoder" / "state.pt"
        for root in ("sweep-runs", "here")
    ]
    assert len({hashlib.sha256(file.read_bytes()).hexdigest() for file in weights}) == 1
    assert len(run.attempts()) == 2 and events(run, "start")[1]["exact"] is True


@pytest.mark.only("plain")
def test_at_its_time_limit_a_run_checkpoints_and_goes_on(place, spec):
    """A job of one minute, which SLURM warns a third of it before, or up to a minute earlier."""
    place.launch(spec(steps=300, resources="gpus: 1, cpus: 1, mem_gb: 1, timeout_min: 1"))
    until(lambda: place.root.runs() and len(place.root.runs()[0].attempts()) == 2, 150)
    (run,) = place.root.runs()
    assert events(run, "end")[0]["state"] == "TIMEOUT" and events(run, "requeue")[0]["done"]
    until(lambda: len(events(run, "start")) == 2)
    assert events(run, "start")[1]["step"] > 0


@pytest.mark.only("plain")
def test_scontrol_requeue_makes_a_second_attempt(place, spec):
    place.launch(spec(steps=50))
    (run,) = place.training()
    slurm("scontrol", "requeue", place.job_id(run))
    place.ends({"COMPLETED": 1}, 90)
    assert len(run.attempts()) == 2 and events(run, "start")[1]["step"] > 0
    assert events(run, "requeue")[0]["answer"].startswith("left to SLURM")


@pytest.mark.only("accounting")
def test_a_renamed_job_is_sent_no_second_time_and_a_suspended_one_says_so(place, spec):
    file = spec(steps=60)
    place.launch(file)
    (run,) = place.training()
    job_id = place.job_id(run)
    slurm("scontrol", "update", f"JobId={job_id}", "JobName=mine")
    place.launch(file)
    assert place.counts() == {"RUNNING": 1} and jobs("%j") == ["mine"]
    slurm("scontrol", "suspend", job_id)
    until(lambda: "suspended" in (place.runs()["byol", 0]["why"] or ""))
    slurm("scontrol", "resume", job_id)
    place.ends({"COMPLETED": 1}, 90)


@pytest.mark.only("plain")
def test_a_held_job_is_shown_as_such_and_goes_on_when_released(place, spec):
    place.launch(spec(steps=40))
    (run,) = place.training()
    job_id = place.job_id(run)
    slurm("scontrol", "requeuehold", job_id)
    until(lambda: place.counts() == {"SUBMITTED": 1})
    until(lambda: "held" in place.runs()["byol", 0]["reason"])
    slurm("scontrol", "release", job_id)
    place.ends({"COMPLETED": 1}, 90)


@pytest.mark.only("accounting")
def test_a_node_that_goes_down_and_comes_back(place, spec):
    place.launch(spec(steps=40))
    (run,) = place.training()
    slurm("scontrol", "update", f"NodeName={HOST}", "State=DOWN", "Reason=test")
    until(lambda: place.counts() == {"SUBMITTED": 1})  # SLURM has queued it again
    slurm(
        "scontrol", "update", f"NodeName={HOST}", "State=RESUME", check=False
    )  # it may be back by itself
    place.ends({"COMPLETED": 1}, 120)
    assert len(run.attempts()) == 2


# States


def test_one_cancelled_task_of_many(place, spec):
    file = spec(runs=4, steps=25)
    place.launch(file)
    cancelled = place.training(4)[0]
    slurm("scancel", place.job_id(cancelled))
    place.ends({"CANCELLED": 1, "COMPLETED": 3}, 90)
    assert "1 ended without a result; --retry cancelled" in place.launch(file)
    place.launch(file, "--retry", "cancelled")
    place.ends({"COMPLETED": 4})


def test_a_killed_job_is_found_out(place, spec, cluster):
    """SIGKILL leaves no word: slurmdbd or squeue says that it failed; a cluster that has forgotten
    it, nothing.
    """
    place.launch(spec(steps=500))
    (run,) = place.training()
    claim = json.loads(run.attempts()[-1].claim.read_text())
    os.kill(claim["process"]["pid"], signal.SIGKILL)
    if cluster == "bare":
        until(lambda: not slurm("squeue", "-h", "--states=all").split())
    place.ends({"LOST": 1} if cluster == "bare" else {"FAILED": 1}, 60)
    assert "without a word" in place.runs()["byol", 0]["reason"]


@pytest.mark.only("accounting")
def test_a_job_that_the_warning_killed_before_python_could_listen_was_preempted(place, spec):
    asked = "gpus: 1, cpus: 1, mem_gb: 1, timeout_min: 10"
    place.launch(spec(resources=asked + """, python: "bash -c 'kill -USR2 $$'" """))
    place.ends({"PREEMPTED": 1})
    assert "warned before it could listen" in place.runs()["byol", 0]["reason"]
    place.launch(spec(resources=asked))
    place.ends({"COMPLETED": 1})


@pytest.mark.only("bare")
def test_a_finished_job_that_slurm_has_forgotten_is_completed_by_its_result(place, spec):
    place.launch(spec(steps=2))
    until(lambda: not slurm("squeue", "-h", "--states=all").split())
    assert place.counts() == {"COMPLETED": 1}


def test_a_scheduler_that_is_silent_changes_nothing(place, spec):
    place.launch(spec(steps=500))
    place.training()
    with stopped("slurmctld"):
        assert place.counts() == {"RUNNING": 1}


@pytest.mark.only("accounting")
def test_slurmdbd_that_is_silent_takes_nothing_away(place, spec):
    file = spec(runs=2, steps=10)
    with stopped("slurmdbd"):
        place.launch(file)
        place.ends({"COMPLETED": 2})


# What the cluster offers


def test_doctor_reads_the_cluster_and_its_probe_comes_back(place, spec, cluster):
    place.trains = True
    printed = place.sweep(
        "doctor", spec(), "--submit", "--json", status=1
    )  # the GPUs are made up, and torch sees none
    found = {
        one["name"]: one
        for one in json.loads(printed[printed.index("{") : printed.rindex("}") + 1])["findings"]
    }
    assert [name for name, one in found.items() if one["level"] == "fail"] == ["GPUs in a job"]
    assert found["code in a job"]["found"].startswith(f"imported from {place.root.path}/code/")
    assert found["accounting"]["level"] == ("ok" if cluster == "accounting" else "warn")
    assert found["array size"]["found"].startswith("6 jobs" if cluster == "bare" else "10,001 jobs")
    until(lambda: not jobs())  # which SLURM may still be clearing away
    assert not list((place.root.path / "doctor").iterdir())


# Following


@pytest.mark.only("accounting")
def test_wait_ends_with_the_sweep(place, spec):
    out = place.launch(spec(runs=3, steps=5), "--wait")
    assert "3/3" in out or "3 done" in out, out
    assert place.counts() == {"COMPLETED": 3}


@pytest.mark.only("accounting")
def test_ctrl_c_leaves_the_jobs_alone(place, spec):
    launcher = place.start("launch", spec(steps=60), "--executor", "slurm", "--wait")
    place.training()
    launcher.send_signal(signal.SIGTERM)
    out, _ = launcher.communicate(timeout=60)
    assert "the jobs go on without it" in out and len(jobs()) == 1
    place.ends({"COMPLETED": 1})


@pytest.mark.only("plain")
def test_a_controller_follows_the_sweep_from_a_job(place, spec):
    file = spec(runs=2, steps=15)
    assert "controller is SLURM job" in place.launch(file, "--controller")
    until(lambda: place.root.sweep("tiny").plan.exists())
    place.training(2)
    assert "SLURM job" in place.launch(file, status=75)  # who holds the root
    place.ends({"COMPLETED": 2})
    until(lambda: not jobs())


@pytest.mark.only("plain")
def test_a_sweep_that_cannot_work_is_stopped(place, spec, monkeypatch):
    monkeypatch.setenv("STUB_ERROR", "No module named 'left_out'")
    file = spec(runs=12, steps=5)
    out = place.launch(file, "--wait", "--slots", "2", status=1)
    assert "failed before their first step" in out and "left_out" in out
    until(lambda: not jobs())
    assert sum(bool(run.attempts()) for run in place.root.runs()) < 12
    monkeypatch.delenv("STUB_ERROR")
    held_back = place.launch(file)
    assert (
        "nothing to submit" in held_back
        and "--retry cancelled,failed tries them again" in held_back
    )
    place.launch(file, "--retry", "failed,cancelled")
    place.ends({"COMPLETED": 12}, 150)


# Several tasks

_TWO_TASKS = """
import torch, torch.distributed as dist, os
from orchestrator.slurm.distributed import rendezvous
os.environ.update(rendezvous())
dist.init_process_group("gloo", init_method="env://")
value = torch.tensor([float(dist.get_rank() + 1)])
dist.all_reduce(value)
print("sum", value.item(), "of", dist.get_world_size(), flush=True)
"""


@pytest.mark.only("accounting")
def test_two_tasks_meet(place):
    place.trains = True
    script = place.folder / "two.py"
    script.write_text(_TWO_TASKS)
    out = subprocess.run(
        ["runuser", "-u", USER, "--", "srun", "--ntasks=2", "--gpus-per-task=1", "--time=2", python(), script],
        cwd=place.folder, env=place.environment(), capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert out.stdout.count("sum 3.0 of 2") == 2, out.stderr
