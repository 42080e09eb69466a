"""`sweep export`: results.db as files for other programs, one per relation, in CSV, JSON or
Parquet.

Rows are written as they are read, so memory does not grow with the number of points.
"""

import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection

from analysis.export.parquet import write_parquet
from analysis.render.csv_cells import write_csv
from analysis.results.connect import reading
from analysis.results.relations import RELATIONS, Kind, Record, Relation, flattened
from byol_core.files import output


class ExportError(Exception):
    """The files cannot be written there, or not in this format."""


def export(db: str, folder: Path, format_: str = "csv") -> list[Path]:
    """Write a database as ``runs``, ``sweeps``, ``attempts``, ``evaluations`` and ``series``, all
    of one moment.

    Args:
        db: path or SQLAlchemy URL.
        folder: made where missing; files of the same names in it are replaced, each whole.
        format_: one of `FORMATS`.

    Returns:
        The files, which are as open as the umask says.

    Raises:
        ExportError: the folder cannot be made, or Parquet's library is missing.
        NoDatabaseError: no database there.
    """
    if format_ == "parquet" and find_spec("pyarrow") is None:
        raise ExportError(
            "--format parquet needs pyarrow: pip install 'byol-sweeps[parquet]', or take csv or json"
        )
    _make(folder)
    files = []
    with reading(db) as connection:
        for relation in RELATIONS:
            files.append(folder / f"{relation.name}.{format_}")
            with output(files[-1]) as file:
                FORMATS[format_](relation, connection, file)
    return files


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ExportError(f"--out {folder}: is a file; name a folder") from None
    except OSError as error:
        raise ExportError(
            f"--out {folder}: {error.strerror}; name a folder that can be made"
        ) from None


def _as_csv(relation: Relation, connection: Connection, file: BinaryIO) -> None:
    columns, rows = flattened(relation, connection)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    kinds = [*columns.values()]
    plain = not {"texts", "json"} & {*kinds}
    write_csv(text, [*columns], rows if plain else (_in_cells(row, kinds) for row in rows))
    text.flush()
    text.detach()


def _in_cells(row: Record, kinds: Sequence[Kind]) -> Iterator[Any]:
    for value, kind in zip(row, kinds, strict=True):
        if kind == "texts":
            yield "; ".join(value)
        else:
            yield (
                json.dumps(value, ensure_ascii=False)
                if kind == "json" and value is not None
                else value
            )


def _as_json(relation: Relation, connection: Connection, file: BinaryIO) -> None:
    """Write an array with a record a line; JSON has no name for what is not finite, so that is
    text.
    """
    before = b"["
    for row in relation.rows(connection):
        record = {name: _strict(value) for name, value in zip(relation.columns, row, strict=True)}
        file.write(
            before + b"\n" + json.dumps(record, allow_nan=False, ensure_ascii=False).encode()
        )
        before = b","
    file.write(b"\n]\n" if before == b"," else b"[]\n")


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return {key: _strict(one) for key, one in value.items()} if isinstance(value, dict) else value


FORMATS: dict[str, Callable[[Relation, Connection, BinaryIO], None]] = {
    "csv": _as_csv,
    "json": _as_json,
    "parquet": write_parquet,
}
