"""Renders a table as Markdown, for a README, an issue or a pull request."""

from collections.abc import Sequence

from analysis.render.cells import cells, header
from analysis.render.text import notes, title
from analysis.tables.build import Table

_ESCAPED = {"\\": "\\\\", "|": "\\|", "<": "&lt;", ">": "&gt;", "`": "\\`"}


def as_markdown(table: Table) -> str:
    """Return the whole text."""
    first, *rest = title(table)
    columns = header(table)
    rule = ["---", *["---:"] * (len(columns) - 2), "---"]
    grid = [_row(columns), _row(rule)]
    grid += [_row(cells(line, table)) for line in table.lines]

    sources = [f"- {escape(line.strip())}" for line in rest]
    below = [escape(line.strip()) for line in notes(table)]
    return "\n".join([f"**{escape(first)}**", "", *sources, "", *grid, "", *below])


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, in a cell too."""
    return "".join(_ESCAPED.get(char, char) for char in text)


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(escape(text) for text in texts)} |"
