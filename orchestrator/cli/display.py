"""Shows what a command prints, and lets the command go on where that fails.

The reader of a pipe may go away (`sweep launch … | head -3`), a disk may be full
(`> /dev/full`): what is computed does not depend on it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class UnreadError(Exception):
    """Says that what a command prints cannot be shown, and showing it is all that it does."""


class Display:
    """Stands for a stream: passes text on to it until that fails, and keeps the failure.

    Args:
        stream: standard output or standard error.
        goes_on: a failure is kept for the end of the command; else it ends the command.

    Attributes:
        failure: why text was not shown; None where all was.
    """

    def __init__(self, stream: TextIO, goes_on: bool) -> None:
        self._stream = stream
        self._goes_on = goes_on
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Pass text on, or drop it once that has failed."""
        if self.failure is None:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Pass on what is held back."""
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    def __getattr__(self, name: str) -> Any:
        """Return what only the stream has, as its encoding."""
        return getattr(self._stream, name)

    def _fail(self, error: OSError) -> None:
        """Keep the failure; what the stream still holds goes nowhere, without an error."""
        self.failure = error
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        if not self._goes_on:
            raise UnreadError from None


@contextmanager
def displayed(goes_on: bool) -> Iterator[Display]:
    """Put displays in place of standard output and error; yield that of standard output.

    Args:
        goes_on: the command goes on where its output cannot be shown. Errors never end it.
    """
    before = sys.stdout, sys.stderr
    output, errors = Display(sys.stdout, goes_on), Display(sys.stderr, goes_on=True)
    sys.stdout, sys.stderr = output, errors
    try:
        yield output
    finally:
        errors.flush()
        sys.stdout, sys.stderr = before
