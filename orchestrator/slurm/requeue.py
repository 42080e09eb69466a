"""What a job does once it was asked to stop: tell why, and have SLURM queue it again, so that it
goes on without a launcher.

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
from orchestrator.store.retry import held_back
from orchestrator.store.root import RunFolder
from orchestrator.store.standing import last_word
from orchestrator.store.state import COMES_BACK, State

_NEAR_LIMIT_S = 180.0  # the longest lead we ask for, and SLURM's minute of freedom with it
_TRIES, _PAUSE_S, _TIMEOUT_S = 3, 2.0, 10.0
_PENDING = "pending"


def job_id() -> str | None:
    """Return this job's id, "123_4" in an array; None outside of a job.

    The plain number is not enough: one task of an array has the number of the whole array.
    """
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")


def stopped_as() -> State:
    """Tell what a stop of this job is: its time limit where that is near, else a preemption."""
    _, left_s = _look()
    return State.TIMEOUT if left_s is not None and left_s < _NEAR_LIMIT_S else State.PREEMPTED


def come_back(runs: Sequence[RunFolder]) -> None:
    """Have SLURM queue this job again if one of its runs can go on; what SLURM answers goes into
    the events of those runs.

    A job that does not come back leaves its runs to the next launch.
    """
    going_on = [run for run in runs if _can_go_on(run)]
    if not going_on:
        return
    done, answer = _requeue(job_id() or "")
    for run in going_on:
        for attempt in run.attempts()[-1:]:
            with RecordLog(attempt.events) as log:
                log.append(
                    {"t": round(time.time(), 3), "type": "requeue", "done": done, "answer": answer},
                    durable=True,
                )


def _can_go_on(run: RunFolder) -> bool:
    """Tell whether a run was stopped and gets somewhere, or was not begun; one that was cancelled
    does not.
    """
    if run.cancelled.exists():
        return False
    attempts = run.attempts()
    if not attempts:
        return True
    if attempts[-1].done.exists():
        return False
    end = last_word(attempts[-1])
    return (
        end is not None
        and end["state"] in COMES_BACK
        and held_back(run, State(end["state"])) is None
    )


def _requeue(job: str) -> tuple[bool, str]:
    word, _ = _look()
    if word != "RUNNING":
        return (
            False,
            f"left to SLURM, which says {word.lower()}" if word else "SLURM does not answer",
        )
    try:
        ask("scontrol", "requeue", job, timeout_s=_TIMEOUT_S)
    except SchedulerError as error:
        return _PENDING in str(error), str(error)  # it is queued already: just what was wanted
    return True, "queued again"


def _look() -> tuple[str, float | None]:
    """Return SLURM's word for this job, empty if it does not answer, and the seconds until its time
    limit.
    """
    for _ in range(_TRIES):
        try:
            word, _, left = ask(
                "squeue", "--noheader", f"--jobs={job_id()}", "--format=%T|%L", timeout_s=_TIMEOUT_S
            ).partition("|")
            return word.strip(), _seconds(left.strip())
        except SchedulerError:
            time.sleep(_PAUSE_S)
    return "", None


def _seconds(printed: str) -> float | None:
    """Read DAYS-HOURS:MINUTES:SECONDS, of which the front may be missing; None for what is no time,
    as UNLIMITED.
    """
    days, _, clock = printed.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdecimal() for part in [*parts, days or "0"]):
        return None
    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return float(seconds + 86400 * int(days or "0"))
