"""Makes a digest of all that results.db holds of each run and sweep: equal content, equal digest.

Row numbers and the collector's bookkeeping are left out, since they depend on the order in which
things came in.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Table, select

from orchestrator.database.schema import (
    annotations,
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
    metric_names = {row.id: row.name for row in connection.execute(select(metrics))}
    by_name = {}
    for run_number, run_id in connection.execute(select(runs.c.run_number, runs.c.run_id)).all():
        by_name[f"run {run_id}"] = _digest(_run_rows(connection, run_number, metric_names))
    of_sweeps = select(sweeps.c.id, sweeps.c.label, sweeps.c.root)
    for sweep_id, label, root in connection.execute(of_sweeps).all():
        by_name[f"sweep {label} in {root}"] = _digest(_sweep_rows(connection, sweep_id))
    return by_name


def _run_rows(
    connection: Connection, run_number: int, metric_names: dict[int, str]
) -> Iterator[Any]:
    yield from _rows(connection, runs, runs.c.run_number == run_number)
    for table in (attempts, summaries, evaluations, annotations):
        yield from _rows(connection, table, table.c.run_number == run_number)

    # Metrics in the order of their names, since that of their numbers is an accident.
    series = select(points.c.step, points.c.attempt, points.c.value, points.c.non_finite)
    in_order = series.order_by(points.c.step, points.c.attempt)
    for metric, name in sorted(metric_names.items(), key=lambda item: item[1]):
        of_metric = (points.c.run_number == run_number) & (points.c.metric == metric)
        rows = connection.execute(in_order.where(of_metric)).all()
        if rows:
            yield name
            yield from rows


def _sweep_rows(connection: Connection, sweep_id: int) -> Iterator[Any]:
    yield from _rows(connection, sweeps, sweeps.c.id == sweep_id)
    for table in (variants, sweep_runs, annotations):
        yield from _rows(connection, table, table.c.sweep_id == sweep_id)


def _rows(connection: Connection, table: Table, condition: Any) -> Iterator[Any]:
    columns = [column for column in table.columns if column.name not in _BOOKKEEPING]
    yield table.name
    yield from connection.execute(select(*columns).where(condition).order_by(*table.primary_key))


def _digest(rows: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row).encode())
    return digest.hexdigest()
