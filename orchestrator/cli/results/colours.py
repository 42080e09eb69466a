"""Colours the text of a table for a terminal: how far rows are, and what became of claims."""

from rich.console import Console
from rich.text import Text

_STYLES = {
    r"\bdone \d+/\d+": "green",
    r"\b(partial|running|waiting) \d+/\d+": "yellow",
    r"\b(failed|stopped|confounded|excluded) \d+/\d+|\babsent( \d+/\d+)?(?=$| )": "red",
    r"(?m)^held\b": "green",
    r"(?m)^undecided\b": "yellow",
    r"(?m)^contradicted\b": "bold red",
    r"(?m)^[a-z_0-9]+: .*$(?=\n  published)": "bold",
}
"""Regular expression → style; the first line of a table is its name."""


def print_coloured(text: str, console: Console) -> None:
    """Print the text of a table; without colours where the console has none, as in a pipe."""
    coloured = Text(text.rstrip("\n"))
    for pattern, style in _STYLES.items():
        coloured.highlight_regex(pattern, style)
    console.print(coloured, soft_wrap=True)
