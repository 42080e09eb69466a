"""Which runs that ended without a result are tried again: a rule per class, as data.

What is not the run's fault costs it nothing; what would happen again is not repeated unless
somebody asks. An attempt got somewhere if it left a checkpoint behind the step that it started
from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from byol_core.files import RecordReader
from orchestrator.store.root import AttemptFolder, RunFolder
from orchestrator.store.standing import Standing
from orchestrator.store.state import State


@dataclass(frozen=True)
class Rule:
    """When a class is tried again without being asked.

    Attributes:
        idle: fewer attempts in a row than this may have got nowhere; 0 for never again, None for no
            limit.
        because: why a run is held back.
    """

    idle: int | None
    because: str = ""


RULES: Mapping[State, Rule] = {
    State.STOPPED: Rule(idle=None),
    State.PREEMPTED: Rule(3, "it was preempted again and again before it got anywhere"),
    State.LOST: Rule(3, "it was lost again and again before it got anywhere"),
    State.TIMEOUT: Rule(1, "its time limit is too short for it to get anywhere"),
    State.OOM: Rule(0, "the same memory would be as short again"),
    State.FAILED: Rule(0, "the same error would come again"),
    State.CANCELLED: Rule(0, "somebody wanted it so"),
}

AUTOMATIC = frozenset(state for state, rule in RULES.items() if rule.idle != 0)
"""What a launch tries again by itself, as a rule."""


def held_back(run: RunFolder, state: State) -> str | None:
    """Tell why a run that ended so is not tried again unasked; None if it is."""
    rule = RULES[state]
    if rule.idle is None or (rule.idle and idle_attempts(run) < rule.idle):
        return None
    return rule.because


def is_due(run: RunFolder, where: Standing, asked: frozenset[State]) -> bool:
    """Tell whether a launch starts a run.

    Args:
        run: its folder.
        where: its standing.
        asked: states that are to be tried again whatever the rule.
    """
    if where.state == State.PLANNED or where.state in asked:
        return True
    return where.state in RULES and held_back(run, where.state) is None


def idle_attempts(run: RunFolder) -> int:
    """Count the attempts, back from the last, that got nowhere."""
    count = 0
    for attempt in reversed(run.attempts()):
        if _got_on(attempt):
            break
        count += 1
    return count


def took_a_step(run: RunFolder) -> bool:
    """Tell whether any attempt at a run has trained at all."""
    return any(
        record["type"] in ("metrics", "checkpoint")
        for attempt in run.attempts()
        for record in RecordReader(attempt.events)
    )


def _got_on(attempt: AttemptFolder) -> bool:
    first = None
    for record in RecordReader(attempt.events):
        if record["type"] == "start":
            first = record["step"]
        elif record["type"] == "checkpoint" and first is not None and record["step"] > first:
            return True
    return False
