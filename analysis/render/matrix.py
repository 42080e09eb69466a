"""A table as a matrix of components, as the paper prints Table 1: one column per row of ours, norms
stacked above it.
"""

from collections.abc import Sequence
from itertools import groupby

from analysis.render.cells import NOTHING, percent
from analysis.render.text import notes, title
from analysis.tables.build import Line, Table

_NAMES = {"bn": "BN", "ln": "LN", "gn": "GN", "none": "–", None: ""}
_LEVELS = (
    ("encoder", "encoder.norm"),
    ("projector", "projector.norm"),
    ("predictor", "predictor.norm"),
)


class NoMatrixError(Exception):
    """This table has no matrix layout."""


def as_matrix(table: Table) -> str:
    """Return the text: a block per method and encoder norm, with spanning headers.

    Raises:
        NoMatrixError: the table's rows are not told apart by the norms of the components.
    """
    if not {key for _, key in _LEVELS} <= set(table.rows.axes):
        raise NoMatrixError(
            f"table {table.rows.id} has no matrix layout: its rows are not norms of components, as norm's are"
        )
    blocks = [
        _block(method, list(lines))
        for method, lines in groupby(table.lines, key=lambda line: line.row.method)
    ]
    return "\n".join(
        [*title(table), "", *(line for block in blocks for line in block), *notes(table)]
    )


def _block(method: str, lines: Sequence[Line]) -> list[str]:
    columns = [[_level(line, key) for _, key in _LEVELS] + _values(line) for line in lines]
    width = max(len(cell) for column in columns for cell in column) + 2
    names = [name for name, _ in _LEVELS] + ["published", "ours", "collapsed", "runs"]
    rows = []
    for i, name in enumerate(names):
        row = [column[i] for column in columns]
        if not any(row):
            continue  # SimCLR has no predictor
        spans = _spans(columns, i) if i < len(_LEVELS) else [(cell, 1) for cell in row]
        rows.append(f"{name:<10}" + "".join(f"{text:^{width * count}}" for text, count in spans))
    rule = "─" * max(len(row) for row in rows)
    return [method.upper(), rule, *rows, rule, ""]


def _spans(columns: Sequence[Sequence[str]], level: int) -> list[tuple[str, int]]:
    """Join neighbours that share this header and all above it, as the paper's spanning headers do."""
    groups = groupby(columns, key=lambda column: tuple(column[: level + 1]))
    return [(key[-1], len(list(group))) for key, group in groups]


def _level(line: Line, key: str) -> str:
    return _NAMES.get(line.row.match.get(key), str(line.row.match.get(key)))


def _values(line: Line) -> list[str]:
    """Return short cells: the matrix is wide; the rows layout has intervals."""
    collapsed = f"{line.collapsed[0]}/{line.collapsed[1]}" if line.collapsed else NOTHING
    marked = line.state.removeprefix("done ") + (" *" if line.marks else "")
    return [percent(line.row.published.value), percent(line.summary.mean), collapsed, marked]
