"""Makes the console for people: as wide as the terminal; in a pipe no line is broken."""

from rich.console import Console

_PIPE_COLUMNS = 10_000


def make_console() -> Console:
    """Return the console of standard output."""
    console = Console()
    if console.is_terminal:
        return console
    return Console(width=_PIPE_COLUMNS)
