"""Faults that users of SLURM met: dead ends, jobs out of sight, refusals, variables of the shell."""

import pytest
from test_orchestrator_submit import SILENT, one_job_each

from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.launch.cancel import Choice, cancel_runs, find
from orchestrator.launch.launch import Reporter, launch
from orchestrator.launch.options import LaunchOptions
from orchestrator.launch.plan import make_plan
from orchestrator.launch.selection import Selection
from orchestrator.slurm.queue import look_at_queue
from orchestrator.spec import load_sweep
from orchestrator.status.sweep_status import sweep_statuses
from orchestrator.status.terminal import _next_steps
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State

NO_ANSWER = "slurm_suspend error: Unable to contact slurm controller (connect failure)"
NOT_AVAILABLE = "Requested node configuration is not available for job 1001"


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "sweep-runs")


@pytest.fixture
def go(root, fake_slurm):
    """Launch a spec on the fake; return what was sent."""

    def start(file, notes=None, **selection):
        reporter = SILENT
        if notes is not None:
            reporter = Reporter(lambda *_: None, notes.append, lambda _: None)
        options = LaunchOptions(load_sweep(file), Selection(**selection), "slurm")
        return launch(options, root, reporter).sent

    return start


def states(root):
    queue = look_at_queue(root)
    return [standing(run, queue).state.value for run in root.runs()]


# Submissions that were acknowledged and never released


def test_a_held_job_that_was_cancelled_by_hand_can_be_launched_again(
    go, root, spec_file, fake_slurm
):
    """Its launcher died before the release; the queue is asked how it stands."""
    fake_slurm.fail("scontrol", stderr=NO_ANSWER, after=1)
    file = spec_file()
    go(file)
    fake_slurm.end(*fake_slurm.jobs(), state="CANCELLED")
    assert states(root) == ["CANCELLED"] * 4

    notes = []
    fake_slurm.fail("scontrol", stderr="Job/step already completing or completed for job 1001")
    assert go(file, notes).job_ids == []
    assert "SLURM has none of them waiting any more" in notes[0]
    assert len(go(file, notes, retry=frozenset({State.CANCELLED})).job_ids) == 4
    assert len(notes) == 1 and one_job_each(fake_slurm, root)


def test_jobs_that_slurm_refuses_to_release_are_taken_back_at_once(go, root, spec_file, fake_slurm):
    fake_slurm.fail("scontrol", stderr=NOT_AVAILABLE, after=1)
    file = spec_file()
    sent = go(file)
    assert "node configuration" in sent.refusal and sent.job_ids == []
    assert fake_slurm.jobs("PENDING") == {} and states(root) == ["PLANNED"] * 4
    assert len(go(file).job_ids) == 4


def test_jobs_that_a_dead_launcher_left_and_slurm_refuses_to_release_are_planned_again(
    go, root, spec_file, fake_slurm
):
    fake_slurm.fail("scontrol", stderr=NO_ANSWER, after=1)
    file = spec_file()
    go(file)
    notes = []
    fake_slurm.fail("scontrol", stderr=NOT_AVAILABLE)
    assert len(go(file, notes).job_ids) == 4
    assert "cancelled, as nothing of them had begun" in notes[0]
    assert one_job_each(fake_slurm, root)


# Jobs of runs that the spec has no more


def cancel(root, *sweeps):
    queue = look_at_queue(root)
    return cancel_runs(root, find(root, Choice(sweeps), queue).run_ids, queue)


@pytest.mark.parametrize(
    "change",
    [("seeds: [0, 1]", "seeds: [0]"), ("predictor.norm: none", "predictor.norm: ln")],
)
def test_jobs_of_what_left_the_spec_are_seen_and_cancelled(
    go, root, spec_file, fake_slurm, tmp_path, change
):
    go(spec_file())
    go(spec_file(change))
    fewer = change[0].startswith("seeds")
    engine = open_database(str(tmp_path / "results.db"))
    collect(root, engine, look_at_queue(root))
    (status,) = sweep_statuses(engine, "tiny")
    assert status.left_jobs == 2 and len(status.runs) == (2 if fewer else 4)
    assert "2 jobs of runs that left the spec" in list(_next_steps(status, False))[0]
    assert cancel(root, "tiny") == len(fake_slurm.jobs("CANCELLED")) == (4 if fewer else 6)


def test_what_left_one_sweep_and_is_asked_for_by_another_is_spared(go, root, spec_file, fake_slurm):
    go(spec_file())
    go(spec_file(("name: tiny", "name: other"), name="other.yaml"))
    go(spec_file(("seeds: [0, 1]", "seeds: [0]")))
    assert cancel(root, "tiny") == 0 and len(fake_slurm.jobs("PENDING")) == 4
    assert cancel(root, "tiny", "other") == 4


def test_prune_cancels_the_jobs_of_seeds_that_left_the_spec(root, spec_file, fake_slurm):
    def start(file, **asked):
        options = LaunchOptions(load_sweep(file), Selection(), "slurm", **asked)
        return launch(options, root, SILENT)

    start(spec_file())
    done = start(spec_file(("seeds: [0, 1]", "seeds: [1]")), prune=True)
    assert done.plan.removed_variants == ["byol", "no_norm"]
    assert len(fake_slurm.jobs("CANCELLED")) == 2 == len(fake_slurm.jobs("PENDING"))


def test_seeds_of_one_launch_alone_do_not_leave_the_spec(go, root, spec_file, fake_slurm):
    file = spec_file()
    go(file, seeds=[7])
    go(file)
    assert make_plan(load_sweep(file), root, Selection(), Queue()).removed == []
    assert cancel(root, "tiny") == 6
