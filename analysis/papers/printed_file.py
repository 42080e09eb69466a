"""Holds the schema of ``published/*.yaml``, a file for each source.

A file names its source, and under `tables` what each table prints. Numbers are those of the source:
accuracies in percent.
"""

from typing import Any, Literal

from analysis.papers.strict_file import Strict


class SpreadEntry(Strict):
    """What the ± of a source is: half of best − worst over seeds, a standard deviation, or unknown."""

    kind: Literal["half_range", "std", "unknown"]
    words: str


class SourceEntry(Strict):
    """A file.

    `spread` and `decimals` hold for each of its tables that says nothing else.
    """

    source: str
    url: str | None
    spread: dict[str, Any] | None = None
    decimals: int = 1
    tables: dict[str, Any]


class TableEntry(Strict):
    """A table of a source.

    Attributes:
        title: in our words.
        place: where in the source it stands.
        source: of a table that is not of the file's own source.
        setting: what it was measured at, in words.
        preset: ours that has this setting.
        protocol: ours that is the same evaluation.
        like: keys of ours that would have to be equal for numbers to be comparable.
        seeds: how many runs are behind a number; null where the source does not say.
        chance: accuracy of guessing, in percent; null where rows or columns differ in it.
        columns: name → metric, in words or as a ColumnEntry; the first is the table's own.
        rows: key → coordinates, cells and remarks, as a RowEntry.
        figure_error: of numbers that were read off a figure.
        note: what a reader must know of all rows.
        disputed: where other places print other numbers for the same.
        not_run: why there is no run of ours, for a table without a definition.
    """

    title: str
    place: str
    setting: str
    like: dict[str, Any]
    seeds: int | None
    chance: float | None
    columns: dict[str, Any]
    rows: dict[str, Any]
    source: str = ""
    preset: str | None = None
    protocol: str | None = None
    spread: dict[str, Any] | None = None
    decimals: int | None = None
    figure_error: float | None = None
    note: str = ""
    disputed: str = ""
    not_run: str = ""


class ColumnEntry(Strict):
    """A column of a table: what it measures, in which unit, with how many digits."""

    metric: str
    unit: Literal["percent", "number"] = "percent"
    decimals: int | None = None


class RowEntry(Strict):
    """A row without its cells.

    Attributes:
        at: the printed row's own coordinates.
        label: for people; made from the coordinates where there is none.
        note: what a reader must know of it.
        disputed: where other places print another number for the same.
    """

    at: dict[str, Any] = {}
    label: str = ""
    note: str = ""
    disputed: str = ""


class CellEntry(Strict):
    """A cell that is more than a number.

    Attributes:
        value: the number, or the one that bounds it.
        pm: its ±.
        as_printed: where the number's digits are others, or a word stands in its place.
        approximate: whether the source itself says that it is about this.
        figure_error: of a number that was read off a figure.
        bound: above the value, or between it and `to`.
        to: the upper end.
    """

    value: float | None = None
    pm: float | None = None
    as_printed: str = ""
    approximate: bool = False
    figure_error: float | None = None
    bound: Literal["above", "between"] | None = None
    to: float | None = None
