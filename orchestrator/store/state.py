"""The states of a run."""

from enum import StrEnum


class State(StrEnum):
    """Run states; COMPLETED has an outcome, `ok` or `diverged`."""

    PLANNED = "PLANNED"
    SUBMITTED = "SUBMITTED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    OOM = "OOM"
    TIMEOUT = "TIMEOUT"
    PREEMPTED = "PREEMPTED"
    STOPPED = "STOPPED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"


ACTIVE = frozenset({State.SUBMITTED, State.RUNNING})

COMES_BACK = frozenset({State.PREEMPTED, State.TIMEOUT})
"""Last words of workers that ask SLURM to queue their job again."""
