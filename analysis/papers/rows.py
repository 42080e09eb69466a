"""Reads the papers' tables: each row with the settings that make it, and the published numbers.

``tables/*.yaml`` says what a table's rows are, ``published/*.yaml`` what was printed. A config
belongs to the first row whose `match` it meets. A published table that no definition uses has its
published side alone. Loads nothing heavy.
"""

import re
from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from analysis.errors import AnalysisError
from analysis.papers.claims import ClaimError, read_claims
from analysis.papers.definition_file import (
    MetricEntry,
    PublishedEntry,
    PublishedRowEntry,
    TableFileEntry,
)
from analysis.papers.nearest import nearest
from analysis.papers.of_sweep import table_of_sweep
from analysis.papers.printed import PrintedTable, Published
from analysis.papers.printed_reader import printed_table
from analysis.papers.row_checks import check_keys, check_rows
from analysis.papers.rows_over_axes import PlainRow, plain_rows
from analysis.papers.strict_file import TableFileError, checked, parse_yaml, read_text
from analysis.papers.table_names import SHOWN_IN, file_of_table, run_table_ids, table_ids
from analysis.papers.table_rows import FIGURES, TableRow, TableRows
from byol_core.protocols import PROTOCOLS

__all__ = [
    "TableFileError",
    "TableRow",
    "TableRows",
    "UnknownTableError",
    "load_table",
    "load_table_file",
    "run_table_ids",
    "table_ids",
    "table_of_sweep",
]

_NOT_IN_NAMES = re.compile(r"[^\w.-]")
NETWORKS = ("online", "target")
"""The networks of a run that are evaluated."""
NOT_RUN = "no run of ours trains this"
"""Why a row of a table with a published side alone has no run."""


class UnknownTableError(AnalysisError):
    """There is no table of that name."""


@cache
def load_table(name: str) -> TableRows:
    """Read a table's definition and its published side.

    Raises:
        UnknownTableError: there is none; the text names the nearest and all.
    """
    if name in run_table_ids():
        file = files("analysis.papers").joinpath("tables", f"{name}.yaml")
        return read_table(file.read_text(encoding="utf-8"), f"tables/{name}.yaml", name)
    if name in SHOWN_IN:
        raise UnknownTableError(
            f"table {name!r} does not exist; its published rows stand in table {SHOWN_IN[name]!r}"
        )
    if name not in table_ids():
        raise UnknownTableError(
            f"table {name!r} does not exist; {nearest(name, table_ids(), 'tables')}"
        )
    return _published_side(name, printed_table(file_of_table()[name], name))


def load_table_file(file: Path, known_keys: Collection[str] = ()) -> TableRows:
    """Read a table that a user wrote, in the schema of `tables/*.yaml`.

    Args:
        file: YAML; its name is the table's where it states none.
        known_keys: of a run, against which those of the rows are checked; unchecked where empty.

    Raises:
        TableFileError: it cannot be read, or does not fit: file, key, what is allowed.
    """
    name = _NOT_IN_NAMES.sub("_", file.stem)
    table = read_table(read_text(file), str(file), name, known_keys)
    if _NOT_IN_NAMES.search(table.id) or table.id.startswith("."):
        raise TableFileError(
            f"{file}: id: {table.id!r} names files too, so it has letters, digits and - _ . alone"
        )
    if table.id in {*table_ids(), *SHOWN_IN}:
        raise TableFileError(
            f"{file}: id: {table.id!r} is a paper's table; give yours another name: `id: my_name`"
        )
    return table


def read_table(text: str, place: str, name: str, known_keys: Collection[str] = ()) -> TableRows:
    """Return a table from the text of its file.

    Args:
        text: YAML.
        place: the file, for errors.
        name: of the table, where the file states none.
        known_keys: of a run; unchecked where empty.

    Raises:
        TableFileError: it does not fit the schema.
    """
    entry = checked(TableFileEntry, parse_yaml(text, place), place)
    metric = _metric(entry.metric, f"{place}: metric")
    printed = _printed(entry.published, f"{place}: published")
    rows = {row.key: _row(row, printed) for row in plain_rows(entry.rows, place)}
    axes = tuple(entry.axes if entry.axes is not None else _keys_of(rows))
    if known_keys:
        check_keys(axes, rows, known_keys, place)
    check_rows(rows, axes, entry.baselines, place)
    try:
        claims = read_claims(entry.claims, rows)
    except ClaimError as error:
        raise TableFileError(f"{place}: claims: {error}") from None

    return TableRows(
        id=entry.id or name,
        title=entry.title or entry.id or name,
        protocol=metric.protocol,
        network=metric.network,
        metric=metric.name,
        axes=axes,
        baselines=tuple(entry.baselines),
        rows=rows,
        printed=printed,
        own_note=entry.note,
        claims=claims,
        figures=_figures(entry.figures, place),
    )


def _metric(values: Any, place: str) -> MetricEntry:
    """Return which number of which evaluation a table shows."""
    metric = checked(MetricEntry, values, place)
    if metric.protocol not in PROTOCOLS:
        hint = nearest(metric.protocol, PROTOCOLS, "protocols")
        raise TableFileError(f"{place}: protocol: {metric.protocol!r} does not exist; {hint}")
    if metric.network not in NETWORKS:
        hint = nearest(metric.network, NETWORKS, "networks")
        raise TableFileError(f"{place}: network: {metric.network!r} does not exist; {hint}")
    return metric


def _figures(names: Collection[str], place: str) -> tuple[str, ...]:
    """Return the kinds of figures that a table names, which there must be."""
    for name in names:
        if name not in FIGURES:
            raise TableFileError(
                f"{place}: figures: no figure is called {name!r}; {nearest(name, FIGURES, 'figures')}"
            )
    return tuple(names)


def _published_side(name: str, printed: PrintedTable) -> TableRows:
    """Return a table that no definition makes rows of: what was printed, and why nothing is run."""
    not_run = printed.not_run or NOT_RUN
    rows = {
        key: TableRow(key, row.label, {}, (), row.published, not_run)
        for key, row in printed.rows.items()
    }
    metric = MetricEntry()
    return TableRows(
        id=name,
        title=printed.title,
        protocol=metric.protocol,
        network=metric.network,
        metric=metric.name,
        axes=(),
        baselines=(),
        rows=rows,
        printed=printed,
        is_published_only=True,
    )


def _printed(published: Any, place: str) -> PrintedTable | None:
    """Return the published side that a definition names, None where it names none."""
    if published is None:
        return None
    entry = checked(PublishedEntry, published, place)
    return _printed_at(entry, place)


def _printed_at(entry: PublishedEntry, place: str) -> PrintedTable:
    try:
        return printed_table(entry.file, entry.table)
    except TableFileError as error:
        raise TableFileError(f"{place}: {error}") from None


def _row(row: PlainRow, printed: PrintedTable | None) -> TableRow:
    return TableRow(
        key=row.key,
        label=row.entry.label or row.key,
        match=row.entry.match,
        companions=tuple(row.entry.companions),
        published=_published(row, printed),
        not_run=row.entry.not_run,
        own_note=row.entry.note,
    )


def _published(row: PlainRow, printed: PrintedTable | None) -> Published:
    """Return what is printed for a row: nothing, in the table's own source, or in another."""
    named = row.entry.published
    if named is not None and row.at:
        raise TableFileError(f"{row.place}: published and at both name a printed row; leave one")
    if isinstance(named, Mapping):
        entry = checked(PublishedRowEntry, named, f"{row.place}: published")
        other = _printed_at(entry, f"{row.place}: published")
        return other.named(entry.row, row.place).from_table(other, printed)

    if named is None and not row.at:
        return Published()
    if printed is None:
        raise TableFileError(
            f"{row.place}: published: the table names no published side to look in"
        )
    if named is None:
        return printed.at(row.at, row.place)
    return printed.named(named, row.place)


def _keys_of(rows: Mapping[str, TableRow]) -> list[str]:
    """Return every key that rows name, in the order in which they appear."""
    return list(dict.fromkeys(key for row in rows.values() for key in row.match))
