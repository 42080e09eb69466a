"""Turns Ctrl-C and SIGTERM into a flag, so that the work can stop where it is safe."""

import signal
from types import FrameType
from typing import Any


class Interrupts:
    """Notes the first interrupt, while entered, as a reason to stop.

    A second Ctrl-C raises KeyboardInterrupt.

    Args:
        signals: which signals count.
    """

    def __init__(self, *signals: signal.Signals) -> None:
        self._signals = signals or (signal.SIGINT, signal.SIGTERM)
        self._before: dict[signal.Signals, Any] = {}
        self._reason: str | None = None

    def reason(self) -> str | None:
        """Return why to stop, None to go on."""
        return self._reason

    def stop(self, reason: str) -> None:
        """Ask for a stop from inside; an earlier reason stands."""
        self._reason = self._reason or reason

    def __enter__(self) -> "Interrupts":
        self._before = {number: signal.signal(number, self._note) for number in self._signals}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self._reason is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._reason = f"interrupted by {signal.Signals(number).name}"
