"""Reads what people say of runs and sweeps into rows for results.db."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, update

from orchestrator.database import schema
from orchestrator.database.read_run import DatabaseRow, RunRows
from orchestrator.database.write_rows import Writer
from orchestrator.store.annotations import Annotation, read_annotations, remarks_of


def add_annotations(rows: RunRows, run: Path) -> list[str]:
    """Add what is said of a run to its rows; return what could not be read.

    Args:
        rows: of the run.
        run: its folder.
    """
    annotations, damaged = read_annotations(run)
    rows.annotations = _rows(annotations, "run_number", rows.run["of_run"])
    remarks = remarks_of(annotations)
    rows.run["tags"] = json.dumps(remarks.tags)
    rows.run["excluded"] = remarks.excluded.text if remarks.excluded else None
    return damaged


def write_annotations(writer: Writer, root: str, sweep: Path) -> list[str]:
    """Write what is said of a sweep, where that has changed; return what could not be read.

    Args:
        writer: of the database.
        root: that the sweep is recorded under.
        sweep: its folder, named as it is; it has a row.
    """
    annotations, damaged = read_annotations(sweep)
    table = schema.annotations
    is_ours = (schema.sweeps.c.root == root) & (schema.sweeps.c.label == sweep.name)
    sweep_id = writer.connection.scalars(select(schema.sweeps.c.id).where(is_ours)).one()
    rows = _rows(annotations, "sweep_id", sweep_id)

    # Most passes find what the last one found.
    columns = [column for column in table.columns if column.name not in ("id", "run_number")]
    query = select(*columns).where(table.c.sweep_id == sweep_id).order_by(table.c.id)
    known = [dict(row) for row in writer.connection.execute(query).mappings()]
    if known == rows:
        return damaged

    writer.connection.execute(delete(table).where(table.c.sweep_id == sweep_id))
    writer.insert(table, rows)
    remarks = remarks_of(annotations)
    values: dict[str, Any] = {"tags": json.dumps(remarks.tags), "forgotten_at": None}
    if remarks.forgotten is not None:
        values["forgotten_at"] = remarks.forgotten.at
    writer.connection.execute(update(schema.sweeps).where(is_ours).values(values))
    return damaged


def _rows(annotations: Sequence[Annotation], owner: str, number: int) -> list[DatabaseRow]:
    """Return a row per annotation; `owner` is the column that holds whose it is."""
    return [
        {
            owner: number,
            "file": annotation.file,
            "kind": annotation.kind.value,
            "text": annotation.text,
            "at": annotation.at,
            "by": annotation.by,
        }
        for annotation in annotations
    ]
