"""Reads a table of ``published/*.yaml`` into what was printed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from analysis.papers.nearest import nearest
from analysis.papers.printed import (
    Cell,
    Column,
    PrintedRow,
    PrintedTable,
    Published,
    Spread,
    digits,
)
from analysis.papers.printed_file import (
    CellEntry,
    ColumnEntry,
    RowEntry,
    SourceEntry,
    SpreadEntry,
    TableEntry,
)
from analysis.papers.strict_file import TableFileError, checked, parse_yaml
from analysis.papers.table_names import only_table, published_files

_PERCENT = "percent"


@cache
def printed_table(file: str, table: str) -> PrintedTable:
    """Read a table of `published/<file>.yaml`.

    Raises:
        TableFileError: there is no such file or table, or it does not fit the schema.
    """
    texts = published_files()
    if file not in texts:
        raise TableFileError(
            f"published file {file!r} does not exist; {nearest(file, texts, 'files')}"
        )
    return read_printed(only_table(texts[file], table), table, f"published/{file}.yaml")


def read_printed(text: str, table: str, place: str) -> PrintedTable:
    """Return a table from the text of a source's file.

    Args:
        text: YAML.
        table: its name there.
        place: the file, for errors.

    Raises:
        TableFileError: the table is not there, or does not fit the schema.
    """
    source = checked(SourceEntry, parse_yaml(text, place), place)
    if table not in source.tables:
        known = nearest(table, source.tables, "tables")
        raise TableFileError(f"{place}: published table {table!r} does not exist; {known}")

    place = f"{place}: table {table}"
    entry = checked(TableEntry, source.tables[table], place)
    decimals = entry.decimals if entry.decimals is not None else source.decimals
    columns = {
        name: _column(column, decimals, f"{place}, column {name}")
        for name, column in entry.columns.items()
    }
    reader = _RowReader(columns, entry.figure_error, _spread(source, entry, place))
    if not columns:
        raise TableFileError(f"{place}: columns: is empty; name what the table prints")
    rows = {key: reader.row(row, f"{place}, row {key}") for key, row in entry.rows.items()}

    has_spread = any(cell.pm for row in rows.values() for cell in row.published.columns.values())
    return PrintedTable(
        title=entry.title,
        source=f"{entry.source or source.source}, {entry.place}",
        url=source.url,
        setting=entry.setting,
        preset=entry.preset,
        protocol=entry.protocol,
        like=entry.like,
        seeds=entry.seeds,
        chance=_fraction(entry.chance),
        columns=columns,
        spread=reader.spread if has_spread else None,
        note=entry.note,
        disputed=entry.disputed,
        not_run=entry.not_run,
        rows=rows,
    )


def _column(column: Any, decimals: int, place: str) -> Column:
    """Return a column, which is written as its metric alone where nothing else is special."""
    values = {"metric": column} if isinstance(column, str) else column
    entry = checked(ColumnEntry, values, place)
    own = entry.decimals if entry.decimals is not None else decimals
    return Column(entry.metric, entry.unit, own)


def _spread(source: SourceEntry, table: TableEntry, place: str) -> Spread | None:
    values = table.spread or source.spread
    if values is None:
        return None
    entry = checked(SpreadEntry, values, f"{place}: spread")
    return Spread(entry.kind, entry.words)


@dataclass(frozen=True)
class _RowReader:
    """Reads the rows of one table."""

    columns: Mapping[str, Column]
    figure_error: float | None
    spread: Spread | None

    def row(self, values: Any, place: str) -> PrintedRow:
        """Return a row: its cells stand under the names of the columns, beside its other keys."""
        if not isinstance(values, Mapping):
            raise TableFileError(f"{place}: {values!r} is no mapping of keys")
        self._check_keys(values, place)
        others = {key: value for key, value in values.items() if key not in self.columns}
        entry = checked(RowEntry, others, place)
        cells = {
            name: self._cell(values[name], column, f"{place}, {name}")
            for name, column in self.columns.items()
            if name in values
        }
        label = entry.label or label_at(entry.at)
        return PrintedRow(label, entry.at, self._published(cells, entry))

    def _check_keys(self, values: Mapping[str, Any], place: str) -> None:
        known = [*RowEntry.model_fields, *self.columns]
        for key in values:
            if key not in known:
                hint = nearest(str(key), known, "keys")
                raise TableFileError(f"{place}: key {key!r} does not exist; {hint}")
        first = next(iter(self.columns))
        if first not in values:
            raise TableFileError(
                f"{place}: key {first!r} is missing; null where nothing is printed"
            )

    def _cell(self, value: Any, column: Column, place: str) -> Cell:
        """Return a cell, which is a number, null, or a mapping where more is known of it."""
        values = value if isinstance(value, Mapping) else {"value": value}
        entry = checked(CellEntry, values, place)
        if entry.pm is not None and self.spread is None:
            raise TableFileError(f"{place}: pm: the file does not say what its ± is; add `spread`")
        if (entry.bound == "between") != (entry.to is not None):
            raise TableFileError(f"{place}: bound: `between` needs `to`, and `to` needs `between`")

        error = self.figure_error if entry.figure_error is None else entry.figure_error
        has_number = entry.value is not None and entry.bound is None
        is_rough = entry.approximate or (error is not None and has_number)
        scale = 100 if column.unit == _PERCENT else 1
        return Cell(
            value=_fraction(entry.value, scale) if has_number else None,
            pm=_fraction(entry.pm, scale),
            text=_text(entry, column.decimals, is_rough),
            approximate=is_rough,
            error=_fraction(error, scale) if has_number else None,
            bound=entry.bound,
            low=_fraction(entry.value, scale) if entry.bound else None,
            high=_fraction(entry.to, scale),
        )

    def _published(self, cells: Mapping[str, Cell], entry: RowEntry) -> Published:
        first = cells[next(iter(self.columns))]
        positive = cells.get("positive_cosine", Cell())
        has_spread = any(cell.pm is not None for cell in cells.values())
        return Published(
            **vars(first),
            columns=cells,
            spread=self.spread if has_spread else None,
            positive_cosine=positive.value,
            negative_cosine=cells.get("negative_cosine", Cell()).value,
            cosines_printed=positive.value is not None and not positive.approximate,
            note=entry.note,
            disputed=entry.disputed,
        )


def label_at(at: Mapping[str, Any]) -> str:
    """Return a label from coordinates: `byol, batch size 512`."""
    words = []
    for key, value in at.items():
        name = key.replace("_", " ")
        if isinstance(value, str):
            words.append(value.replace("_", " "))
        elif isinstance(value, bool):
            words.append(name if value else f"no {name}")
        elif value is not None:
            words.append(f"{name} {digits(value)}")
    return ", ".join(words)


def _text(entry: CellEntry, decimals: int, is_rough: bool) -> str | None:
    """Return a cell as it was printed."""
    if entry.as_printed:
        text = entry.as_printed
    elif entry.value is not None:
        text = digits(entry.value, decimals)
    else:
        return None

    if entry.bound == "between" and entry.to is not None:
        return f"{text} to {digits(entry.to, decimals)}"
    if entry.bound is not None:
        return f"{entry.bound} {text}"
    if is_rough:
        text = f"≈{text}"
    if entry.pm is not None:
        text = f"{text} ±{digits(entry.pm, decimals)}"
    return text


def _fraction(number: float | None, scale: int = 100) -> float | None:
    """Return percent as a fraction, without the digits that dividing adds."""
    if number is None:
        return None
    return round(number / scale, 8)
