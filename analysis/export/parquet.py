"""Writes a relation as a Parquet file.

Columns are typed, every record is a struct, and a row group holds 65,536 rows.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO

from sqlalchemy import Connection

from analysis.results.relations import Kind, Record, Relation, fields_of

_ROWS_AT_ONCE = 1 << 16
_Fields = Mapping[str, Kind]


def write_parquet(relation: Relation, connection: Connection, file: BinaryIO) -> None:
    """Write a relation; not-a-number, infinities and missing values stay apart. Needs pyarrow."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    # The keys of all records must be known before the first row is written.
    rows: Iterable[Record] = relation.rows(connection)
    fields: dict[str, _Fields] = {}
    if "record" in relation.columns.values():
        rows = [*rows]
        for place, (name, kind) in enumerate(relation.columns.items()):
            if kind == "record":
                fields[name] = fields_of([row[place] for row in rows])

    # Parquet has no struct without a field: a record that is empty in all rows is left out.
    columns = {
        name: kind for name, kind in relation.columns.items() if kind != "record" or fields[name]
    }
    schema = pa.schema(
        {name: _arrow_type(kind, fields.get(name, {})) for name, kind in columns.items()}
    )

    with ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            values = dict(zip(relation.columns, zip(*batch, strict=True), strict=True))
            arrays = []
            for name, kind in columns.items():
                stored = [_stored(value, kind, fields.get(name, {})) for value in values[name]]
                arrays.append(pa.array(stored, schema.field(name).type))
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _batches(rows: Iterable[Record]) -> Iterator[list[Record]]:
    waiting = iter(rows)
    while batch := [*islice(waiting, _ROWS_AT_ONCE)]:
        yield batch


def _arrow_type(kind: Kind, fields: _Fields) -> Any:
    import pyarrow as pa

    if kind == "record":
        return pa.struct({key: _arrow_type(inner, {}) for key, inner in fields.items()})
    if kind == "texts":
        return pa.list_(pa.string())
    plain = {"integer": pa.int64(), "number": pa.float64(), "yes or no": pa.bool_()}
    return plain.get(kind, pa.string())


def _stored(value: Any, kind: Kind, fields: _Fields) -> Any:
    """Return a value as its column takes it: what has no fixed type is JSON text."""
    if kind == "record":
        return {key: _stored(value.get(key), inner, {}) for key, inner in fields.items()}
    if kind == "json" and value is not None:
        return json.dumps(value, ensure_ascii=False)
    return value
