"""A digest of everything that results.db holds of each run and sweep, by their own names: equal
content, equal digest.

Row numbers and the collector's bookkeeping are left out, since they depend on the order in which
things came in.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Table, select

from orchestrator.database.schema import (
    attempts,
    evaluations,
    metrics,
    points,
    runs,
    summaries,
    sweep_runs,
    sweeps,
    variants,
)

_BOOKKEEPING = {"id", "run_number", "sweep_id", "stamp"}


def digests(connection: Connection) -> dict[str, str]:
    """Return "run <id>" or "sweep <label>" → sha256 of its rows."""
    names = {
        number: name for name, number in connection.execute(select(metrics.c.name, metrics.c.id))
    }
    found = {}
    for run_number, run_id in connection.execute(select(runs.c.run_number, runs.c.run_id)).all():
        found[f"run {run_id}"] = _digest(_run_rows(connection, run_number, names))
    for sweep_id, label in connection.execute(select(sweeps.c.id, sweeps.c.label)).all():
        found[f"sweep {label}"] = _digest(_sweep_rows(connection, sweep_id))
    return found


def _run_rows(connection: Connection, run_number: int, names: dict[int, str]) -> Iterator[Any]:
    yield from _rows(connection, runs, runs.c.run_number == run_number)
    for table in (attempts, summaries, evaluations):
        yield from _rows(connection, table, table.c.run_number == run_number)
    series = (points.c.step, points.c.attempt, points.c.value, points.c.non_finite)
    for metric, name in sorted(names.items(), key=lambda item: item[1]):
        of_metric = (points.c.run_number == run_number) & (points.c.metric == metric)
        rows = connection.execute(
            select(*series).where(of_metric).order_by(points.c.step, points.c.attempt)
        ).all()
        if rows:
            yield name
            yield from rows


def _sweep_rows(connection: Connection, sweep_id: int) -> Iterator[Any]:
    yield from _rows(connection, sweeps, sweeps.c.id == sweep_id)
    for table in (variants, sweep_runs):
        yield from _rows(connection, table, table.c.sweep_id == sweep_id)


def _rows(connection: Connection, table: Table, of_one: Any) -> Iterator[Any]:
    columns = [column for column in table.columns if column.name not in _BOOKKEEPING]
    yield table.name
    yield from connection.execute(select(*columns).where(of_one).order_by(*table.primary_key))


def _digest(rows: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row).encode())
    return digest.hexdigest()
