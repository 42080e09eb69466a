"""Loads results.db into a notebook as DataFrames: ``from analysis import load``.

Nothing here changes the database. Columns are typed: string, Int64, float64, boolean; a value that
is not finite stays what it was.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from sqlalchemy import Connection, select

from analysis.errors import AnalysisError
from analysis.papers.nearest import nearest
from analysis.report import report
from analysis.results.connect import reading
from analysis.results.points import points_of
from analysis.results.relations import (
    ANNOTATIONS,
    ATTEMPTS,
    EVALUATIONS,
    RUNS,
    SWEEPS,
    Kind,
    Record,
    Relation,
    flattened,
)
from orchestrator.database import schema

DATABASE = "results.db"
_TYPES: dict[Kind, str] = {
    "text": "string",
    "integer": "Int64",
    "number": "float64",
    "yes or no": "boolean",
}


class UnknownMetricError(AnalysisError):
    """No run has a series of that name."""


class UnknownRunError(AnalysisError):
    """No run has this id."""


def runs(db: str | Path = DATABASE) -> pd.DataFrame:
    """Return a line per run.

    Args:
        db: path or SQLAlchemy URL.

    Returns:
        Facts (`run_id`, `seed`, `state`, `outcome`, `wall_s`, …; `excluded` says why people left
        it out of tables), `sweeps` and `variants` that ask for it and `tags` (lists), then
        a column per setting (`optimizer.lr`, …; null where it has no effect)
        and per result: evaluations such as `probe_v3.online.accuracy` and signs of collapse such as
        `final.std_sqrt_d`. Fractions are in [0, 1].

    Raises:
        NoDatabaseError: missing, or of another version.
    """
    return _frame(RUNS, db)


def sweeps(db: str | Path = DATABASE) -> pd.DataFrame:
    """Return a line per sweep, variant and seed: which run each of them is.

    Arguments and errors are those of `runs`.
    """
    return _frame(SWEEPS, db)


def attempts(db: str | Path = DATABASE) -> pd.DataFrame:
    """Return a line per attempt: job, host, times, state, and where its code came from.

    Arguments and errors are those of `runs`.
    """
    return _frame(ATTEMPTS, db)


def evaluations(db: str | Path = DATABASE) -> pd.DataFrame:
    """Return a line per run, protocol, version, network and measure.

    Arguments and errors are those of `runs`.
    """
    return _frame(EVALUATIONS, db)


def annotations(db: str | Path = DATABASE) -> pd.DataFrame:
    """Return a line per note, tag or exclusion, of a run (`run_id`) or a sweep.

    Arguments and errors are those of `runs`.
    """
    return _frame(ANNOTATIONS, db)


def series(
    metric: str, run_ids: Sequence[str] | None = None, db: str | Path = DATABASE
) -> pd.DataFrame:
    """Return a metric as it was logged while training.

    Args:
        metric: for example `loss`.
        run_ids: whole; all runs where left out.
        db: path or SQLAlchemy URL.

    Returns:
        Columns `run_id`, `step`, `attempt`, `value`, in the order of steps. Where several attempts
        logged a step, the highest counts.

    Raises:
        NoDatabaseError: missing, or of another version.
        UnknownRunError: there is no such run.
        UnknownMetricError: none of the runs has it; the text lists what there is.
    """
    if isinstance(run_ids, str):
        run_ids = [run_ids]

    with reading(db) as connection:
        _check_known(connection, run_ids or ())
        points = _points(connection, metric, run_ids)
        if points.empty:
            metrics = sorted(connection.scalars(select(schema.metrics.c.name)))
            hint = nearest(metric, metrics, "metrics")
            raise UnknownMetricError(f"no series {metric!r} in these runs; {hint}")

    # The attempts of a step are in order, so the last of them is the highest.
    return points.drop_duplicates(["run_id", "step"], keep="last", ignore_index=True)


def table(
    name: str, setting: str | None = None, sweeps: Sequence[str] = (), db: str | Path = DATABASE
) -> pd.DataFrame:
    """Return a paper's table as its tidy model: a line per row and metric, indexed by label.

    Args:
        name: for example `norm`.
        setting: which one; that of the newest sweep which feeds the table where left out.
        sweeps: use only their runs; all where empty.
        db: path or SQLAlchemy URL.

    Returns:
        The columns of `analysis.tables.tidy.COLUMNS`; the table's own metric is `accuracy`, others
        are what was measured while training. `values` is seed → value.

    Raises:
        NoDatabaseError: missing, or of another version.
        UnknownTableError, UnknownSettingError, UnknownSweepError: the text lists what there is.
    """
    if isinstance(sweeps, str):
        sweeps = [sweeps]
    return report(str(db), name, setting, sweeps).frame.set_index("label")


def _frame(relation: Relation, db: str | Path) -> pd.DataFrame:
    with reading(db) as connection:
        columns, rows = flattened(relation, connection)
        return _typed(columns, rows)


def _typed(columns: dict[str, Kind], rows: Iterable[Record]) -> pd.DataFrame:
    frame = pd.DataFrame([*rows], columns=[*columns], dtype=object)
    return frame.astype({name: _TYPES.get(kind, "object") for name, kind in columns.items()})


def _check_known(connection: Connection, run_ids: Sequence[str]) -> None:
    if not run_ids:
        return
    known = set(connection.scalars(select(schema.runs.c.run_id)))
    for run_id in run_ids:
        if run_id not in known:
            raise UnknownRunError(
                f"no run has the id {run_id!r}; ids are whole, 64 digits: see load.runs()['run_id']"
            )


def _points(connection: Connection, metric: str, run_ids: Sequence[str] | None) -> pd.DataFrame:
    """Return the points of a metric by run, step and attempt; of all runs for None."""
    columns: dict[str, Kind] = {
        "run_id": "text",
        "step": "integer",
        "attempt": "integer",
        "value": "number",
    }
    return _typed(columns, points_of(connection, metric, run_ids))
