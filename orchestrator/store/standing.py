"""The state of a run, told from its files. Evidence ranks: done.json, then the worker's own last
word, then the scheduler.

The highest attempt alone counts; a job that is newer than it has not begun yet. A claim without a
last word is RUNNING while its process lives or its job does. What cannot be known leaves the state
as it is: silence is not an answer, and a word of SLURM's that is not listed here means that the job
is still there.
"""

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from byol_core.files import RecordReader, read_json
from orchestrator.machine.processes import Process, is_alive
from orchestrator.store.jobs import ENDED, WAITING, JobFacts, Queue
from orchestrator.store.root import AttemptFolder, RunFolder
from orchestrator.store.state import ACTIVE, COMES_BACK, State

_WARNINGS = frozenset({signal.SIGUSR2, signal.SIGTERM})
"""Signals by which SLURM warns before a time limit or a preemption."""

_IN_SIGHT_AFTER_S = 120.0
"""NFS remembers for up to a minute that a file was not there."""

_NODE_FAILED = frozenset({"NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED"})


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Attributes:
        state: the run's state.
        reason: in words, for what ended without a result.
        outcome: of a COMPLETED run.
        attempt: the highest, 0 for none.
        failed_node: the node that took the run down with it; empty if none did.
    """

    state: State
    reason: str | None = None
    outcome: str | None = None
    attempt: int = 0
    failed_node: str = ""


def standing(run: RunFolder, queue: Queue) -> Standing:
    """Tell the state of a run from its folder and what the scheduler says."""
    told = _told(run, queue)
    if told.state == State.COMPLETED or not run.cancelled.exists():
        return told
    if told.state in ACTIVE:
        return replace(told, reason="is being cancelled")
    return replace(told, state=State.CANCELLED, reason="by `sweep cancel`")


def _told(run: RunFolder, queue: Queue) -> Standing:
    """Tell the state, whether or not the run was cancelled."""
    attempts = run.attempts()
    if not attempts:
        return _unclaimed(run.run_id, queue)
    last = attempts[-1]
    done = read_json(last.done)
    if done is not None:
        return Standing(State.COMPLETED, outcome=done["outcome"], attempt=last.number)
    claim = read_json(last.claim)
    if claim is None:
        return Standing(State.LOST, "its claim was deleted", attempt=last.number)
    return replace(_claimed(run.run_id, last, claim, queue), attempt=last.number)


def last_word(attempt: AttemptFolder) -> dict[str, Any] | None:
    """Return the worker's `end` record, None while there is none."""
    final = None
    for record in RecordReader(attempt.events):
        if record.get("type") == "end":
            final = record
    return final


def _unclaimed(run_id: str, queue: Queue) -> Standing:
    if run_id in queue.live:
        return Standing(State.SUBMITTED, _said(queue.live[run_id]))
    if run_id in queue.unknown:
        return Standing(State.SUBMITTED, queue.unknown[run_id].reason)
    if run_id in queue.ended:
        return _verdict(queue.ended[run_id], "before it began; `sweep logs` shows its output")
    return Standing(State.PLANNED)


def _claimed(
    run_id: str, attempt: AttemptFolder, claim: Mapping[str, Any], queue: Queue
) -> Standing:
    """An attempt without a result."""
    facts = queue.live.get(run_id) or queue.unknown.get(run_id) or queue.ended.get(run_id)
    end = last_word(attempt)
    if facts is None or _is_older(facts, claim):
        return _by_itself(end, claim)
    if facts.job_id != claim["job"]["job_id"]:
        return _unclaimed(run_id, queue)
    state = State(end["state"]) if end else None
    if end is not None and state not in COMES_BACK:
        return _by_itself(end, claim)
    if run_id in queue.live:  # it runs, or was requeued and comes back
        return Standing(State.SUBMITTED if facts.word in WAITING else State.RUNNING, _said(facts))
    if run_id in queue.unknown:
        return Standing(State.SUBMITTED if end else State.RUNNING, facts.reason)
    if end is not None and ENDED[facts.word] != State.CANCELLED:
        return _by_itself(end, claim)
    if is_alive(Process(**claim["process"])):
        return Standing(State.RUNNING)
    return _verdict(facts, "without a word of its own")


def _is_older(facts: JobFacts, claim: Mapping[str, Any]) -> bool:
    """Tell whether the attempt was made on this machine, after the job was submitted."""
    return claim["job"]["executor"] != "slurm" and float(claim["claimed_at"]) > facts.submitted_at


def _by_itself(end: Mapping[str, Any] | None, claim: Mapping[str, Any]) -> Standing:
    """Tell without the scheduler: by the last word, else by the process, which lives, cannot be
    seen, or is gone.
    """
    if end is not None:
        return (
            _without_result(end)
            if end["state"] == State.COMPLETED
            else Standing(State(end["state"]), end.get("reason"))
        )
    host, alive = claim["process"]["host"], is_alive(Process(**claim["process"]))
    if alive:
        return Standing(State.RUNNING)
    if alive is None:
        return Standing(State.RUNNING, f"on {host}, which cannot be seen from here")
    return Standing(State.LOST, f"its process on {host} is gone without a word")


def _without_result(end: Mapping[str, Any]) -> Standing:
    """Tell of a run whose worker ended well, which it says once its result is written: that is late
    here, or was deleted.
    """
    if time.time() - end.get("t", 0.0) < _IN_SIGHT_AFTER_S:
        return Standing(State.RUNNING, "its result is not in sight yet")
    return Standing(State.LOST, "its result was deleted")


def _said(facts: JobFacts) -> str:
    return f"{facts.word.lower()} ({facts.reason})" if facts.reason else facts.word.lower()


def _verdict(facts: JobFacts, when: str) -> Standing:
    """What SLURM's last word on a job makes of its run."""
    said = [_said(facts)] if facts.word else []
    said += [f"on {facts.node}"] if facts.node else []
    said += [_exit(facts.exit_code)] if facts.exit_code not in ("", "0:0") else []
    node = facts.node if facts.word in _NODE_FAILED else ""
    text = f"job {facts.job_id} ended {when}" + (f" ({', '.join(said)})" if said else "")
    return Standing(
        State.PREEMPTED if _was_warned_early(facts) else ENDED[facts.word], text, failed_node=node
    )


def _was_warned_early(facts: JobFacts) -> bool:
    """Tell whether a job died of SLURM's warning, as it does in the moment before it can listen to
    one.
    """
    return facts.word == "FAILED" and _signal_of(facts.exit_code) in _WARNINGS


def _signal_of(code: str) -> int:
    """Return the signal in SLURM's STATUS:SIGNAL, 0 for none.

    A shell calls signal 12 status 140, and srun, which hands on how its task ended, calls it status
    12 (seen with 22.05).
    """
    status, _, number = code.partition(":")
    if number.isdecimal() and int(number):
        return int(number)
    plain = int(status) if status.isdecimal() else 0
    return plain - 128 if plain > 128 else plain if plain in _WARNINGS | {signal.SIGKILL} else 0


def _exit(code: str) -> str:
    """Put SLURM's STATUS:SIGNAL in words."""
    number = _signal_of(code)
    if number == signal.SIGKILL:
        return "killed, perhaps for its memory"
    if number in _WARNINGS:
        return "warned before it could listen"
    return f"ended by signal {number}" if number else f"exit status {code.partition(':')[0]}"
