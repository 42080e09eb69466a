"""Yields what a run's last attempt recorded and printed, for `sweep logs`.

Before there is an attempt, that is what its job printed. Reads files alone, each opened anew, so it
works on any machine that sees them; SLURM is asked now and then whether the run still goes on, and
need not answer.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from byol_core.files import DamagedFileError, read_bytes
from byol_core.points import metric_line
from orchestrator.store.jobs import Queue
from orchestrator.store.root import AttemptFolder, Root, RunFolder
from orchestrator.store.standing import standing
from orchestrator.store.state import ACTIVE
from orchestrator.store.submissions import submissions

_FOLLOW_S = 0.5
_ASK_S = 15.0


def log_lines(root: Root, run: RunFolder, follow: bool, look: Callable[[], Queue]) -> Iterator[str]:
    """Yield what is there; with `follow`, go on until the run ends, through every attempt.

    Args:
        root: where the run and its sweep are.
        run: whose.
        follow: go on.
        look: asks SLURM.
    """
    goes_on = _GoesOn(run, look)
    source: _Attempt | _Job | None = None
    while True:
        # Asked before reading, so that the last words are not missed.
        active = follow and goes_on()

        # Take the newest attempt, or the job where there is none yet.
        last = run.last_attempt()
        if last is not None and (source is None or source.path != last.path):
            source = _Attempt(last)
            yield f"attempt {last.number}"
        elif source is None:
            source = _Job(root, run)
            yield source.heading(goes_on.state())

        yield from source.lines()
        if not active:
            return
        time.sleep(_FOLLOW_S)


class _GoesOn:
    """Tells whether a run may still say something; asks SLURM at most every 15 s."""

    def __init__(self, run: RunFolder, look: Callable[[], Queue]) -> None:
        self._run = run
        self._look = look
        self._queue = Queue()
        self._ask_at_s = 0.0

    def __call__(self) -> bool:
        if time.monotonic() >= self._ask_at_s:
            self._queue = self._look()
            self._ask_at_s = time.monotonic() + _ASK_S
        return standing(self._run, self._queue).state in ACTIVE

    def state(self) -> str:
        """Return where the run stands, in words."""
        self()
        run_standing = standing(self._run, self._queue)
        word = run_standing.state.value.lower()
        if not run_standing.reason:
            return word
        return f"{word}: {run_standing.reason}"


class _Attempt:
    """Reads the events and the output of one attempt."""

    def __init__(self, attempt: AttemptFolder) -> None:
        self.path = attempt.path
        self._events = attempt.read_events()
        self._is_damaged = False
        self._tails = [_Tail(attempt.stdout, "stdout"), _Tail(attempt.stderr, "stderr")]

    def lines(self) -> Iterator[str]:
        """Yield what is new."""
        try:
            yield from map(_event, self._events)
        except DamagedFileError as error:
            if not self._is_damaged:
                yield f"({error})"
            self._is_damaged = True
        for tail in self._tails:
            yield from tail.lines()
        for damage in self._events.damage:
            yield f"(a damaged line at byte {damage.offset} was skipped: {damage.reason})"
        self._events.damage.clear()


class _Job:
    """Reads the output of a run's newest job before its first attempt: why it died, if it did."""

    def __init__(self, root: Root, run: RunFolder) -> None:
        self.path, self._job_id = _newest_job(root, run)
        self._tails: dict[Path, _Tail] = {}

    def heading(self, state: str) -> str:
        """Return what is known instead of an attempt."""
        if not self._files():
            return f"no attempt yet, {state}"
        return f"no attempt yet, {state}; what job {self._job_id} printed:"

    def lines(self) -> Iterator[str]:
        """Yield what is new."""
        for file in self._files():
            tail = self._tails.setdefault(file, _Tail(file, file.suffix.removeprefix(".")))
            yield from tail.lines()

    def _files(self) -> Sequence[Path]:
        """Return the files that the job has written so far."""
        if not self._job_id:
            return []
        return sorted(self.path.glob(f"{self._job_id}_*_log.*"))


class _Tail:
    """Reads a growing text file piece by piece."""

    def __init__(self, file: Path, name: str) -> None:
        self._file = file
        self._name = name
        self._offset = 0
        self._is_damaged = False

    def lines(self) -> Iterator[str]:
        """Yield the lines that are new."""
        try:
            text = read_bytes(self._file, self._offset)
        except FileNotFoundError:
            return
        except DamagedFileError as error:
            if not self._is_damaged:
                yield f"({error})"
            self._is_damaged = True
            return
        self._offset += len(text)
        yield from (f"{self._name}: {line}" for line in text.decode(errors="replace").splitlines())


def _newest_job(root: Root, run: RunFolder) -> tuple[Path, str]:
    """Return the folder that holds the output of a run's newest job, and the job's id.

    The id is empty where no job was ever to make the run.
    """
    for submission in reversed(submissions(root)):
        if run.run_id in submission.run_ids and submission.job_ids:
            job_id = submission.job_ids[submission.run_ids.index(run.run_id)]
            return submission.log.with_suffix(""), job_id
    return run.path, ""


def _event(record: dict[str, Any]) -> str:
    """Return a record of an event log as a line for people."""
    when = time.strftime("%H:%M:%S", time.localtime(record.get("t", 0.0)))
    if record["type"] == "metrics":
        line = metric_line(record["metrics"], record["images_per_s"])
        return f"{when}  step {record['step']}  epoch {record.get('epoch', '?')}  {line}"
    hidden = ("t", "seq", "type", "origin")
    rest = {key: value for key, value in record.items() if key not in hidden}
    return f"{when}  {record['type']}  {json.dumps(rest, ensure_ascii=False)}"
