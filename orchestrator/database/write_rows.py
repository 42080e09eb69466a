"""Rows into results.db, many at a time, inside the transaction of the caller. Writing a row twice
changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
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
    "INSERT OR IGNORE INTO points (run_number, metric, step, attempt, value, "
    "non_finite) VALUES (?, ?, ?, ?, ?, ?)"
)


@dataclass
class Writer:
    """Writes to one connection; `metrics` numbers their names."""

    connection: Connection

    def __post_init__(self) -> None:
        self.metrics = _MetricNumbers(self)

    def write(self, runs: Sequence[RunRows]) -> None:
        """Write what was read of some runs; their summaries and evaluations are replaced."""
        if not runs:
            return
        self.connection.execute(_UPDATE_RUN, [one.run for one in runs])
        self.upsert(schema.attempts, [row for one in runs for row in one.attempts])
        numbers = [{"of_run": one.run["of_run"]} for one in runs]
        for table, rows in (
            (schema.summaries, [row for one in runs for row in one.summaries]),
            (schema.evaluations, [row for one in runs for row in one.evaluations]),
        ):
            self.connection.execute(
                delete(table).where(table.c.run_number == bindparam("of_run")), numbers
            )
            self.insert(table, rows)
        self._insert_points([point for one in runs for point in one.points])

    def insert(self, table: Table, rows: list[DatabaseRow]) -> None:
        """Insert new rows."""
        if rows:
            self.connection.execute(insert(table), rows)

    def insert_one(self, table: Table, row: DatabaseRow) -> int:
        """Insert one row; return its number."""
        return int(
            self.connection.execute(insert(table).values(**row).returning(table.c.id)).scalar_one()
        )

    def _insert_points(self, points: list[Point]) -> None:
        if not points:
            return
        if (
            self.connection.dialect.name == "sqlite"
        ):  # past SQLAlchemy: a third of the time for the bulk of the rows
            self.connection.exec_driver_sql(_INSERT_POINTS, points)
        else:
            names = [column.name for column in schema.points.columns]
            self.upsert(schema.points, [dict(zip(names, point, strict=True)) for point in points])

    def upsert(self, table: Table, rows: list[DatabaseRow]) -> None:
        """Insert rows, or replace those of the same key."""
        if rows:
            self.connection.execute(_upsert_into(table, self.connection.dialect.name), rows)


class _MetricNumbers(dict[str, int]):
    """Name → number of each metric; a new name gets its row when it is first asked for."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(
            {row.name: row.id for row in writer.connection.execute(select(schema.metrics))}
        )
        self._writer = writer

    def __missing__(self, name: str) -> int:
        self[name] = self._writer.insert_one(schema.metrics, {"name": name})
        return self[name]


def _upsert_into(table: Table, dialect_name: str) -> Executable:
    dialect: Any = import_module(
        f"sqlalchemy.dialects.{'sqlite' if dialect_name == 'sqlite' else 'postgresql'}"
    )
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
    "outcome",
    "attempt",
    "step",
    "wall_s",
    "disk_bytes",
    "stamp",
    *_OF_JOB,
)
_UPDATE_RUN = (
    update(schema.runs)
    .where(schema.runs.c.run_number == bindparam("of_run"))
    .values({name: bindparam(name) for name in _CHANGING})
    .values(total_steps=func.coalesce(bindparam("total_steps"), schema.runs.c.total_steps))
)
