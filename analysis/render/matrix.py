"""Renders a table as a matrix of components, as the paper prints Table 1.

Each row of ours is a column, with its norms stacked above it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.render.grid import NOTHING, Style, collapsed, letters
from analysis.render.text import below, heading
from analysis.tables.tidy import Report

_NAMES = {"bn": "BN", "ln": "LN", "gn": "GN", "none": "–", None: ""}
_LEVELS = (
    ("encoder", "encoder.norm"),
    ("projector", "projector.norm"),
    ("predictor", "predictor.norm"),
)


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


def as_matrix(report: Report, style: Style | None = None) -> str:
    """Return the text: a block per method and encoder norm, with spanning headers.

    Raises:
        NoMatrixError: the table's rows are not told apart by the norms of the components.
    """
    text = [*heading(report), ""]
    for block in blocks(report, style or Style()):
        text += _block(block)
    text += below(report)
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


def _block(block: Block) -> list[str]:
    """Return the rows of one method, whose columns are all equally wide."""
    width = 2 + max(len(text) for texts in block.cells.values() for text in texts)
    rows: list[str] = []
    for name, spans in block.headings.items():
        texts = [f"{text:^{width * count}}" for text, count in spans]
        rows.append((f"{name:<10}" + "".join(texts)).rstrip())
    for name, cells in block.cells.items():
        texts = [f"{text:^{width}}" for text in cells]
        rows.append((f"{name:<10}" + "".join(texts)).rstrip())

    rule = "─" * (10 + width * len(block.lines))
    return [block.method.upper(), rule, *rows, rule, ""]


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
