"""`sweep logs`: what a run's last attempt recorded and printed; before there is one, what its job
printed.

Reads files alone, each opened anew, so it works on any machine that sees them; SLURM is asked now
and then whether the run still goes on, and need not answer.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from byol_core.files import RecordReader
from byol_core.points import metric_line
from orchestrator.store.intents import submissions
from orchestrator.store.jobs import Queue
from orchestrator.store.root import AttemptFolder, Root, RunFolder
from orchestrator.store.standing import standing
from orchestrator.store.state import ACTIVE

_FOLLOW_S = 0.5
_ASK_S = 15.0


def log_lines(root: Root, run: RunFolder, follow: bool, look: Callable[[], Queue]) -> Iterator[str]:
    """Yield what is there; with `follow`, go on until the run ends, through every attempt that
    comes.

    Args:
        root: where the run and its sweep are.
        run: whose.
        follow: go on.
        look: asks SLURM.
    """
    goes_on = _GoesOn(run, look)
    source: _Attempt | _Job | None = None
    while True:
        active = follow and goes_on()  # asked before reading, so that the last words are not missed
        newest = run.attempts()[-1:]
        if newest and (source is None or source.path != newest[0].path):
            source = _Attempt(newest[0])
            yield f"attempt {newest[0].number}"
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
        self._run, self._look = run, look
        self._queue, self._ask_at = Queue(), 0.0

    def __call__(self) -> bool:
        if time.monotonic() >= self._ask_at:
            self._queue, self._ask_at = self._look(), time.monotonic() + _ASK_S
        return standing(self._run, self._queue).state in ACTIVE

    def state(self) -> str:
        """Return where the run stands, in words."""
        self()
        where = standing(self._run, self._queue)
        return f"{where.state.value.lower()}{f': {where.reason}' if where.reason else ''}"


class _Attempt:
    """The events and the output of one attempt."""

    def __init__(self, attempt: AttemptFolder) -> None:
        self.path = attempt.path
        self._events = RecordReader(attempt.events)
        self._tails = [_Tail(attempt.stdout, "stdout"), _Tail(attempt.stderr, "stderr")]

    def lines(self) -> Iterator[str]:
        """Yield what is new."""
        yield from map(_event, self._events)
        for tail in self._tails:
            yield from tail.lines()
        yield from (
            f"(a damaged line at byte {one.offset} was skipped: {one.reason})"
            for one in self._events.damage
        )
        self._events.damage.clear()


class _Job:
    """The output of the newest job of a run that has not claimed an attempt; it says why, if the
    job died.
    """

    def __init__(self, root: Root, run: RunFolder) -> None:
        self.path, self._job_id = _newest_job(root, run)
        self._tails: dict[Path, _Tail] = {}

    def heading(self, state: str) -> str:
        """Return what is known instead of an attempt."""
        return f"no attempt yet, {state}" + (
            f"; what job {self._job_id} printed:" if self._files() else ""
        )

    def lines(self) -> Iterator[str]:
        """Yield what is new."""
        for file in self._files():
            yield from self._tails.setdefault(
                file, _Tail(file, file.suffix.removeprefix("."))
            ).lines()

    def _files(self) -> Sequence[Path]:
        return sorted(self.path.glob(f"{self._job_id}_*_log.*")) if self._job_id else []


class _Tail:
    """Reads a growing text file piece by piece."""

    def __init__(self, file: Path, name: str) -> None:
        self._file, self._name = file, name
        self._offset = 0

    def lines(self) -> Iterator[str]:
        """Yield the lines that are new."""
        try:
            with self._file.open("rb") as handle:
                handle.seek(self._offset)
                text = handle.read()
        except FileNotFoundError:
            return
        self._offset += len(text)
        yield from (f"{self._name}: {line}" for line in text.decode(errors="replace").splitlines())


def _newest_job(root: Root, run: RunFolder) -> tuple[Path, str]:
    """Return the folder with the output of the newest job that was to make the run, and its id;
    empty for none.
    """
    for one in sorted(submissions(root), key=lambda one: one.intended_at, reverse=True):
        if run.run_id in one.run_ids and one.job_ids:
            return one.log.with_suffix(""), one.job_ids[one.run_ids.index(run.run_id)]
    return run.path, ""


def _event(record: dict[str, Any]) -> str:
    when = time.strftime("%H:%M:%S", time.localtime(record["t"]))
    if record["type"] == "metrics":
        line = metric_line(record["metrics"], record["images_per_s"])
        return f"{when}  step {record['step']}  epoch {record['epoch']}  {line}"
    rest = {
        key: value for key, value in record.items() if key not in ("t", "seq", "type", "origin")
    }
    return f"{when}  {record['type']}  {json.dumps(rest, ensure_ascii=False)}"
