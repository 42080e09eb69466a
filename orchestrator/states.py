"""The state of a run, told from its files. Evidence ranks: done.json, then the worker's own last word, then the scheduler.

The highest attempt alone counts. A claim without a last word is RUNNING while its process lives or its job is queued;
what cannot be known leaves the state as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from byol_core.files import RecordReader, read_json
from orchestrator.processes import Process, is_alive
from orchestrator.root import AttemptFolder, RunFolder


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
RETRIED_BY_DEFAULT = frozenset({State.LOST, State.PREEMPTED, State.STOPPED, State.TIMEOUT})
RETRIED_ON_REQUEST = frozenset({State.FAILED, State.OOM, State.CANCELLED})


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Attributes:
        state: the run's state.
        reason: in words, for what ended without a result.
        outcome: of a COMPLETED run.
        attempt: the highest, 0 for none.
    """

    state: State
    reason: str | None = None
    outcome: str | None = None
    attempt: int = 0


def standing(run: RunFolder, queued: Mapping[str, str] | None = None) -> Standing:
    """Tell the state of a run.

    Args:
        run: its folder.
        queued: run id → the scheduler's word, for jobs known to wait or run; None where the scheduler was not asked or
            did not answer.
    """
    attempts = run.attempts()
    word = (queued or {}).get(run.run_id)
    if not attempts:
        return Standing(State.SUBMITTED, word) if word else Standing(State.PLANNED)
    last = attempts[-1]
    done = read_json(last.done)
    if done is not None:
        return Standing(State.COMPLETED, outcome=done["outcome"], attempt=last.number)
    end = last_word(last)
    if end is not None:
        if word == "PENDING":  # requeued after it had stopped
            return Standing(State.SUBMITTED, word, attempt=last.number)
        return Standing(State(end["state"]), end.get("reason"), attempt=last.number)
    return _unfinished(last, word, asked=queued is not None)


def last_word(attempt: AttemptFolder) -> dict[str, Any] | None:
    """Return the worker's `end` record, None while there is none."""
    final = None
    for record in RecordReader(attempt.events):
        if record.get("type") == "end":
            final = record
    return final


def _unfinished(attempt: AttemptFolder, word: str | None, asked: bool) -> Standing:
    claim = read_json(attempt.claim)
    if claim is None:
        return Standing(State.LOST, "killed before it could start", attempt=attempt.number)
    if word is not None:
        return Standing(State.RUNNING, attempt=attempt.number)
    alive = is_alive(Process(**claim["process"]))
    if alive is None and not (asked and claim["job"]["job_id"]):
        return Standing(State.RUNNING, f"on {claim['process']['host']}, not seen from here", attempt=attempt.number)
    if alive:
        return Standing(State.RUNNING, attempt=attempt.number)
    return Standing(State.LOST, f"its process on {claim['process']['host']} is gone without a word", attempt=attempt.number)
