"""What the scheduler says of our runs: run id → its word. One question a look, and silence is not an answer."""

from collections.abc import Mapping

from orchestrator.executors import slurm
from orchestrator.intents import submissions
from orchestrator.root import Root


def queued_runs(root: Root) -> Mapping[str, str] | None:
    """Return the runs whose jobs wait or run; None where SLURM is here and did not answer.

    A submission that was not released yet counts as waiting: its launcher is at it, or has died and the next one repairs.
    """
    open_ = [one for one in submissions(root) if _may_be_active(root, one.run_ids)]
    if not open_:
        return {}
    words = slurm.queue([one.key for one in open_]) if slurm.has_slurm() else None
    if words is None:
        return None
    queued = {run_id: "PENDING" for one in open_ if not one.released for run_id in one.run_ids}
    for one in open_:
        for run_id, job_id in zip(one.run_ids, one.job_ids, strict=False):
            if job_id in words:
                queued[run_id] = words[job_id]
    return queued


def _may_be_active(root: Root, run_ids: list[str]) -> bool:
    for run_id in run_ids:
        attempts = root.run(run_id).attempts()
        if not attempts or not attempts[-1].done.exists():
            return True
    return False
