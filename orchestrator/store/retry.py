"""Says which runs that ended without a result are tried again: a rule per state, as data.

What is not the run's fault costs it nothing; what would happen again is not repeated unless
somebody asks. An attempt got somewhere if it left a checkpoint beyond the step that it started
from. One that did not, and ended in the state that the rule is for, speaks against the run:

* Its last word is that state. A time limit of which the run had less than half, as the last of
  several in a job may, is forgiven once.
* It left no last word, in a job: then it was the job that ended, and no launcher with it.
* It left no last word, on this machine, and its launcher lived on to write that down
  (``lost.json``). What took the launcher too, as a power cut, is no sign against the run.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from byol_core.files import DamagedFileError
from orchestrator.store.root import AttemptFolder, RunFolder
from orchestrator.store.standing import Standing, last_word
from orchestrator.store.state import State


@dataclass(frozen=True)
class Rule:
    """A rule says when runs of one state are tried again without being asked for.

    Attributes:
        idle: fewer attempts than this, since the last that got somewhere, may speak against the
            run; 0 for never again, None for no limit.
        because: why a run is held back, in words for the user.
    """

    idle: int | None
    because: str = ""


RULES: Mapping[State, Rule] = {
    State.STOPPED: Rule(idle=None),
    State.PREEMPTED: Rule(3, "preempted three times before it left a checkpoint"),
    State.LOST: Rule(3, "lost three times before it left a checkpoint"),
    State.TIMEOUT: Rule(1, "its time limit is too short for a checkpoint"),
    State.OOM: Rule(0, "the same memory would be as short again"),
    State.FAILED: Rule(0, "the same error would come again"),
    State.CANCELLED: Rule(0, "somebody wanted it so"),
}

AUTOMATIC = frozenset(state for state, rule in RULES.items() if rule.idle != 0)
"""States that a launch tries again by itself, as a rule."""


def held_back(run: RunFolder, state: State) -> str | None:
    """Return why a run that ended so is not tried again by itself; None if it is."""
    rule = RULES[state]
    if rule.idle is None:
        return None
    if rule.idle and idle_attempts(run, state) < rule.idle + _had_too_little_time(run, state):
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


def idle_attempts(run: RunFolder, state: State) -> int:
    """Count the attempts since the last that got somewhere which speak against a run.

    Args:
        run: its folder.
        state: that it ended in; attempts that ended otherwise do not count.
    """
    count = 0
    for attempt in reversed(run.attempts()):
        if _got_on(attempt):
            break
        count += _speaks_against_its_run(attempt, state)
    return count


def _speaks_against_its_run(attempt: AttemptFolder, state: State) -> bool:
    """Tell whether an attempt that got nowhere counts, of a run that ended in `state`."""
    try:
        claim = attempt.read_claim()
        was_seen = attempt.read_lost() is not None
        end = last_word(attempt)
    except DamagedFileError:
        return False
    if claim is None:
        return False

    # Without a last word: a job ends without its launcher; a process here may have ended with it.
    if end is None:
        if claim["job"]["executor"] == "slurm":
            return True
        return was_seen and state == State.LOST
    return bool(end["state"] == state)


def _had_too_little_time(run: RunFolder, state: State) -> bool:
    """Tell whether the last attempt met its job's time limit when it had less than half of it."""
    attempt = run.last_attempt()
    if state != State.TIMEOUT or attempt is None:
        return False
    end = last_word(attempt)
    claim = attempt.read_claim()
    if end is None or claim is None or "t" not in end:
        return False
    limit_min = (claim["job"].get("asked") or {}).get("timeout_min")
    return limit_min is not None and end["t"] - claim["claimed_at"] < limit_min * 60 / 2


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
