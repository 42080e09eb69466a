"""Reads the papers' tables: each row with the settings that make it, and the published numbers.

``tables/*.yaml`` says what a table's rows are, ``published/*.yaml`` what was printed. A config
belongs to the first row whose `match` it meets. Loads nothing heavy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

from analysis.papers.claims import Claim, read_claims
from analysis.papers.nearest import nearest
from analysis.papers.printed import PrintedTable, Published, printed_table, read_yaml


class UnknownTableError(Exception):
    """There is no table of that name."""


@dataclass(frozen=True)
class TableRow:
    """One row of a table.

    Attributes:
        key: its name in the table's file.
        label: as printed.
        match: dotted key → value, or `{any: [values]}` where scales differ; what makes a run one of
            this row.
        companions: keys that this row sets for itself, so they are no part of the table's setting.
        published: its printed numbers.
        not_run: why no run of ours can be of this row; empty where one can.
    """

    key: str
    label: str
    match: Mapping[str, Any]
    companions: tuple[str, ...]
    published: Published
    not_run: str = ""

    @property
    def method(self) -> str:
        """`byol`, `moco`, ..."""
        return str(self.match["method"])

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Tell whether a canonical config is of this row."""
        if self.not_run:
            return False
        return all(_meets(config.get(key), wanted) for key, wanted in self.match.items())


@dataclass(frozen=True)
class TableRows:
    """A table: its rows, what they differ in, the metric it prints, and its published side.

    `published_like` holds the settings of ours that would have to be equal for the numbers to be
    comparable; `notes` what a reader must know of single rows, by their labels, and `remarks` of
    all; `claims` what the paper says of the order of its rows.
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
    remarks: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()

    def row_of(self, config: Mapping[str, Any]) -> TableRow | None:
        """Return the row of a canonical config, None where it has none in this table."""
        for row in self.rows.values():
            if row.holds(config):
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
    table = read_yaml("tables", name)
    printed = printed_table(**table["published"])
    rows = {key: _row(key, row, printed) for key, row in table["rows"].items()}
    own_remarks = [table["note"]] if "note" in table else []
    return TableRows(
        id=table["id"],
        title=table["title"],
        protocol=table["metric"]["protocol"],
        network=table["metric"]["network"],
        metric=table["metric"]["name"],
        axes=tuple(table["axes"]),
        baselines=tuple(table["baselines"]),
        rows=rows,
        published_source=printed.source,
        published_setting=printed.setting,
        published_like=printed.like,
        notes={row.label: note for row in rows.values() if (note := _note(row))},
        remarks=(*printed.remarks, *own_remarks),
        claims=read_claims(table.get("claims", ()), rows),
    )


def _row(key: str, row: Mapping[str, Any], printed: PrintedTable) -> TableRow:
    return TableRow(
        key=key,
        label=row["label"],
        match=row["match"],
        companions=tuple(row.get("companions", ())),
        published=_published(row["published"], printed),
        not_run=row.get("not_run", ""),
    )


def _published(place: str | Mapping[str, str] | None, printed: PrintedTable) -> Published:
    """Return what is printed for a row: nothing, in the table's own source, or in another."""
    if place is None:
        return Published()
    if isinstance(place, str):
        return printed.rows[place]
    other = printed_table(place["file"], place["table"])
    return replace(other.rows[place["row"]], source=other.source)


def _note(row: TableRow) -> str:
    """Return what a reader must know of a row, as one text."""
    texts: list[str] = []
    if row.published.source:
        texts.append(f"published in {row.published.source}")
    if row.published.note:
        texts.append(row.published.note)
    if row.not_run:
        texts.append(f"not run here: {row.not_run}")
    return "; ".join(texts)


def _meets(value: Any, wanted: Any) -> bool:
    """Tell whether a setting is the one that a row wants, or one of several."""
    if isinstance(wanted, Mapping):
        return value in wanted["any"]
    return bool(value == wanted)
