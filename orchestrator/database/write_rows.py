"""Writes rows into results.db, many at a time, inside the transaction of the caller.

Writing a row twice changes nothing.
"""

from collections.abc import Sequence
from importlib import import_module
from itertools import chain
from typing import Any

from sqlalchemy import (
    Connection,
    Executable,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from orchestrator.database import schema
from orchestrator.database.read_run import DatabaseRow, Point, RunRows

_INSERT_POINTS = (
    "INSERT OR IGNORE INTO points (run_number, metric, step, attempt, value, non_finite) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)


class Writer:
    """Writes to one connection; `metrics` has a number for the name of each metric."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.metrics = _MetricNumbers(self)

    def write(self, runs: Sequence[RunRows]) -> None:
        """Write what was read of some runs; what is not counted up is replaced."""
        if not runs:
            return
        self.connection.execute(_UPDATE_RUN, [rows.run for rows in runs])
        self.upsert(schema.attempts, list(chain.from_iterable(rows.attempts for rows in runs)))

        # An evaluation made anew may have fewer values, so the old ones go first.
        numbers = [{"of_run": rows.run["of_run"]} for rows in runs]
        for table in (schema.summaries, schema.evaluations, schema.annotations):
            of_run = table.c.run_number == bindparam("of_run")
            self.connection.execute(delete(table).where(of_run), numbers)
        summaries = chain.from_iterable(rows.summaries for rows in runs)
        evaluations = chain.from_iterable(rows.evaluations for rows in runs)
        annotations = chain.from_iterable(rows.annotations for rows in runs)
        self.insert(schema.summaries, list(summaries))
        self.insert(schema.evaluations, list(evaluations))
        self.insert(schema.annotations, list(annotations))

        self._insert_points(list(chain.from_iterable(rows.points for rows in runs)))

    def insert(self, table: Table, rows: list[DatabaseRow]) -> None:
        """Insert new rows."""
        if rows:
            self.connection.execute(insert(table), rows)

    def insert_one(self, table: Table, row: DatabaseRow) -> int:
        """Insert one row; return its number."""
        statement = insert(table).values(row).returning(table.c.id)
        return int(self.connection.execute(statement).scalar_one())

    def _insert_points(self, points: list[Point]) -> None:
        if not points:
            return
        if self.connection.dialect.name == "sqlite":
            # past SQLAlchemy: a third of the time for the bulk of the rows
            self.connection.exec_driver_sql(_INSERT_POINTS, points)
        else:
            names = [column.name for column in schema.points.columns]
            self.upsert(schema.points, [dict(zip(names, point, strict=True)) for point in points])

    def upsert(self, table: Table, rows: list[DatabaseRow]) -> None:
        """Insert rows, or replace those of the same key."""
        if rows:
            self.connection.execute(_upsert_into(table, self.connection.dialect.name), rows)


class _MetricNumbers(dict[str, int]):
    """Maps the name of a metric to its number; a new name gets its row when it is first read."""

    def __init__(self, writer: Writer) -> None:
        known = writer.connection.execute(select(schema.metrics))
        super().__init__({row.name: row.id for row in known})
        self._writer = writer

    def __missing__(self, name: str) -> int:
        self[name] = self._writer.insert_one(schema.metrics, {"name": name})
        return self[name]


def _upsert_into(table: Table, dialect_name: str) -> Executable:
    """Return the statement that inserts a row, or replaces that of the same key."""
    dialect: Any = import_module(f"sqlalchemy.dialects.{dialect_name}")
    statement = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    excluded = statement.excluded
    changes = {
        column.name: excluded[column.name] for column in table.columns if column.name not in keys
    }
    upsert: Executable = statement.on_conflict_do_update(index_elements=keys, set_=changes)
    return upsert


_OF_JOB = ("job_id", "queue_reason", "node", "submitted_at")
_CHANGING = (
    "state",
    "reason",
    "held_back",
    "outcome",
    "attempt",
    "step",
    "wall_s",
    "test_images",
    "disk_bytes",
    "tags",
    "excluded",
    "stamp",
    *_OF_JOB,
)
_UPDATE_RUN = (
    update(schema.runs)
    .where(schema.runs.c.run_number == bindparam("of_run"))
    .values({name: bindparam(name) for name in _CHANGING})
    .values(total_steps=func.coalesce(bindparam("total_steps"), schema.runs.c.total_steps))
)
