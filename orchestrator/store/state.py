"""Lists the states that a run can be in."""

from enum import StrEnum


class State(StrEnum):
    """A run is in one of these states; COMPLETED has an outcome, `ok` or `diverged`."""

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
"""States of runs that have, or are about to have, somebody at work on them."""

COMES_BACK = frozenset({State.PREEMPTED, State.TIMEOUT})
"""Last words of workers that ask SLURM to queue their job again."""
