"""Where people read: a terminal in its own width; in a pipe lines are as long as they are."""

from rich.console import Console

_PIPE_COLUMNS = 10_000


def make_console() -> Console:
    """Return the console of standard output."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_COLUMNS)
