"""Reads what the papers print: ``published/*.yaml``, a file for each source.

A number keeps its own digits, what was read off a figure its ≈, and a cell that holds a word the
word.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

_DECIMALS = 1
"""Digits behind the point, where a source says nothing else."""


@dataclass(frozen=True)
class Published:
    """What was printed for a row, fractions in [0, 1]; None where nothing was.

    Attributes:
        value: the accuracy.
        pm: its spread, of the kind that the table's remarks say.
        text: both as printed, in percent, or the word that stands in their place.
        approximate: whether the value was read off a figure.
        positive_cosine: of two views of one image.
        negative_cosine: of different images.
        cosines_printed: whether these are printed, or were measured on a figure.
        source: where a row is printed that is not of the table's own source.
        note: what a reader must know of it.
    """

    value: float | None = None
    pm: float | None = None
    text: str | None = None
    approximate: bool = False
    positive_cosine: float | None = None
    negative_cosine: float | None = None
    cosines_printed: bool = False
    source: str = ""
    note: str = ""


@dataclass(frozen=True)
class PrintedTable:
    """A table of a source.

    Attributes:
        source: the paper, and where in it.
        setting: what it was measured at, in words.
        like: the settings of ours that would have to be equal for the numbers to be comparable.
        remarks: what a reader must know of all its rows.
        rows: their numbers, by the keys of the source's file.
    """

    source: str
    setting: str
    like: Mapping[str, Any]
    remarks: tuple[str, ...]
    rows: Mapping[str, Published]


@cache
def printed_table(file: str, table: str) -> PrintedTable:
    """Read a table of `published/<file>.yaml`."""
    paper = read_yaml("published", file)
    printed = paper["tables"][table]
    decimals = paper.get("decimals", _DECIMALS)
    rows = {key: _published(row, decimals) for key, row in printed["rows"].items()}

    remarks = [printed["note"]] if "note" in printed else []
    if any(row.pm is not None for row in rows.values()):
        remarks.append(f"± of published numbers: {paper['spread']}")
    return PrintedTable(
        source=f"{paper['source']}, {printed['where']}",
        setting=printed["setting"],
        like=printed["like"],
        remarks=tuple(remarks),
        rows=rows,
    )


def read_yaml(folder: str, name: str) -> dict[str, Any]:
    """Return one of this package's files."""
    text = files("analysis.papers").joinpath(folder, f"{name}.yaml").read_text(encoding="utf-8")
    parsed: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return parsed


def _published(row: Mapping[str, Any], decimals: int) -> Published:
    return Published(
        value=_fraction(row["acc"]),
        pm=_fraction(row.get("pm")),
        text=_text(row, decimals),
        approximate=row.get("approximate", False),
        positive_cosine=row.get("pos"),
        negative_cosine=row.get("neg"),
        cosines_printed=row.get("cosines_printed", False),
        note=row.get("note", ""),
    )


def _text(row: Mapping[str, Any], decimals: int) -> str | None:
    """Return a row's number as it was printed."""
    if "as_printed" in row:
        text = str(row["as_printed"])
    elif row["acc"] is not None:
        text = _digits(row["acc"], decimals)
    else:
        return None
    if row.get("approximate"):
        text = f"≈{text}"
    if "pm" in row:
        text = f"{text} ±{_digits(row['pm'], decimals)}"
    return text


def _digits(percent: float, decimals: int) -> str:
    """Return a number with its own digits, and at least as many as its source prints."""
    own = str(percent)
    padded = f"{percent:.{decimals}f}"
    return max(own, padded, key=len)


def _fraction(percent: float | None) -> float | None:
    if percent is None:
        return None
    return round(percent / 100, 6)
