"""A metric of several runs laid over each other: `sweep show RUN RUN --plot loss`."""

import io
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from analysis.load import open_read_only
from orchestrator import schema

Series = tuple[list[int], list[float]]


class UnknownMetricError(Exception):
    """No run has a series of that name."""


def series(db: str, run_ids: Sequence[str], metric: str) -> dict[str, Series]:
    """Return run id → (steps, values); where several attempts logged a step, the highest counts.

    Raises:
        UnknownMetricError: none of the runs has it; the text lists what there is.
    """
    with open_read_only(db).connect() as connection:
        found = {run_id: _one(connection, run_id, metric) for run_id in run_ids}
        if not any(steps for steps, _ in found.values()):
            known = ", ".join(sorted(connection.scalars(select(schema.metrics.c.name)))) or "none yet"
            raise UnknownMetricError(f"no series {metric!r} in these runs; metrics: {known}")
    return found


def draw(found: Mapping[str, Series], labels: Mapping[str, str], metric: str) -> bytes:
    """Return a PNG with a line per run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for run_id, (steps, values) in found.items():
        axes.plot(steps, values, label=labels[run_id], linewidth=1.5)
    axes.set_xlabel("step")
    axes.set_ylabel(metric)
    axes.grid(color="#e5e5e5")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", frameon=False, fontsize=8, ncols=2)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=150)
    return picture.getvalue()


def _one(connection: Connection, run_id: str, metric: str) -> Series:
    points, runs, metrics = schema.points, schema.runs, schema.metrics
    query = (
        select(points.c.step, points.c.value)
        .join(runs, runs.c.id == points.c.run)
        .join(metrics, metrics.c.id == points.c.metric)
        .where(runs.c.run_id == run_id, metrics.c.name == metric)
        .order_by(points.c.step, points.c.attempt)
    )
    by_step = {step: float("nan") if value is None else value for step, value in connection.execute(query)}
    return [*by_step], [*by_step.values()]
