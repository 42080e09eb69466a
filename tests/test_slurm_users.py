"""Faults that users of SLURM met: dead ends, jobs out of sight, refusals, variables of the shell."""

import pytest
from test_orchestrator_submit import SILENT, one_job_each

from orchestrator.launch.launch import Reporter, launch
from orchestrator.launch.options import LaunchOptions
from orchestrator.launch.selection import Selection
from orchestrator.slurm.queue import look_at_queue
from orchestrator.spec import load_sweep
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
