"""Renders a table as a matrix of components, as the paper prints Table 1.

Each row of ours is a column, with its norms stacked above it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.render.grid import NOTHING, Style, collapsed, letters
from analysis.render.text import WIDTH, below, heading
from analysis.tables.tidy import Report

_NAMES = {"bn": "BN", "ln": "LN", "gn": "GN", "none": "–", None: ""}
_LEVELS = (
    ("encoder", "encoder.norm"),
    ("projector", "projector.norm"),
    ("predictor", "predictor.norm"),
)


_NAME_WIDTH = 10
"""The characters of what a line shows, such as `collapsed`."""
METHODS = {"byol": "BYOL", "simclr": "SimCLR", "moco": "MoCo"}
"""Method → its name as papers print it."""


class NoMatrixError(AnalysisError):
    """This table has no matrix layout."""


@dataclass(frozen=True)
class Block:
    """The columns of one method.

    Attributes:
        method: of all its rows.
        lines: of the report's frame, one for each column.
        headings: component → its norms and how many columns each spans.
        cells: what is shown → a text for each column.
    """

    method: str
    lines: Sequence[Any]
    headings: Mapping[str, Sequence[tuple[str, int]]]
    cells: Mapping[str, Sequence[str]]


def as_matrix(report: Report, style: Style | None = None, width: int | None = None) -> str:
    """Return the text: a block per method, with spanning headers.

    Args:
        report: the table.
        style: how numbers are written.
        width: of the page in characters: a block that is wider goes on below; None for none.

    Raises:
        NoMatrixError: the table's rows are not told apart by the norms of the components.
    """
    style = style or Style()
    page = width or WIDTH
    text = [*heading(report, page), ""]
    for block in blocks(report, style):
        for number, part in enumerate(_parts(report, block, style, width)):
            text += _block(part, is_first=number == 0)
    text += below(report, page, style)
    return "\n".join(text)


def blocks(report: Report, style: Style) -> list[Block]:
    """Return the blocks of a matrix, one for each method.

    Raises:
        NoMatrixError: the table's rows are not told apart by the norms of the components.
    """
    rows = report.table.rows
    if not {key for _, key in _LEVELS} <= set(rows.axes):
        raise NoMatrixError(
            f"table {rows.id} has no matrix layout: its rows are not norms of components, "
            "as norm's are"
        )
    of_methods: list[Block] = []
    for method, lines in groupby(report.main.itertuples(), key=lambda line: line.method):
        of_methods.append(_block_of(report, method, [*lines], style))
    return of_methods


def _block_of(report: Report, method: str, lines: Sequence[Any], style: Style) -> Block:
    norms = [_norms(report, line) for line in lines]
    headings: dict[str, Sequence[tuple[str, int]]] = {}
    for number, (name, _) in enumerate(_LEVELS):
        if any(of_line[number] for of_line in norms):  # SimCLR has no predictor
            headings[name] = _spans(norms, number)
    cells = {
        "published": [_published(line) for line in lines],
        "ours": [_mean(line, style) for line in lines],
        "collapsed": [collapsed(line) for line in lines],
        "runs": [_runs(line) for line in lines],
    }
    return Block(method, lines, headings, cells)


def _parts(report: Report, block: Block, style: Style, width: int | None) -> Iterator[Block]:
    """Yield a block in parts that fit a page, each with its own headings."""
    at_once = len(block.lines)
    if width is not None:
        at_once = max(1, (width - _NAME_WIDTH) // _column_width(block))
    for start in range(0, len(block.lines), at_once):
        yield _block_of(report, block.method, block.lines[start : start + at_once], style)


def _column_width(block: Block) -> int:
    """Return how wide each column of a block is."""
    return 2 + max(len(text) for texts in block.cells.values() for text in texts)


def _block(block: Block, *, is_first: bool) -> list[str]:
    """Return the rows of one method, whose columns are all equally wide."""
    width = _column_width(block)
    rows: list[str] = []
    for name, spans in block.headings.items():
        texts = [f"{text:^{width * count}}" for text, count in spans]
        rows.append((f"{name:<{_NAME_WIDTH}}" + "".join(texts)).rstrip())
    for name, cells in block.cells.items():
        texts = [f"{text:^{width}}" for text in cells]
        rows.append((f"{name:<{_NAME_WIDTH}}" + "".join(texts)).rstrip())

    rule = "─" * (_NAME_WIDTH + width * len(block.lines))
    title = METHODS.get(block.method, block.method)
    return [title if is_first else f"{title}, continued", rule, *rows, rule, ""]


def _spans(norms: Sequence[Sequence[str]], level: int) -> list[tuple[str, int]]:
    """Join neighbours that share this header and all above it, as the paper's headers do."""
    groups = groupby(norms, key=lambda of_line: tuple(of_line[: level + 1]))
    return [(key[-1], len(list(group))) for key, group in groups]


def _norms(report: Report, line: Any) -> list[str]:
    match = report.table.rows.rows[line.row].match
    values = [match.get(key) for _, key in _LEVELS]
    return [_NAMES.get(value, str(value)) for value in values]


def _published(line: Any) -> str:
    return NOTHING if pd.isna(line.published_as_printed) else str(line.published_as_printed)


def _mean(line: Any, style: Style) -> str:
    """Return the mean; intervals are left out, since the matrix is wide."""
    return NOTHING if pd.isna(line.mean) else style.number(line.mean)


def _runs(line: Any) -> str:
    return f"{line.state.removeprefix('done ')} {letters(line.codes)}".rstrip()
