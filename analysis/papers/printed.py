"""Holds what the papers print, with what is known of each number.

A number keeps its own digits, what was read off a figure its ≈ and its error, a bound that it is
one, and a cell that holds a word the word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.papers.nearest import nearest
from analysis.papers.strict_file import TableFileError


@dataclass(frozen=True)
class Spread:
    """What a source's ± is.

    Attributes:
        kind: `half_range`, `std` or `unknown`.
        words: the same for people.
    """

    kind: str
    words: str


@dataclass(frozen=True)
class Column:
    """A column of a printed table.

    Attributes:
        metric: what it measures, in words.
        unit: `percent`, whose values are fractions here, or `number`.
        decimals: digits behind the point that its source prints.
    """

    metric: str
    unit: str
    decimals: int


@dataclass(frozen=True)
class Cell:
    """What was printed in one cell, fractions in [0, 1]; None where nothing was.

    Attributes:
        value: the number; None for a bound.
        pm: its spread, of the kind that the table's `spread` says.
        text: both as printed, in percent, or the word that stands in their place.
        approximate: whether the value has ≈: read off a figure, or the source says "about".
        error: of a value that was read off a figure; None where it is printed.
        bound: `above` (low) or `between` (low and high), where no value is printed.
        low: the lower bound.
        high: the upper bound.
    """

    value: float | None = None
    pm: float | None = None
    text: str | None = None
    approximate: bool = False
    error: float | None = None
    bound: str | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Published(Cell):
    """What was printed for a row: the cell of the table's first column, and all of them.

    Attributes:
        columns: name → cell.
        spread: what its ± is; None without one.
        positive_cosine: of two views of one image.
        negative_cosine: of different images.
        cosines_printed: whether these are printed, or were measured on a figure.
        source: where a row is printed that is not of the table's own source.
        setting: of such a row, where it is not that of the table.
        note: what a reader must know of it.
        disputed: where other places print another number for the same.
    """

    columns: Mapping[str, Cell] = field(default_factory=dict)
    spread: Spread | None = None
    positive_cosine: float | None = None
    negative_cosine: float | None = None
    cosines_printed: bool = False
    source: str = ""
    setting: str = ""
    note: str = ""
    disputed: str = ""

    def from_table(self, table: "PrintedTable", shown_in: "PrintedTable | None") -> "Published":
        """Return the same with the source of its table, and the setting where it is another."""
        is_same = shown_in is not None and shown_in.like == table.like
        return replace(self, source=table.source, setting="" if is_same else table.setting)


@dataclass(frozen=True)
class PrintedRow:
    """A row of a source's table: its label and coordinates there, and what is printed."""

    label: str
    at: Mapping[str, Any]
    published: Published

    def is_at(self, coordinates: Mapping[str, str]) -> bool:
        """Tell whether it is at these coordinates, whatever its others are."""
        own = {name: digits(value) for name, value in self.at.items()}
        return coordinates.items() <= own.items()


@dataclass(frozen=True)
class PrintedTable:
    """A table of a source.

    Attributes:
        title: in our words.
        source: the paper, and where in it.
        url: of the paper.
        setting: what it was measured at, in words.
        preset: ours that has this setting, None where we have none.
        protocol: ours that is the same evaluation, None where we have none.
        like: the settings of ours that would have to be equal for the numbers to be comparable.
        seeds: how many runs are behind a number, None where the source does not say.
        chance: accuracy of guessing, in [0, 1].
        columns: what it prints, by name; the first is what its rows are compared in.
        spread: what its ± is, None where it prints none.
        note: what a reader must know of all its rows.
        disputed: where other places print other numbers for the same.
        not_run: why there is no run of ours, for a table without a definition.
        rows: by the keys of the source's file.
    """

    title: str
    source: str
    url: str | None
    setting: str
    preset: str | None
    protocol: str | None
    like: Mapping[str, Any]
    seeds: int | None
    chance: float | None
    columns: Mapping[str, Column]
    spread: Spread | None
    note: str
    disputed: str
    not_run: str
    rows: Mapping[str, PrintedRow]

    def named(self, key: str, place: str) -> Published:
        """Return the row of a key.

        Raises:
            TableFileError: there is none; `place` is the file that names it.
        """
        if key not in self.rows:
            hint = nearest(key, self.rows, "rows")
            raise TableFileError(f"{place}: no printed row is called {key!r}; {hint}")
        return self.rows[key].published

    def at(self, coordinates: Mapping[str, Any], place: str) -> Published:
        """Return the row at these coordinates, written as people write them.

        Raises:
            TableFileError: there is none, or there are several; `place` is the file that names it.
        """
        wanted = {name: digits(value) for name, value in coordinates.items()}
        fitting = [row.published for row in self.rows.values() if row.is_at(wanted)]
        if len(fitting) != 1:
            words = ", ".join(f"{name} {value}" for name, value in wanted.items())
            raise TableFileError(
                f"{place}: {len(fitting)} printed rows are at {words}, and not one"
            )
        return fitting[0]


def digits(value: Any, decimals: int = 0) -> str:
    """Return a number with its own digits, and at least as many as its source prints.

    `5.0` is 5, and 1e-07 is `1e-7`, as people write them.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    mantissa, exponent, power = f"{value:.12g}".partition("e")
    if exponent:
        return f"{mantissa}e{int(power)}"
    return max(mantissa, f"{value:.{decimals}f}", key=len)
