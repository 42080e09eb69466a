"""Renders a table as a matrix of components, as the paper prints Table 1.

Each row of ours is a column, with its norms stacked above it.
"""

from collections.abc import Sequence
from itertools import groupby

from analysis.render.cells import collapsed, percent, published
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
            f"table {table.rows.id} has no matrix layout: its rows are not norms of components, "
            "as norm's are"
        )
    text = [*title(table), ""]
    for method, lines in groupby(table.lines, key=lambda line: line.row.method):
        text += _block(method, list(lines))
    text += notes(table)
    return "\n".join(text)


def _block(method: str, lines: Sequence[Line]) -> list[str]:
    """Return the rows of one method, whose columns are all equally wide."""
    columns = [_column(line) for line in lines]
    names = [name for name, _ in _LEVELS] + ["published", "ours", "collapsed", "runs"]
    width = max(max(map(len, column)) for column in columns) + 2

    rows: list[str] = []
    for number, name in enumerate(names):
        cells = [column[number] for column in columns]
        if not any(cells):
            continue  # SimCLR has no predictor

        # Norms have spanning headers, numbers a cell for each line.
        spans = [(cell, 1) for cell in cells]
        if number < len(_LEVELS):
            spans = _spans(columns, number)
        texts = [f"{text:^{width * count}}" for text, count in spans]
        rows.append((f"{name:<10}" + "".join(texts)).rstrip())

    rule = "─" * (10 + width * len(columns))
    return [method.upper(), rule, *rows, rule, ""]


def _spans(columns: Sequence[Sequence[str]], level: int) -> list[tuple[str, int]]:
    """Join neighbours that share this header and all above it, as the paper's headers do."""
    groups = groupby(columns, key=lambda column: tuple(column[: level + 1]))
    return [(key[-1], len(list(group))) for key, group in groups]


def _column(line: Line) -> list[str]:
    """Return a line's norms and values; intervals are left out, since the matrix is wide."""
    norms = [line.row.match.get(key) for _, key in _LEVELS]
    marked = line.state.removeprefix("done ")
    if line.marks:
        marked += " *"
    return [
        *[_NAMES.get(norm, str(norm)) for norm in norms],
        published(line.row.published),
        percent(line.summary.mean),
        collapsed(line),
        marked,
    ]
