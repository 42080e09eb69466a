"""Holds the schema of ``published/*.yaml``, a file for each source, and finds the tables in them.

A file names its source, and under `tables` what each table prints. Numbers are those of the source:
accuracies in percent.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from analysis.papers.strict_file import Strict

_TABLE = re.compile(r"^  (\w+):\s*$", re.MULTILINE)
"""The line at which a table begins: its name, two spaces in."""


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


@cache
def published_files() -> Mapping[str, str]:
    """Return the text of each source's file, by its name."""
    folder = files("analysis.papers").joinpath("published")
    return {
        file.name.removesuffix(".yaml"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    }


@cache
def file_of_table() -> Mapping[str, str]:
    """Return the file of each published table; nothing is parsed."""
    return {
        table: file for file, text in sorted(published_files().items()) for table in tables_in(text)
    }


def tables_in(text: str) -> list[str]:
    """Return the names of a file's tables, in their order."""
    return _TABLE.findall(text)


def only_table(text: str, table: str) -> str:
    """Return a file's text with this table alone, on the lines where it stands.

    Reading one table then takes the time of one table.
    """
    starts = [match.start() for match in _TABLE.finditer(text)]
    ends = [*starts[1:], len(text)]
    names = tables_in(text)
    if table not in names:
        return text
    at = names.index(table)
    skipped = text[starts[0] : starts[at]].count("\n")
    return text[: starts[0]] + "\n" * skipped + text[starts[at] : ends[at]]
