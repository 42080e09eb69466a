"""Reads the papers' tables: each row with the settings that make it, and the published numbers.

``tables/*.yaml`` says what a table's rows are, ``published/*.yaml`` what was printed. A config
belongs to the first row whose `match` it meets. Loads nothing heavy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from analysis.papers.nearest import nearest


class UnknownTableError(Exception):
    """There is no table of that name."""


@dataclass(frozen=True)
class Published:
    """The numbers that were printed for a row, fractions in [0, 1]; None where nothing was."""

    value: float | None = None
    pm: float | None = None
    positive_cosine: float | None = None
    negative_cosine: float | None = None
    cosines_printed: bool = False


@dataclass(frozen=True)
class TableRow:
    """One row of a table.

    Attributes:
        key: its name in the table's file.
        label: as printed.
        match: dotted key → value; what makes a run one of this row.
        companions: keys that this row sets for itself, so they are no part of the table's setting.
        published: its printed numbers.
    """

    key: str
    label: str
    match: Mapping[str, Any]
    companions: tuple[str, ...]
    published: Published

    @property
    def method(self) -> str:
        """`byol`, `moco`, ..."""
        return str(self.match["method"])


@dataclass(frozen=True)
class TableRows:
    """A table: its rows, what they differ in, the metric it prints, and its published side.

    `published_like` holds the settings of ours that would have to be equal for the numbers to be
    comparable.
    """

    id: str
    title: str
    protocol: str
    network: str
    metric: str
    axes: tuple[str, ...]
    baselines: tuple[str, ...]
    rows: Mapping[str, TableRow]
    published_source: str
    published_setting: str
    published_like: Mapping[str, Any]
    notes: Mapping[str, str] = field(default_factory=dict)

    def row_of(self, config: Mapping[str, Any]) -> TableRow | None:
        """Return the row of a canonical config, None where it has none in this table."""
        for row in self.rows.values():
            if all(config.get(key) == value for key, value in row.match.items()):
                return row
        return None

    def unlike_published(self, setting: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return the keys that differ from the published setting: key → (ours, theirs)."""
        return {
            key: (setting.get(key), value)
            for key, value in self.published_like.items()
            if setting.get(key) != value
        }

    def baseline_of(self, row: TableRow) -> TableRow | None:
        """Return the baseline of the row's own method."""
        for key in self.baselines:
            if self.rows[key].method == row.method:
                return self.rows[key]
        return None


def table_ids() -> list[str]:
    """Return the names of all tables."""
    definitions = files("analysis.papers").joinpath("tables").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in definitions)


@cache
def load_table(name: str) -> TableRows:
    """Read a table's definition and its published side.

    Raises:
        UnknownTableError: there is none; the text names the nearest and all.
    """
    if name not in table_ids():
        raise UnknownTableError(
            f"table {name!r} does not exist; {nearest(name, table_ids(), 'tables')}"
        )

    # The definition names the file of its published side, and the table in that file.
    table = _read("tables", name)
    paper = _read("published", table["published"]["file"])
    printed = paper["tables"][table["published"]["table"]]

    # A row that the paper does not print has no published numbers.
    rows = {
        key: _row(key, row, printed["rows"].get(row["published"], {}))
        for key, row in table["rows"].items()
    }
    return TableRows(
        id=table["id"],
        title=table["title"],
        protocol=table["metric"]["protocol"],
        network=table["metric"]["network"],
        metric=table["metric"]["name"],
        axes=tuple(table["axes"]),
        baselines=tuple(table["baselines"]),
        rows=rows,
        published_source=f"{paper['source']}, {printed['where']}",
        published_setting=printed["setting"],
        published_like=printed["like"],
        notes=_notes(table["rows"], printed["rows"]),
    )


def _notes(rows: Mapping[str, Any], printed: Mapping[str, Any]) -> dict[str, str]:
    notes: dict[str, str] = {}
    for row in rows.values():
        note = printed.get(row["published"], {}).get("note")
        if note:
            notes[row["label"]] = note
    return notes


def _row(key: str, row: Mapping[str, Any], printed: Mapping[str, Any]) -> TableRow:
    published = Published(
        value=_fraction(printed.get("acc")),
        pm=_fraction(printed.get("pm")),
        positive_cosine=printed.get("pos"),
        negative_cosine=printed.get("neg"),
        cosines_printed=printed.get("printed", False),
    )
    return TableRow(key, row["label"], row["match"], tuple(row.get("companions", ())), published)


def _fraction(percent: float | None) -> float | None:
    if percent is None:
        return None
    return round(percent / 100, 6)


def _read(folder: str, name: str) -> dict[str, Any]:
    text = files("analysis.papers").joinpath(folder, f"{name}.yaml").read_text(encoding="utf-8")
    parsed: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return parsed
