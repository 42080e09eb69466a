"""What SLURM says of our runs: one question a look, and silence is not an answer."""

from orchestrator.intents import Submission, submissions
from orchestrator.root import Root
from orchestrator.slurm.commands import has_slurm
from orchestrator.slurm.look import queue
from orchestrator.states import Queue


def look_at_queue(root: Root) -> Queue:
    """Ask SLURM about every run that may still have a job.

    A submission that was not released yet counts as waiting: its launcher is at it, or has died and the next one repairs.
    """
    open_ = [one for one in submissions(root) if _may_be_active(root, one.run_ids)]
    if not open_:
        return Queue()
    answer = queue([one.key for one in open_]) if has_slurm() else None
    words: dict[str, str] = {}
    gone: dict[str, str] = {}
    for one in open_:  # oldest first, so that the newest submission of a run has the last word
        for run_id, job_id in _jobs(one):
            words.pop(run_id, None)
            gone.pop(run_id, None)
            if not one.released:
                words[run_id] = "PENDING"
            elif answer is not None and job_id in answer:
                words[run_id] = answer[job_id]
            else:
                gone[run_id] = job_id
    if answer is None:
        return Queue(words, silent=frozenset(gone))
    return Queue(words, gone)


def _jobs(one: Submission) -> list[tuple[str, str]]:
    return list(zip(one.run_ids, one.job_ids or [""] * len(one.run_ids), strict=False))


def _may_be_active(root: Root, run_ids: list[str]) -> bool:
    for run_id in run_ids:
        attempts = root.run(run_id).attempts()
        if not attempts or not attempts[-1].done.exists():
            return True
    return False
