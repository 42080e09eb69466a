"""A relation as a Parquet file: typed columns, a struct for every record, a row group per 65,536
rows.
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

    rows: Iterable[Record] = relation.rows(connection)
    fields: dict[str, _Fields] = {}
    if "record" in relation.columns.values():
        rows = [*rows]  # the keys of all must be known before the first is written
        places = {
            name: place
            for place, (name, kind) in enumerate(relation.columns.items())
            if kind == "record"
        }
        fields = {name: fields_of([row[place] for row in rows]) for name, place in places.items()}
    columns = {
        name: kind for name, kind in relation.columns.items() if kind != "record" or fields[name]
    }
    schema = pa.schema(
        {name: _arrow_type(kind, fields.get(name, {})) for name, kind in columns.items()}
    )
    with ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            values = dict(zip(relation.columns, zip(*batch, strict=True), strict=True))
            arrays = [
                pa.array(
                    [_stored(value, kind, fields.get(name, {})) for value in values[name]],
                    schema.field(name).type,
                )
                for name, kind in columns.items()
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _batches(rows: Iterable[Record]) -> Iterator[list[Record]]:
    waiting = iter(rows)
    while batch := [*islice(waiting, _ROWS_AT_ONCE)]:
        yield batch


def _arrow_type(kind: Kind, fields: _Fields) -> Any:
    import pyarrow as pa

    if kind == "record":
        return pa.struct({key: _arrow_type(one, {}) for key, one in fields.items()})
    if kind == "texts":
        return pa.list_(pa.string())
    return {"integer": pa.int64(), "number": pa.float64(), "yes or no": pa.bool_()}.get(
        kind, pa.string()
    )


def _stored(value: Any, kind: Kind, fields: _Fields) -> Any:
    """Return a value as its column takes it: what has no fixed type is JSON text."""
    if kind == "record":
        return {key: _stored(value.get(key), one, {}) for key, one in fields.items()}
    return json.dumps(value, ensure_ascii=False) if kind == "json" and value is not None else value
