"""The state of a run, told from its files. Evidence ranks: done.json, then the worker's own last word, then the scheduler.

The highest attempt alone counts. A claim without a last word is RUNNING while its process lives or its job is queued;
what cannot be known leaves the state as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Queue:
    """What the scheduler says of runs that may have a job.

    Attributes:
        words: run id → its word, for jobs that wait or run.
        gone: run id → job id, for jobs that it no longer knows.
        silent: runs it was asked about and did not answer.
    """

    words: Mapping[str, str] = field(default_factory=dict)
    gone: Mapping[str, str] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()


def standing(run: RunFolder, queue: Queue) -> Standing:
    """Tell the state of a run from its folder and what the scheduler says."""
    attempts = run.attempts()
    if not attempts:
        return _unclaimed(run.run_id, queue)
    last = attempts[-1]
    done = read_json(last.done)
    if done is not None:
        return Standing(State.COMPLETED, outcome=done["outcome"], attempt=last.number)
    word = queue.words.get(run.run_id)
    if word is not None:  # it runs, or was requeued and comes back
        return Standing(State.SUBMITTED if word == "PENDING" else State.RUNNING, word.lower(), attempt=last.number)
    end = last_word(last)
    if end is not None:
        return Standing(State(end["state"]), end.get("reason"), attempt=last.number)
    return _unfinished(run.run_id, last, queue)


def _unclaimed(run_id: str, queue: Queue) -> Standing:
    if run_id in queue.words:
        return Standing(State.SUBMITTED, queue.words[run_id].lower())
    if run_id in queue.silent:
        return Standing(State.SUBMITTED, "SLURM did not answer")
    if run_id in queue.gone:
        return Standing(State.LOST, f"job {queue.gone[run_id]} ended before it began; its output is in the sweep's launches/")
    return Standing(State.PLANNED)


def last_word(attempt: AttemptFolder) -> dict[str, Any] | None:
    """Return the worker's `end` record, None while there is none."""
    final = None
    for record in RecordReader(attempt.events):
        if record.get("type") == "end":
            final = record
    return final


def _unfinished(run_id: str, attempt: AttemptFolder, queue: Queue) -> Standing:
    """A claim without a last word: its process lives, cannot be seen, or is gone."""
    claim = read_json(attempt.claim)
    if claim is None:
        return Standing(State.LOST, "its claim was deleted", attempt=attempt.number)
    host, alive = claim["process"]["host"], is_alive(Process(**claim["process"]))
    if alive:
        return Standing(State.RUNNING, attempt=attempt.number)
    if alive is None and run_id not in queue.gone:
        return Standing(State.RUNNING, f"on {host}, which cannot be seen from here", attempt=attempt.number)
    return Standing(State.LOST, f"its process on {host} is gone without a word", attempt=attempt.number)
