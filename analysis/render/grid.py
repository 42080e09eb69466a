"""Makes the texts of a table as people read them: a grid that text, Markdown, HTML and LaTeX share.

Each column has a heading, a group that its heading stands under, and the order in which it leaves a
narrow page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from analysis.tables.marks import MEANINGS, Code
from analysis.tables.tidy import Report

NOTHING = "–"
_STAYS = 99


@dataclass(frozen=True)
class Style:
    """How numbers are written.

    Attributes:
        unit: `percent` or `fraction`, of accuracies.
        digits: behind the point; None: 1 for percent, 3 for fractions.
        per_seed: show the value of each seed.
        relative: show differences as a part of the baseline's mean.
    """

    unit: str = "percent"
    digits: int | None = None
    per_seed: bool = False
    relative: bool = False

    @property
    def factor(self) -> int:
        """What a fraction is multiplied with."""
        return 100 if self.unit == "percent" else 1

    @property
    def places(self) -> int:
        """Digits behind the point."""
        if self.digits is not None:
            return self.digits
        return 1 if self.unit == "percent" else 3

    def number(self, fraction: float, sign: str = "") -> str:
        """Return an accuracy or a difference."""
        return f"{self.factor * fraction:{sign}.{self.places}f}"

    def mean(self, fraction: float) -> str:
        """Return an accuracy; one that is not zero is not written as zero."""
        text = self.number(fraction)
        if fraction and not float(text):
            return f"{self.factor * fraction:.2g}"
        return text


@dataclass(frozen=True)
class Column:
    """A column of a grid.

    Attributes:
        key: its name in the code.
        heading: as people read it.
        group: what stands over it and its neighbours of the same group; empty for none.
        is_text: whether it holds words, which stand to the left.
        leaves: the place in the order in which columns leave a narrow page; `_STAYS` never.
    """

    key: str
    heading: str
    group: str = ""
    is_text: bool = False
    leaves: int = _STAYS


@dataclass(frozen=True)
class Grid:
    """Columns and a line of texts per row."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]

    def without(self, key: str) -> "Grid":
        """Return the grid without a column."""
        number = [column.key for column in self.columns].index(key)
        columns = [column for column in self.columns if column.key != key]
        rows = [[*row[:number], *row[number + 1 :]] for row in self.rows]
        return replace(self, columns=columns, rows=rows)


_COLUMNS = (
    Column("label", "row", is_text=True),
    Column("published", "published"),
    Column("ours", "ours", "ours"),
    Column("n", "n", "ours"),
    Column("delta", "vs baseline", "ours"),
    Column("n_pairs", "pairs", "ours", leaves=4),
    Column("p", "p", "ours", leaves=5),
    Column("collapsed", "collapsed", "ours", leaves=7),
    Column("std_sqrt_d", "std·√d", "ours", leaves=3),
    Column("cosines", "cos + / −", "ours", leaves=2),
    Column("published_cosines", "published cos", leaves=1),
    Column("per_seed", "seeds", "ours", is_text=True, leaves=6),
    Column("state", "state", is_text=True),
)


def grid_of(report: Report, style: Style) -> Grid:
    """Return the texts of a report; columns that no row has anything for are left out."""
    if report.table.rows.is_published_only:
        return _published_grid(report)
    makers = _makers(report, style)
    rows: list[list[str]] = []
    for line in report.main.itertuples():
        rows.append([makers[column.key](line) for column in _COLUMNS])

    grid = Grid(_COLUMNS, rows)
    for number, column in enumerate(_COLUMNS):
        is_empty = all(row[number] in ("", NOTHING) for row in rows)
        if is_empty and (column.leaves != _STAYS or column.key in ("published", "n")):
            grid = grid.without(column.key)
    return grid


def _published_grid(report: Report) -> Grid:
    """Return the printed columns of a table that no run of ours can be of."""
    rows = report.table.rows
    printed = rows.printed.columns if rows.printed else {}
    columns = [Column("label", "row", is_text=True)]
    for number, (name, column) in enumerate(printed.items()):
        # The first is the table's main number; of the others the last leaves a narrow page first.
        leaves = len(printed) - number if number else _STAYS
        columns.append(Column(name, column.metric, "published", leaves=leaves))
    lines: list[list[str]] = []
    for row in rows.rows.values():
        cells = row.published.columns
        texts = [cells[name].text if name in cells else None for name in printed]
        lines.append([row.label, *[text or NOTHING for text in texts]])
    return Grid(columns, lines)


def _makers(report: Report, style: Style) -> dict[str, Callable[[Any], str]]:
    """Return column → what makes its text from a line of the frame."""
    return {
        "label": lambda line: str(line.label),
        "published": lambda line: _or_nothing(line.published_as_printed),
        "ours": lambda line: ours(line, style),
        "n": lambda line: str(line.n or NOTHING),
        "delta": lambda line: _delta(report, line, style),
        "n_pairs": lambda line: _or_nothing(line.n_pairs),
        "p": lambda line: p_text(line.p_holm),
        "collapsed": collapsed,
        "std_sqrt_d": lambda line: _two_digits(report.sign(line.row, "std_sqrt_d")),
        "cosines": lambda line: _cosines(report, line.row),
        "published_cosines": lambda line: _published_cosines(report, line.row),
        "per_seed": lambda line: _per_seed(line, style),
        "state": _state,
    }


def ours(line: Any, style: Style) -> str:
    """Return the mean with half the width of its interval; of a split row the values."""
    if pd.isna(line.mean):
        return NOTHING
    if Code.SPLIT in line.codes:
        return " ".join(style.number(value) for value in line.values.values())
    mean = style.mean(line.mean)
    if pd.isna(line.ci95_high):
        return mean
    return f"{mean} ±{style.factor * (line.ci95_high - line.mean):4.{style.places}f}"


def collapsed(line: Any) -> str:
    """Return how many runs collapsed, of those that could."""
    return NOTHING if pd.isna(line.trained) else f"{line.collapsed}/{line.trained}"


def p_text(p: Any) -> str:
    """Return a p-value with three digits, without the zero before the point."""
    if pd.isna(p):
        return NOTHING
    return "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def letters(codes: Sequence[str]) -> str:
    """Return the letters of marks, in the order of their codes."""
    return "".join(MEANINGS[code].letter for code in Code if code in codes)


def _state(line: Any) -> str:
    return f"{line.state} {letters(line.codes)}".rstrip()


def _delta(report: Report, line: Any, style: Style) -> str:
    """Return a difference with its interval where it has one."""
    if line.row in report.table.rows.baselines:
        return "baseline"
    if pd.isna(line.delta):
        return NOTHING
    scale = 1.0
    if style.relative:
        baseline = report.main.set_index("row")["mean"][line.baseline]
        scale = 1 / baseline if baseline else float("nan")
    text = style.number(scale * line.delta, "+")
    if style.relative:
        text += "%" if style.unit == "percent" else ""
    if pd.isna(line.delta_low):
        return text
    low = style.number(scale * line.delta_low, "+")
    high = style.number(scale * line.delta_high, "+")
    return f"{text} [{low}, {high}]"


def _per_seed(line: Any, style: Style) -> str:
    if not style.per_seed:
        return ""
    return " ".join(f"{seed}:{style.number(value)}" for seed, value in line.values.items())


def _cosines(report: Report, row: str) -> str:
    positive = report.sign(row, "positive_cosine")
    negative = report.sign(row, "negative_cosine")
    if positive is None or negative is None:
        return NOTHING
    return f"{_two_digits(positive)} / {_two_digits(negative)}"


def _published_cosines(report: Report, row: str) -> str:
    """Return the published cosines; those that were measured on a figure are marked with ≈."""
    printed = report.table.rows.rows[row].published
    if printed.positive_cosine is None or printed.negative_cosine is None:
        return NOTHING
    pair = f"{_two_digits(printed.positive_cosine)} / {_two_digits(printed.negative_cosine)}"
    return pair if printed.cosines_printed else f"≈{pair}"


def _two_digits(value: float | None) -> str:
    """Return two digits, or four of what is nearly but not quite 1 or 0."""
    if value is None:
        return NOTHING
    text = f"{value:.2f}"
    is_rounded_away = float(text) in (0, 1, -1) and float(text) != value
    return f"{value:.4f}" if is_rounded_away else text


def _or_nothing(value: Any) -> str:
    return NOTHING if pd.isna(value) else str(value)
