"""Tells the state of a run from its files and from what SLURM says of its job.

Evidence ranks: done.json, then the worker's own last word, then the scheduler. The highest attempt
alone counts; a job that is newer than it has not begun yet. A claim without a last word is RUNNING
while its process lives or its job does. What cannot be known leaves the state as it is: silence is
not an answer, and a word of SLURM's that is not in `ENDED` means that the job is still there.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from byol_core.files import DamagedFileError, is_there, read_json
from orchestrator.machine.processes import is_alive, named_process
from orchestrator.store.exit_codes import could_not_write, in_words, is_warning, of_process
from orchestrator.store.jobs import ENDED, WAITING, JobFacts, Queue
from orchestrator.store.root import AttemptFolder, RunFolder
from orchestrator.store.state import ACTIVE, COMES_BACK, State
from orchestrator.text import shortened

CANCELLED_BY_HAND = "by `sweep cancel`"

_IN_SIGHT_AFTER_S = 120.0
"""NFS remembers for up to a minute that a file was not there."""

_NODE_FAILED = frozenset({"NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED"})
"""SLURM's words for jobs that a node took down with it."""


@dataclass(frozen=True)
class Standing:
    """A standing is a run's state, with the reason for it.

    Attributes:
        state: one of the states.
        reason: in words, for what ended without a result.
        outcome: of a COMPLETED run.
        attempt: the highest, 0 for none.
        failed_node: the node that took the run down with it; empty if none did.
        trainer: digest of the trainer that made the result of a COMPLETED run; None where it was
            not recorded.
    """

    state: State
    reason: str | None = None
    outcome: str | None = None
    attempt: int = 0
    failed_node: str = ""
    trainer: str | None = None


def standing(run: RunFolder, queue: Queue) -> Standing:
    """Tell the state of a run from its folder and what the scheduler says."""
    try:
        evident = _evident(run, queue)
    except DamagedFileError as error:
        return Standing(State.FAILED, str(error))  # its own run's fault, and no other's
    if evident.state == State.COMPLETED or not is_there(run.cancelled):
        return evident
    if evident.state in ACTIVE:
        return replace(evident, reason="is being cancelled")
    return replace(evident, state=State.CANCELLED, reason=_why_cancelled(run))


def _why_cancelled(run: RunFolder) -> str:
    """Return what its note says; notes of older versions are those of `sweep cancel`."""
    try:
        note = read_json(run.cancelled)
    except DamagedFileError:
        note = None
    if not isinstance(note, dict):
        return CANCELLED_BY_HAND
    return str(note.get("because", CANCELLED_BY_HAND))


def _evident(run: RunFolder, queue: Queue) -> Standing:
    """Tell the state, whether or not the run was cancelled."""
    last = run.last_attempt()
    if last is None:
        return _unclaimed(run.run_id, queue)

    # A result ends the run, whatever anybody else says.
    done = last.read_done()
    if done is not None:
        return Standing(
            State.COMPLETED,
            outcome=done["outcome"],
            attempt=last.number,
            trainer=done.get("trainer"),
        )

    # A claim comes with its attempt's folder in one rename; without it nobody can be at work.
    claim = last.read_claim()
    if claim is None:
        return Standing(State.LOST, "its claim was deleted", attempt=last.number)
    return replace(_claimed(run.run_id, last, claim, queue), attempt=last.number)


def last_word(attempt: AttemptFolder) -> dict[str, Any] | None:
    """Return the worker's `end` record, None while there is none."""
    last = None
    for record in attempt.read_events():
        if record.get("type") == "end":
            last = record
    return last


def _unclaimed(run_id: str, queue: Queue) -> Standing:
    """Tell of a run whose newest job, if it has one, has made no attempt."""
    if run_id in queue.live:
        return Standing(State.SUBMITTED, _in_slurms_words(queue.live[run_id]))
    if run_id in queue.unknown:
        return Standing(State.SUBMITTED, queue.unknown[run_id].reason)
    if run_id in queue.ended:
        return _verdict(queue.ended[run_id], "before it began; `sweep logs` shows its output")
    return Standing(State.PLANNED)


def _claimed(
    run_id: str, attempt: AttemptFolder, claim: Mapping[str, Any], queue: Queue
) -> Standing:
    """Tell the state of a run whose highest attempt has no result.

    The first case that fits decides; from case 4 on, a last word is one of `COMES_BACK`:

           what is known                                  state
        1  no job, or one that is older than the attempt  what the attempt itself shows
        2  the job has not made this attempt              what the job shows: it has not begun
        3  the last word is final                         the last word's
        4  the job waits or runs                          SUBMITTED or RUNNING
        5  nothing can be told of the job now             SUBMITTED after a last word, else RUNNING
        6  the job has ended after a last word            the last word's, unless it was cancelled
        7  the job has ended, its process lives           RUNNING
        8  the job has ended                              what SLURM calls it
    """
    job = queue.live.get(run_id) or queue.unknown.get(run_id) or queue.ended.get(run_id)
    end = last_word(attempt)

    # 1: Without a job, or after it, the attempt was made on this machine.
    if job is None or _is_older(job, queue.attempts_before.get(run_id), attempt, claim):
        return _by_itself(attempt, end, claim)

    # 2: The newest job is not the one that made the attempt, so it is still to make its own.
    if job.job_id != claim["job"]["job_id"]:
        return _unclaimed(run_id, queue)

    # 3: The worker's own word ranks above SLURM's, which may be late.
    if end is not None and State(end["state"]) not in COMES_BACK:
        return _by_itself(attempt, end, claim)

    # 4: A job that was requeued keeps its id: it waits for its next attempt, or makes the first.
    if run_id in queue.live:
        state = State.SUBMITTED if job.word in WAITING else State.RUNNING
        return Standing(state, _in_slurms_words(job))

    # 5: Silence changes nothing: a worker that asked to come back waits, another one works.
    if run_id in queue.unknown:
        state = State.SUBMITTED if end else State.RUNNING
        return Standing(state, job.reason)

    # 6: The job did not come back as its worker wanted; a cancelled one was not to.
    if end is not None and ENDED[job.word] != State.CANCELLED:
        return _by_itself(attempt, end, claim)

    # 7: SLURM counts a job as ended a moment before its process is gone.
    if is_alive(named_process(claim["process"])):
        return Standing(State.RUNNING)

    # 8: Who started it in the job lived on and saw it die; or else SLURM alone can say how it ended.
    if ENDED[job.word] == State.FAILED and is_there(attempt.lost):
        return _lost(attempt, claim)
    return _verdict(job, "without a word of its own")


def _is_older(
    job: JobFacts, attempts_before: int | None, attempt: AttemptFolder, claim: Mapping[str, Any]
) -> bool:
    """Tell whether the attempt was made on this machine, after the job was submitted."""
    if claim["job"]["executor"] == "slurm":
        return False
    if attempts_before is None:  # older versions left nothing but two clocks to compare
        return float(claim["claimed_at"]) > job.submitted_at
    return attempt.number > attempts_before


def _by_itself(
    attempt: AttemptFolder, end: Mapping[str, Any] | None, claim: Mapping[str, Any]
) -> Standing:
    """Tell without the scheduler: by the last word, or else by the process."""
    if end is not None and end["state"] == State.COMPLETED:
        return _without_result(end)
    if end is not None:
        return Standing(State(end["state"]), shortened(end.get("reason")))

    # Without a last word: the process lives, cannot be seen, or is gone.
    host = claim["process"]["host"]
    alive = is_alive(named_process(claim["process"]))
    if alive:
        return Standing(State.RUNNING)
    if alive is None:
        return Standing(State.RUNNING, f"on {host}, which cannot be seen from here")

    return _lost(attempt, claim)


def _lost(attempt: AttemptFolder, claim: Mapping[str, Any]) -> Standing:
    """Tell of a process that is gone; only a launcher that lived on can say how it died."""
    host = claim["process"]["host"]
    lost = attempt.read_lost()
    if lost is not None:
        return Standing(State.LOST, f"its process on {host} {of_process(lost['exit_status'])}")
    return Standing(State.LOST, f"its process on {host} is gone without a word")


def _without_result(end: Mapping[str, Any]) -> Standing:
    """Tell of a run whose worker ended well, but whose result is not here.

    A worker says so once its result is written: the file is late here, or was deleted.
    """
    if time.time() - end.get("t", 0.0) < _IN_SIGHT_AFTER_S:
        return Standing(State.RUNNING, "its result is not in sight yet")
    return Standing(State.LOST, "its result was deleted")


def _in_slurms_words(job: JobFacts) -> str:
    """Put the state of a job in SLURM's words, with the reason where there is one."""
    if job.reason:
        return f"{job.word.lower()} ({job.reason})"
    return job.word.lower()


def _verdict(job: JobFacts, when: str) -> Standing:
    """Tell of a run what SLURM's last word on its job makes of it."""
    # SLURM calls it FAILED when a job dies of its warning, in the moment before it can listen.
    state = ENDED[job.word]
    if job.word == "FAILED" and is_warning(job.exit_code):
        state = State.PREEMPTED
    if job.word == "FAILED" and could_not_write(job.exit_code):
        state = State.LOST

    # The details that SLURM gave, of which each may be missing.
    details = []
    if job.word:
        details.append(_in_slurms_words(job))
    if job.node:
        details.append(f"on {job.node}")
    if job.exit_code not in ("", "0:0"):
        details.append(in_words(job.exit_code))
    reason = f"job {job.job_id} ended {when}"
    if details:
        reason += f" ({', '.join(details)})"

    failed_node = job.node if job.word in _NODE_FAILED else ""
    return Standing(state, reason, failed_node=failed_node)
