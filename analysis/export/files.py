"""Writes results.db as files for `sweep export`, one per relation, in CSV, JSON or Parquet.

Rows are written as they are read, so memory does not grow with the number of points.
"""

import io
import json
import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection

from analysis.errors import AnalysisError
from analysis.export.parquet import write_parquet
from analysis.render.csv_cells import write_csv
from analysis.results.connect import reading
from analysis.results.relations import RELATIONS, Kind, Record, Relation, flattened
from byol_core.files import output


class ExportError(AnalysisError):
    """The files cannot be written there, or not in this format."""


def export(db: str, folder: Path, format_: str = "csv") -> list[Path]:
    """Write a database as one file per relation, all of one moment.

    The relations are ``runs``, ``sweeps``, ``attempts``, ``evaluations``, ``series`` and
    ``annotations``.

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
            "--format parquet needs pyarrow: pip install 'byol-sweeps[parquet]', "
            "or take csv or json"
        )
    _make(folder)

    # One connection sees one state of the database, whatever the collector adds meanwhile.
    paths: list[Path] = []
    with reading(db) as connection:
        for relation in RELATIONS:
            path = folder / f"{relation.name}.{format_}"
            with output(path) as file:
                FORMATS[format_](relation, connection, file)
            paths.append(path)
    return paths


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ExportError(f"--out {folder}: is a file; name a folder") from None
    except OSError as error:
        text = f"--out {folder}: {error.strerror}; name a folder that can be made"
        raise ExportError(text) from None


def _as_csv(relation: Relation, connection: Connection, file: BinaryIO) -> None:
    columns, rows = flattened(relation, connection)
    kinds = [*columns.values()]

    # Rows with nothing to convert are passed on as they are: `series` has millions.
    if {"texts", "json"} & {*kinds}:
        rows = (_in_cells(row, kinds) for row in rows)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    write_csv(text, [*columns], rows)
    text.flush()
    text.detach()


def _in_cells(row: Record, kinds: Sequence[Kind]) -> Record:
    """Return a row whose lists and JSON values are text."""
    return tuple([_cell(value, kind) for value, kind in zip(row, kinds, strict=True)])


def _cell(value: Any, kind: Kind) -> Any:
    if kind == "texts":
        return "; ".join(value)
    if kind == "json" and value is not None:
        return json.dumps(value, ensure_ascii=False)
    return value


def _as_json(relation: Relation, connection: Connection, file: BinaryIO) -> None:
    """Write an array with a record a line."""
    before = b"["
    for row in relation.rows(connection):
        record = {name: _strict(value) for name, value in zip(relation.columns, row, strict=True)}
        text = json.dumps(record, allow_nan=False, ensure_ascii=False)
        file.write(before + b"\n" + text.encode())
        before = b","

    # Without any row the array has not been opened yet.
    if before == b"[":
        file.write(b"[]\n")
    else:
        file.write(b"\n]\n")


def _strict(value: Any) -> Any:
    """Return a value for JSON, which has no name for what is not finite, so that is text."""
    if isinstance(value, dict):
        return {key: _strict(inner) for key, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


FORMATS: dict[str, Callable[[Relation, Connection, BinaryIO], None]] = {
    "csv": _as_csv,
    "json": _as_json,
    "parquet": write_parquet,
}
