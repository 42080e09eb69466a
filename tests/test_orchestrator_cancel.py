"""`sweep cancel`: which runs and jobs it stops, on SLURM and here, whoever holds the launcher lock,
and how they come back.
"""

import json
import subprocess
import time

import pytest
from conftest import command

from orchestrator.errors import UsageError
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.cancel import Choice, cancel_runs, end_lingering, find
from orchestrator.launch.launch import Reporter, launch
from orchestrator.launch.options import LaunchOptions
from orchestrator.launch.plan import make_plan
from orchestrator.launch.selection import Selection
from orchestrator.slurm.queue import look_at_queue
from orchestrator.slurm.submit import cancel_jobs
from orchestrator.spec import load_sweep
from orchestrator.store import intents
from orchestrator.store.jobs import Queue
from orchestrator.store.locks import launcher_lock
from orchestrator.store.root import Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State

pytestmark = pytest.mark.slow

SILENT = Reporter(lambda *_: None, lambda _: None, lambda _: None)
INLINE = AttemptContext("inline", capture=False, device="cpu", threads=1)


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "sweep-runs")


@pytest.fixture
def go(root, fake_slurm):
    def start(file, **selection):
        return launch(
            LaunchOptions(load_sweep(file), Selection(**selection), "slurm"), root, SILENT
        )

    return start


def cancel(root, **choice):
    queue = look_at_queue(root)
    found = find(root, Choice(**choice), queue)
    return found, cancel_runs(root, found.run_ids, queue)


def states(root):
    queue = look_at_queue(root)
    return [standing(run, queue).state.value for run in root.runs()]


def test_a_sweep_is_cancelled_by_one_call_and_stays_so_until_it_is_asked_for(
    go, root, spec_file, fake_slurm
):
    file = spec_file()
    go(file)
    found, jobs = cancel(root, sweeps=["tiny"])
    assert (len(found.run_ids), jobs) == (4, 4) and fake_slurm.calls("scancel") == [["1001_[0-3]"]]
    assert states(root) == ["CANCELLED"] * 4
    assert go(file).sent.job_ids == []
    assert (
        len(go(file, retry=frozenset({State.CANCELLED})).sent.job_ids) == 4
        and states(root) == ["SUBMITTED"] * 4
    )


def test_only_some_variants_and_single_runs(go, root, spec_file, fake_slurm):
    plan = go(spec_file()).plan
    cancel(root, variants=["no_norm"])
    one = next(run.run_id for run in plan.runs if run.variant.name == "byol")
    cancel(root, run_ids=[one])
    queue = look_at_queue(root)
    cancelled = {run.run_id for run in root.runs() if standing(run, queue).state == State.CANCELLED}
    assert cancelled == {run.run_id for run in plan.runs if run.variant.name == "no_norm"} | {one}
    assert len(fake_slurm.jobs("PENDING")) == 1


def test_a_run_that_another_sweep_asks_for_is_spared_unless_both_are_named(go, root, spec_file):
    go(spec_file())
    go(spec_file(("name: tiny", "name: other"), ("seeds: [0, 1]", "seeds: [0]"), name="other.yaml"))
    found, jobs = cancel(root, sweeps=["tiny"])
    assert (len(found.run_ids), len(found.spared), found.wanted_by, jobs) == (2, 2, ["other"], 2)
    found, jobs = cancel(root, sweeps=["tiny", "other"])
    assert (len(found.run_ids), found.spared, len(found.over), jobs) == (2, [], 2, 2)


def test_a_job_with_other_runs_left_is_not_cancelled(go, root, spec_file, fake_slurm):
    plan = go(spec_file(("timeout_min: 10", "timeout_min: 10, runs_per_job: 2"))).plan
    first, second, *_ = [run.run_id for run in plan.start]
    assert cancel(root, run_ids=[first])[1] == 0 and len(fake_slurm.jobs("PENDING")) == 2
    assert (
        run_attempt(root.path, first, INLINE, lambda: None) is None
        and not root.run(first).attempts()
    )
    assert cancel(root, run_ids=[second])[1] == 1 and set(fake_slurm.jobs("CANCELLED")) == {
        "1001_0"
    }


def test_it_works_while_a_launcher_holds_the_lock_and_on_what_is_still_to_be_submitted(
    go, root, spec_file, fake_slurm
):
    fake_slurm.set(assoc={"MaxSubmitJobs": 1})
    file = spec_file()
    assert go(file).sent.held_back == 3
    with launcher_lock(root):
        found, jobs = cancel(root, sweeps=["tiny"])
    assert (len(found.run_ids), jobs) == (4, 1)
    assert go(file).sent.job_ids == []


def test_a_job_that_starts_all_the_same_does_nothing(go, root, spec_file, fake_slurm):
    """scancel came too late, or SLURM did not take it: no attempt is made."""
    run_id = go(spec_file()).plan.start[0].run_id
    fake_slurm.fail(
        "scancel", stderr="scancel: error: Unable to contact slurm controller (connect failure)"
    )
    with pytest.raises(Exception, match="got no answer"):
        cancel(root, sweeps=["tiny"])
    assert (
        run_attempt(root.path, run_id, INLINE, lambda: None) is None
        and not root.run(run_id).attempts()
    )
    assert standing(root.run(run_id), look_at_queue(root)).reason == "is being cancelled"


def test_what_has_ended_keeps_its_state(go, root, spec_file, fake_slurm):
    run_id = go(spec_file()).plan.start[0].run_id
    run_attempt(root.path, run_id, INLINE, lambda: None)
    found, _ = cancel(root, sweeps=["tiny"])
    assert found.over == [run_id] and states(root).count("CANCELLED") == 3


def test_a_job_that_outlives_its_result_is_ended(go, root, spec_file, fake_slurm):
    """As one does whose slurmstepd was killed; a job with a run that is not done is left alone."""
    go(spec_file(), seeds=[0])
    fake_slurm.start("1001_0", "1001_1")
    jobs = intents.newest_jobs(root)
    (done,) = [run for run in root.runs() if jobs[run.run_id] == "1001_0"]
    folder = done.path / "attempts" / "0001"
    folder.mkdir(parents=True)
    job = {"executor": "slurm", "job_id": "1001_0", "device": "cpu"}
    process = {"host": "n1", "boot_id": "b", "pid": 1, "started": 1}
    claim = {"process": process, "job": job, "claimed_at": 1.0}
    (folder / "claim.json").write_text(json.dumps(claim))
    (folder / "done.json").write_text(json.dumps({"outcome": "ok"}))

    every = [run.run_id for run in root.runs()]
    assert end_lingering(root, every) == 1 and fake_slurm.calls("scancel") == [["1001_[0]"]]
    fake_slurm.end("1001_0")
    assert end_lingering(root, every) == 0


@pytest.mark.slow
def test_a_run_on_this_machine_stops_behind_a_checkpoint_and_goes_on_when_asked(
    spec_file, tmp_path, sweep, root
):
    file = spec_file(("epochs: 2,", "epochs: 400,"), ("seeds: [0, 1]", "seeds: [0]"))
    launcher = subprocess.Popen(
        command("launch", file, "--executor", "local", "--slots", "1"),
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not any(attempt.events.exists() for run in root.runs() for attempt in run.attempts()):
            assert time.monotonic() < deadline, "no run began"
            time.sleep(0.2)
        assert "cancelled 2 runs, 0 jobs" in sweep("cancel", "tiny", check=0).stdout
        launcher.wait(60)
    finally:
        launcher.kill()
        launcher.communicate()
    begun = [run for run in root.runs() if run.attempts()]
    assert len(begun) == 1 and list(
        (begun[0].path / "checkpoints").iterdir()
    )  # the other was not started any more
    assert [standing(run, Queue()).state for run in root.runs()] == [State.CANCELLED] * 2
    plan = make_plan(load_sweep(file), root, Selection(retry=frozenset({State.CANCELLED})), Queue())
    assert len(plan.start) == 2


@pytest.mark.slow
def test_a_dry_run_changes_nothing_and_names_must_exist(go, root, spec_file, sweep, fake_slurm):
    go(spec_file())
    assert sweep("cancel", "tiny", "--dry-run", check=0).stdout == "4 runs would be cancelled\n"
    assert (
        len(fake_slurm.jobs("PENDING")) == 4
        and "did you mean 'tiny'" in sweep("cancel", "tyni", check=2).stderr
    )
    for choice, said in (({}, "needs a sweep"), ({"variants": ["byl"]}, "did you mean 'byol'")):
        with pytest.raises(UsageError, match=said):
            find(root, Choice(**choice), Queue())


def test_many_tasks_are_few_words_and_forgotten_jobs_no_error(fake_slurm):
    subprocess.run(
        ["sbatch", "--array=0-9", "--wrap", "true"], check=True, capture_output=True, timeout=20
    )
    cancel_jobs(["1001_0", "1001_1", "1001_2", "1001_9", "1001_5", "999_0", "77"])
    assert fake_slurm.calls("scancel") == [["1001_[0-2,5,9]", "77", "999_[0]"]]
    assert set(fake_slurm.jobs("CANCELLED")) == {f"1001_{i}" for i in (0, 1, 2, 5, 9)}
    cancel_jobs(["77"])
