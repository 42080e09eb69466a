"""Writes down which workers died under a launcher that lived on.

Whatever takes the launcher down too (a power cut, `kill -9` of the whole launch, the end of a
session) is no sign against a run. So a death is written only after the launcher has outlived it by
a moment, into ``lost.json`` of the attempt; ``orchestrator.store.retry`` counts these alone.
"""

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from byol_core.files import DamagedFileError, write_json
from orchestrator.store.jobs import Queue
from orchestrator.store.root import AttemptFolder, Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State

_OUTLIVED_S = 2.0
_NAP_S = 0.05


@dataclass(frozen=True)
class _Ended:
    """Holds a process of a run that has ended, well or not."""

    run_id: str
    pid: int
    exit_status: int
    seen_at: float
    due_s: float


class Losses:
    """Remembers which processes ended, and writes down those that left no last word."""

    def __init__(self, root: Path) -> None:
        self._root = Root(root)
        self._ended: deque[_Ended] = deque()

    def note(self, run_id: str, pid: int, exit_status: int) -> None:
        """Remember that the process of a run has ended."""
        due_s = time.monotonic() + _OUTLIVED_S
        ended = _Ended(run_id, pid, exit_status, time.time(), due_s)
        if self._lost_attempt(ended) is not None:
            self._ended.append(ended)

    def write(self) -> None:
        """Write down the losses that the launcher has outlived by a moment."""
        while self._ended and self._ended[0].due_s <= time.monotonic():
            ended = self._ended.popleft()
            attempt = self._lost_attempt(ended)
            if attempt is not None:
                loss = {"exit_status": ended.exit_status, "seen_at": ended.seen_at}
                with suppress(OSError):  # a full disk stops no launch; the loss does not count
                    write_json(attempt.lost, loss)

    def settle(self, is_interrupted: Callable[[], bool]) -> None:
        """Write down all losses; after an interrupt, which may be that of the machine, none."""
        while self._ended and not is_interrupted():
            time.sleep(_NAP_S)
            self.write()

    def _lost_attempt(self, ended: _Ended) -> AttemptFolder | None:
        """Return the attempt that a process left without a last word; None if it left none."""
        run = self._root.run(ended.run_id)
        try:
            attempt = run.last_attempt()
            claim = attempt.read_claim() if attempt is not None else None
            if claim is None or claim["process"]["pid"] != ended.pid:
                return None
            return attempt if standing(run, Queue()).state == State.LOST else None
        except (DamagedFileError, OSError):
            return None
