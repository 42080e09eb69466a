"""Makes the console for people: as wide as the terminal; in a pipe no line is broken or padded."""

import re
import shutil
import sys
from io import TextIOBase
from typing import IO, cast

from rich.console import Console

_PIPE_COLUMNS = 10_000
_PIPED_WIDTH = 120
_NARROWEST = 60
_TRAILING = re.compile(r" +(?=\n)")


class _Unpadded(TextIOBase):
    """Writes to standard output without the blanks that tables are padded with."""

    def write(self, text: str) -> int:
        """Write whole lines; a console hands over nothing less."""
        sys.stdout.write(_TRAILING.sub("", text))
        return len(text)

    def flush(self) -> None:
        """Pass on what is held back."""
        sys.stdout.flush()


def make_console() -> Console:
    """Return the console of standard output."""
    console = Console()
    if console.is_terminal:
        return console
    return Console(width=_PIPE_COLUMNS, file=cast(IO[str], _Unpadded()))


def page_width(to_file: bool = False) -> int:
    """Return how wide lines of text may be: as the terminal, or what a file and a pipe get."""
    if to_file or not sys.stdout.isatty():
        return _PIPED_WIDTH
    return max(_NARROWEST, shutil.get_terminal_size().columns)
