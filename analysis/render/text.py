"""Renders a table as plain text for a terminal, with notes that say what each column is.

On a narrow page columns leave in a stated order, and a line says which.
"""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import chain

from analysis.render.grid import Grid, Style, grid_of
from analysis.render.notes import footnotes, notes, title, verdicts
from analysis.tables.tidy import Report

WIDTH = 120
"""The characters of a line where nobody says how wide the page is."""
_GAP = "  "
_NARROWEST_NAME = 12


def as_text(report: Report, style: Style | None = None, width: int | None = WIDTH) -> str:
    """Return the whole text.

    Args:
        report: the table.
        style: how numbers are written.
        width: of the page in characters; None shows all columns, however wide.
    """
    grid = grid_of(report, style or Style())
    shown = grid if width is None else fitting(grid, width)
    page = width or WIDTH
    text = [*heading(report, page), "", *_lines(shown, width), "", *below(report, page, style)]
    left = [column.heading for column in grid.columns if column not in shown.columns]
    if left:
        text += _wrapped([f"left out at this width: {', '.join(left)}; --wide shows them."], page)
    return "\n".join(line.rstrip() for line in text)


def heading(report: Report, width: int = WIDTH) -> list[str]:
    """Return the lines above a table."""
    words = title(report)
    lines = textwrap.wrap(words.name, width, subsequent_indent="  ")
    for name, text in (("published", words.published), ("ours", words.ours)):
        if not text:
            continue
        lines += textwrap.wrap(f"  {name:<10} {text}", width, subsequent_indent=" " * 13)
    return lines


def below(report: Report, width: int = WIDTH, style: Style | None = None) -> list[str]:
    """Return the lines below a table: its marks, its claims, and what else there is to say."""
    claims = verdicts(report)
    heading = ["the paper's claims, by these runs:"] if claims else []
    paragraphs = (
        _wrapped(footnotes(report), width),
        [*heading, *_wrapped(claims, width)],
        _wrapped(notes(report, style), width),
    )
    return [*chain.from_iterable(["", *lines] for lines in paragraphs if lines)][1:]


def fitting(grid: Grid, width: int) -> Grid:
    """Return a grid from which columns have left until it fits."""
    in_order = sorted(grid.columns, key=lambda column: column.leaves)
    for column in in_order[: -len([column for column in in_order if column.leaves == 99])]:
        if total_width(grid) <= width:
            break
        grid = grid.without(column.key)
    return grid


def _wrapped(texts: list[str], width: int) -> list[str]:
    lines: list[str] = []
    for text in texts:
        lines += textwrap.wrap(text, width, subsequent_indent="  ")
    return lines


def _widths(grid: Grid) -> list[int]:
    headings = [column.heading for column in grid.columns]
    return [max(map(len, texts)) for texts in zip(headings, *grid.rows, strict=True)]


def total_width(grid: Grid) -> int:
    """Return how many characters a line of a grid takes."""
    widths = _widths(grid)
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _lines(grid: Grid, page: int | None) -> Iterator[str]:
    """Yield aligned lines: words stand to the left, numbers to the right.

    Where the page is too narrow even so, the names of the rows are broken.
    """
    widths = _widths(grid)
    if page is not None:
        widths[0] = max(_NARROWEST_NAME, widths[0] - max(0, total_width(grid) - page))
    rule = ["─" * width for width in widths]
    for row in ([column.heading for column in grid.columns], rule, *grid.rows):
        first, *others = row
        above, *below = textwrap.wrap(first, widths[0]) or [""]
        yield _aligned(grid, [above, *others], widths)
        yield from (f"  {rest}" for rest in below)


def _aligned(grid: Grid, row: Sequence[str], widths: Sequence[int]) -> str:
    padded: list[str] = []
    for column, text, width in zip(grid.columns, row, widths, strict=True):
        padded.append(text.ljust(width) if column.is_text else text.rjust(width))
    return _GAP.join(padded)
