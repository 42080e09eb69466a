"""Renders a table as Markdown, for a README, an issue or a pull request."""

from collections.abc import Sequence

from analysis.render.grid import Style, grid_of
from analysis.render.notes import footnotes, notes, title, verdicts
from analysis.tables.tidy import Report

_ESCAPED = {"\\": "\\\\", "|": "\\|", "<": "&lt;", ">": "&gt;", "`": "\\`", "*": "\\*", "_": "\\_"}


def as_markdown(report: Report, style: Style | None = None) -> str:
    """Return the whole text."""
    words = title(report)
    grid = grid_of(report, style or Style())
    rule = ["---" if column.is_text else "---:" for column in grid.columns]
    lines = [_row([column.heading for column in grid.columns]), _line(rule)]
    lines += [_row(row) for row in grid.rows]

    sources = [f"- ours: {escape(words.ours)}"]
    if words.published:
        sources.insert(0, f"- published: {escape(words.published)}")
    claims = verdicts(report)
    heading = ["The paper's claims, by these runs:"] if claims else []
    below = [*footnotes(report), *heading, *claims, *notes(report, style)]
    items = [f"- {escape(text)}" for text in below]
    return "\n".join([f"**{escape(words.name)}**", "", *sources, "", *lines, "", *items])


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, in a cell too."""
    return "".join(_ESCAPED.get(char, char) for char in text)


def _row(texts: Sequence[str]) -> str:
    return _line([escape(text) for text in texts])


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"
