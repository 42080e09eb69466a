"""Reads the points that runs logged while training, of one metric at a time."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, select

from analysis.results.connect import reading
from analysis.results.relations import number
from orchestrator.database import schema

_AT_ONCE = 500
"""The number of runs that one query names."""

PointOfRun = tuple[str, int, int, float | None]
"""Run id, step, attempt, value."""


def read_points(database: str, metric: str, run_ids: Sequence[str]) -> list[PointOfRun]:
    """Return the points of a metric of some runs; a step of several attempts has the highest's.

    Args:
        database: path or URL.
        metric: for example `loss`.
        run_ids: whole.

    Raises:
        NoDatabaseError: no database there.
    """
    with reading(database) as connection:
        # The attempts of a step are in order, so the last of them is the highest.
        by_step = {point[:2]: point for point in points_of(connection, metric, run_ids)}
    return [*by_step.values()]


def points_of(
    connection: Connection, metric: str, run_ids: Sequence[str] | None = None
) -> Iterator[PointOfRun]:
    """Yield the points of a metric by run, step and attempt.

    Args:
        connection: to results.db.
        metric: for example `loss`.
        run_ids: whole; all runs where None.
    """
    run = schema.runs.c
    point = schema.points.c
    metric_id = select(schema.metrics.c.id).where(schema.metrics.c.name == metric)
    query = (
        select(run.run_id, point.step, point.attempt, point.value, point.non_finite)
        .join_from(schema.runs, schema.points, run.run_number == point.run_number)
        .where(point.metric == metric_id.scalar_subquery())
        .order_by(run.run_id, point.step, point.attempt)
    )

    # In parts: each query names its runs, and a database limits how many values it takes.
    queries = [query]
    if run_ids is not None:
        starts = range(0, len(run_ids), _AT_ONCE)
        queries = [
            query.where(run.run_id.in_(run_ids[start : start + _AT_ONCE])) for start in starts
        ]
    for each in queries:
        # A value that is not finite is stored as null beside its name.
        for run_id, step, attempt, value, non_finite in connection.execute(each):
            yield run_id, step, attempt, number(value, non_finite)
