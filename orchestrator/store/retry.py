"""Says which runs that ended without a result are tried again: a rule per state, as data.

What is not the run's fault costs it nothing; what would happen again is not repeated unless
somebody asks. An attempt got somewhere if it left a checkpoint beyond the step that it started
from.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from byol_core.files import DamagedFileError
from orchestrator.store.root import AttemptFolder, RunFolder
from orchestrator.store.standing import Standing
from orchestrator.store.state import State


@dataclass(frozen=True)
class Rule:
    """A rule says when runs of one state are tried again without being asked for.

    Attributes:
        idle: fewer attempts in a row than this may have got nowhere; 0 for never again, None for no
            limit.
        because: why a run is held back, in words for the user.
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
"""States that a launch tries again by itself, as a rule."""


def held_back(run: RunFolder, state: State) -> str | None:
    """Return why a run that ended so is not tried again by itself; None if it is."""
    rule = RULES[state]
    if rule.idle is None or (rule.idle and idle_attempts(run) < rule.idle):
        return None
    return rule.because


def is_due(run: RunFolder, standing: Standing, retry: frozenset[State]) -> bool:
    """Tell whether a launch starts a run.

    Args:
        run: its folder.
        standing: its standing now.
        retry: states that are to be tried again whatever the rule.
    """
    if standing.state == State.PLANNED or standing.state in retry:
        return True
    return standing.state in RULES and held_back(run, standing.state) is None


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
    try:
        return any(_has_stepped(attempt) for attempt in run.attempts())
    except DamagedFileError:
        return False


def _has_stepped(attempt: AttemptFolder) -> bool:
    return any(record["type"] in ("metrics", "checkpoint") for record in _records(attempt))


def _records(attempt: AttemptFolder) -> Iterator[dict[str, Any]]:
    """Yield what an attempt recorded; a log that cannot be read shows nothing."""
    with suppress(DamagedFileError):
        yield from attempt.read_events()


def _got_on(attempt: AttemptFolder) -> bool:
    """Tell whether an attempt left a checkpoint beyond the step that it started from."""
    first_step = math.inf  # until it says that it has started
    for record in _records(attempt):
        if record["type"] == "start":
            first_step = record["step"]
        elif record["type"] == "checkpoint" and record["step"] > first_step:
            return True
    return False
