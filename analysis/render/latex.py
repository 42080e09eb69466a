r"""Renders a table for a paper: booktabs, spanning headers, notes below that explain the marks.

Needs `\usepackage{booktabs}` alone. What its author must know, but not its readers, stands in
comments: other settings, claims, commands. Equal tables give equal bytes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from textwrap import wrap
from typing import Any

from analysis.render.grid import NOTHING, Column, Grid, Style, grid_of, letters
from analysis.render.latex_text import breakable, escaped, prose
from analysis.render.matrix import METHODS, Block, blocks
from analysis.render.notes import (
    footnotes,
    notes,
    notes_for_readers,
    setting_words,
    title,
    verdicts,
)
from analysis.render.text import fitting, total_width
from analysis.tables.tidy import Report

_PAGE = 88
"""Characters that one line of an article holds in the size of notes."""
_SMALLER = 12
"""Characters more that it holds in the smaller size of many columns."""
_LABEL = 28
"""Longer labels are broken into lines."""
_LABEL_WIDTH = r"0.28\linewidth"
_MANY_COLUMNS = 10
_HEADING = 11
"""Headings of more characters, and wider than their column, are broken into lines."""
_PAD = "\N{FIGURE SPACE}"
"""Stands for a digit that is left out; names that people chose have none: they are made plain."""


def as_latex(report: Report, style: Style | None = None, wide: bool = False) -> str:
    """Return a floating table; columns leave until it fits the page of an article.

    Args:
        report: the table.
        style: how numbers are written.
        wide: whether all columns stay, however wide that is.
    """
    whole = grid_of(report, style or Style())
    grid = whole if wide else _fitting(whole)
    kept = {column.key for column in grid.columns}
    left = [column.heading for column in whole.columns if column.key not in kept]
    remarks = [f"left out at this width: {', '.join(left)}; --wide has them"] if left else []
    # What cannot leave is printed smaller: n stands beside every mean.
    width = total_width(_as_broken(grid))
    is_small = len(grid.columns) > _MANY_COLUMNS or width > _PAGE
    if width > _PAGE + _SMALLER:
        remarks.append("wider than the page of an article: use table*, or turn the page")
    return _floating(
        report, style or Style(), _size(is_small=is_small), [*_tabular(report, grid)], remarks
    )


def as_latex_matrix(report: Report, style: Style | None = None) -> str:
    """Return a floating table with a block per method, as the paper prints its Table 1.

    Raises:
        NoMatrixError: the table's rows are not told apart by the norms of the components.
    """
    of_methods = blocks(report, style or Style())
    size = _size(is_small=max(len(block.lines) for block in of_methods) > _MANY_COLUMNS)
    body: list[str] = []
    for block in of_methods:
        body += [*_matrix(block), "", r"\medskip"]

    # The matrix has no room for the words of states.
    states = [f"{line.label}: {line.state}" for line in report.main.itertuples()]
    return _floating(
        report, style or Style(), size, body[:-2], [text for text in states if "done" not in text]
    )


def _size(*, is_small: bool) -> str:
    return r"\scriptsize" if is_small else r"\footnotesize"


def _floating(
    report: Report, style: Style, size: str, body: Sequence[str], remarks: Sequence[str]
) -> str:
    """Return the environment around a table: what it is, its caption, and the notes below."""
    # A label is a name for \ref, so it has letters, digits and few signs.
    name = re.sub(r"[^A-Za-z0-9]+", "-", report.table.rows.id).strip("-")
    lines = [
        *map(_comment, _origin(report)),
        r"\begin{table}[tbp]",
        r"\centering",
        rf"\caption{{{_caption(report)}}}",
        rf"\label{{tab:{name}}}",
        r"\smallskip",
        size,
        *body,
        "",
        r"\medskip",
        r"\begin{minipage}{\linewidth}",
        r"\footnotesize\raggedright",
        *_below(report, style),
        r"\end{minipage}",
        r"\end{table}",
        *map(_comment, [*remarks, *_for_the_author(report, style)]),
    ]
    return "\n".join(lines)


def _comment(text: str) -> str:
    return f"% {text}".rstrip()


def _origin(report: Report) -> Iterator[str]:
    """Say which numbers these are; the day is that of the data, so that equal data stays equal."""
    table = report.table
    yield r"needs \usepackage{booktabs}"
    if table.setting is None:
        yield f"table {table.rows.id}, no runs yet"
        return
    day = ""
    if table.setting.launched_at:
        day = f", launched {datetime.fromtimestamp(table.setting.launched_at, UTC):%Y-%m-%d} UTC"
    yield f"table {table.rows.id}, setting {table.setting.id}, {table.setting.sweep}{day}"


def _caption(report: Report) -> str:
    """Return the title and where both sides come from, without the names of our commands."""
    words = title(report)
    text = f"{breakable(report.table.rows.title)}."
    if report.table.rows.printed is not None:
        text += f" Published: {breakable(words.published)}."
    if report.table.setting is not None:
        text += f" Ours: {breakable(setting_words(report.table.setting, report.table.rows))}."
    return text


def _below(report: Report, style: Style) -> Iterator[str]:
    """Yield the notes that readers need, a paragraph each; a mark's begins with its letter."""
    for text in footnotes(report):
        letter, _, rest = text.partition(" ")
        yield rf"\textsuperscript{{{letter}}} {prose(_without_commands(rest))}\par"
    for text in notes_for_readers(report, style):
        yield rf"{prose(text)}\par"


def _without_commands(text: str) -> str:
    """Return a mark's meaning without the advice which command to type."""
    return re.sub(r"; [^;`]*`[^`]*`[^;.]*(?=\.)", "", text, count=1)


def _for_the_author(report: Report, style: Style) -> list[str]:
    """Return what stands in comments: claims, and the notes that name our commands."""
    for_readers = set(notes_for_readers(report, style))
    rest = [text for text in notes(report, style) if text not in for_readers]
    claims = verdicts(report)
    heading = ["the paper's claims, by these runs:"] if claims else []
    return [*heading, *claims, *rest]


def _fitting(grid: Grid) -> Grid:
    """Return the grid without the columns for which an article's page has no room."""
    kept = {column.key for column in fitting(_as_broken(grid), _PAGE).columns}
    for column in grid.columns:
        if column.key not in kept:
            grid = grid.without(column.key)
    return grid


def _as_broken(grid: Grid) -> Grid:
    """Return a grid as wide as it is printed: long labels and headings are broken into lines."""
    shortened = [[row[0][:_LABEL], *row[1:]] for row in grid.rows]
    columns: list[Column] = []
    for number, column in enumerate(grid.columns):
        heading = max(_heading_lines(grid, number), key=len)
        columns.append(replace(column, heading=heading))
    return Grid(columns, shortened)


def _heading_lines(grid: Grid, number: int) -> list[str]:
    """Return the lines of a column's heading: it is not much wider than what stands below it."""
    column = grid.columns[number]
    if column.heading == column.group:
        return ["mean"]  # the group says whose
    widest = max([len(row[number]) for row in grid.rows], default=0)
    return wrap(column.heading, max(_HEADING, widest), break_long_words=False)


def _tabular(report: Report, grid: Grid) -> Iterator[str]:
    """Yield a table with a line per row."""
    kinds = "".join("l" if column.is_text else "r" for column in grid.columns)
    yield rf"\setlength{{\tabcolsep}}{{{2.2 if len(grid.columns) > _MANY_COLUMNS else 3.6}pt}}"
    yield rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}"
    yield r"\toprule"
    groups = groupby(grid.columns, key=lambda column: column.group)
    yield from _spanning([(group, len([*members])) for group, members in groups])
    yield _row([_heading(grid, number) for number in range(len(grid.columns))])
    yield r"\midrule"
    for line, texts in zip(report.main.itertuples(), grid.rows, strict=True):
        pairs = zip(grid.columns, texts, strict=True)
        yield _row([_cell(column, text, line) for column, text in pairs])
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _matrix(block: Block) -> Iterator[str]:
    """Yield the table of one method: a column per row of ours, its norms stacked above it."""
    yield r"\setlength{\tabcolsep}{2.2pt}"
    yield rf"\begin{{tabular}}{{@{{}}l{'c' * len(block.lines)}@{{}}}}"
    yield r"\toprule"
    yield _row([METHODS.get(block.method, escaped(block.method))])
    for name, spans in block.headings.items():
        yield from _spanning([(name, 1), *spans])
    yield r"\midrule"
    yield _row(["published", *map(_number, block.cells["published"])])
    yield _row(["ours", *map(_number, block.cells["ours"])])
    yield _row(["collapsed", *map(_number, block.cells["collapsed"])])
    yield _row(["runs", *map(_runs, block.lines)])
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _spanning(spans: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Yield a row of texts over several columns each, and rules below all but the first column's.

    A row in which nothing spans several columns has no rules; one without any text is left out.
    """
    spanning = any(text and width > 1 for text, width in spans)
    cells: list[str] = []
    rules: list[str] = []
    start = 1
    for text, width in spans:
        shown = escaped(text)
        if text and width > 1:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{shown}}}")
        else:
            cells += [shown] * width
        if text and spanning and start > 1:
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    if any(text for text, _ in spans):
        yield _row(cells)
    if rules:
        yield " ".join(rules)


def _row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _heading(grid: Grid, number: int) -> str:
    """Return a column's heading, on as many lines as it needs."""
    lines = [escaped(text) for text in _heading_lines(grid, number)]
    if len(lines) == 1:
        return lines[0]
    side = "l" if grid.columns[number].is_text else "r"
    stacked = r" \\ ".join(lines)
    return rf"\shortstack[{side}]{{\strut {stacked}}}"


def _cell(column: Column, text: str, line: Any) -> str:
    """Return the text of a cell."""
    if column.key == "state":
        return escaped(line.state) + _raised(line)
    if column.key == "label":
        return _label(text)
    if column.is_text:
        return escaped(text)
    return _number(text)


def _label(text: str) -> str:
    """Return a row's label; one that is long, or is written with many commands, gets a box."""
    written = breakable(text)
    if len(text) <= _LABEL and len(written) <= 2 * _LABEL:
        return written
    return rf"\parbox[t]{{{_LABEL_WIDTH}}}{{\raggedright\strut {written}\strut}}"


def _number(text: str) -> str:
    """Return a number with a minus sign of its own, digits below digits."""
    padded = re.sub(r"± +", lambda gap: gap.group().replace(" ", _PAD), text)
    return escaped(re.sub(r"(?<![\w.])-(?=[\d.])", "−", padded)).replace(_PAD, r"\phantom{0}")


def _runs(line: Any) -> str:
    """Return how many seeds have a result, of those that are asked for."""
    if not line.asked:
        return escaped(NOTHING)
    return f"{line.done}/{line.asked}{_raised(line)}"


def _raised(line: Any) -> str:
    """Return the letters of a row's marks."""
    marks = letters(line.codes)
    return rf"\textsuperscript{{{marks}}}" if marks else ""
