"""Tells why a job was asked to stop, and has SLURM queue it again, so that its runs go on.

SLURM warns with SIGUSR2 or SIGTERM before the time limit and before a preemption, and leaves a job
that then exits by itself ended (seen with 22.05: COMPLETED, however it is configured). So a job
that still counts as running asks to be queued again. One that SLURM has already taken back, by
scancel, or by a requeue of its own, does not.
"""

import os
import time
from collections.abc import Sequence

from byol_core.files import RecordLog
from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask
from orchestrator.slurm.durations import seconds_of
from orchestrator.store.retry import held_back
from orchestrator.store.root import RunFolder
from orchestrator.store.standing import last_word
from orchestrator.store.state import COMES_BACK, State

_NEAR_LIMIT_S = 180.0  # the longest lead we ask for, and SLURM's minute of freedom with it
_TRIES = 3
_PAUSE_S = 2.0
_TIMEOUT_S = 10.0
_PENDING = "pending"


def job_id() -> str | None:
    """Return this job's id, "123_4" in an array; None outside of a job.

    The plain number is not enough: one task of an array has the number of the whole array.
    """
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if not array:
        return os.environ.get("SLURM_JOB_ID")
    return f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID')}"


def stopped_as() -> State:
    """Tell what a stop of this job is: its time limit where that is near, else a preemption."""
    _, left_s = _look()
    if left_s is not None and left_s < _NEAR_LIMIT_S:
        return State.TIMEOUT
    return State.PREEMPTED


def come_back(runs: Sequence[RunFolder]) -> None:
    """Have SLURM queue this job again if one of its runs can go on.

    What SLURM answers goes into the events of those runs. A job that does not come back leaves its
    runs to the next launch.
    """
    going_on = [run for run in runs if _can_go_on(run)]
    if not going_on:
        return
    done, answer = _requeue(job_id() or "")

    # A run that was not begun has no attempt, and no events to write to.
    for run in going_on:
        attempt = run.last_attempt()
        if attempt is None:
            continue
        event = {"t": round(time.time(), 3), "type": "requeue", "done": done, "answer": answer}
        with RecordLog(attempt.events) as log:
            log.append(event, durable=True)


def _can_go_on(run: RunFolder) -> bool:
    """Tell whether a run was not begun, or was stopped and gets somewhere; not once cancelled."""
    if run.cancelled.exists():
        return False
    attempt = run.last_attempt()
    if attempt is None:
        return True
    if attempt.done.exists():
        return False

    # Stopped, and not so often in vain that a launch would hold it back.
    end = last_word(attempt)
    if end is None or end["state"] not in COMES_BACK:
        return False
    return held_back(run, State(end["state"])) is None


def _requeue(job: str) -> tuple[bool, str]:
    """Ask SLURM to queue the job again; return whether it does, and its answer in words."""
    word, _ = _look()
    if not word:
        return False, "SLURM does not answer"
    if word != "RUNNING":
        return False, f"left to SLURM, which says {word.lower()}"
    try:
        ask("scontrol", "requeue", job, timeout_s=_TIMEOUT_S)
    except SchedulerError as error:
        return _PENDING in str(error), str(error)  # it is queued already: just what was wanted
    return True, "queued again"


def _look() -> tuple[str, float | None]:
    """Return SLURM's word for this job and the seconds until its time limit.

    The word is empty where SLURM does not answer; the seconds are None where they are not known.
    """
    command = ("squeue", "--noheader", f"--jobs={job_id()}", "--format=%T|%L")
    for _ in range(_TRIES):
        try:
            word, _, left = ask(*command, timeout_s=_TIMEOUT_S).partition("|")
            return word.strip(), seconds_of(left)
        except SchedulerError:
            time.sleep(_PAUSE_S)
    return "", None
