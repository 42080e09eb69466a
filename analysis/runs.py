"""results.db as the tables want it: a `Run` for each run, with its settings and results. Plain rows: no pandas."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, select

from analysis.database import reading
from orchestrator.schema import attempts, evaluations, runs, summaries, sweep_runs, sweeps

Evaluation = tuple[str, int, str, str]
"""Protocol, version, network, name."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the tables ask of one run.

    Attributes:
        run_id: the whole id.
        seed: of the run.
        state: COMPLETED, RUNNING, …
        outcome: `ok` or `diverged` of a COMPLETED run, else None.
        config: canonical, dotted keys.
        data: fingerprint and split of its data set, and the semantics of its trainer.
        evaluations: measure → value.
        final: sign of collapse → mean over the last epoch.
        origin: commit, device and versions of the attempt that counts; empty before it started.
        sweeps: labels of the sweeps that ask for it, newest first.
        launched_at: of the newest of them, in seconds since 1970; 0 without one.
        fed: table → (launched_at, label) of the newest sweep that asks for the run and lists the table.
    """

    run_id: str
    seed: int
    state: str
    outcome: str | None
    config: Mapping[str, Any]
    data: tuple[str, str, int]
    evaluations: Mapping[Evaluation, float]
    final: Mapping[str, float]
    origin: Mapping[str, Any]
    sweeps: Sequence[str]
    launched_at: float
    fed: Mapping[str, tuple[float, str]]


def read_runs(where: str) -> list[Run]:
    """Return every run of a database.

    Args:
        where: path or SQLAlchemy URL.

    Raises:
        NoDatabaseError: missing, or of another version.
    """
    with reading(where) as connection:
        measured, final, origins = _evaluations(connection), _final(connection), _origins(connection)
        asked = _asked(connection)
        return [
            Run(
                row.run_id,
                row.seed,
                row.state,
                row.outcome,
                json.loads(row.config),
                (row.data_fingerprint, row.data_split, row.semantics),
                measured.get(row.id, {}),
                final.get(row.id, {}),
                origins.get(row.id, {}),
                **asked.get(row.run_id, _UNASKED),
            )
            for row in connection.execute(select(runs).order_by(runs.c.id)).all()
        ]


def _evaluations(connection: Connection) -> dict[int, dict[Evaluation, float]]:
    table, found = evaluations.c, dict[int, dict[Evaluation, float]]()
    query = select(table.run, table.protocol, table.version, table.network, table.name, table.value)
    for run, protocol, version, network, name, value in connection.execute(query).all():
        found.setdefault(run, {})[protocol, version, network, name] = _number(value)
    return found


def _final(connection: Connection) -> dict[int, dict[str, float]]:
    table, found = summaries.c, dict[int, dict[str, float]]()
    query = select(table.run, table.name, table.value).where(table.moment == "final")
    for run, name, value in connection.execute(query).all():
        found.setdefault(run, {})[name] = _number(value)
    return found


def _number(stored: float | None) -> float:
    """Return a value as it was measured: one that is not finite is stored as null."""
    return math.nan if stored is None else stored


def _origins(connection: Connection) -> dict[int, Mapping[str, Any]]:
    """Return where the attempt that counts came from; thousands of runs come from few places."""
    place = lru_cache(_place)
    query = (
        select(attempts.c.run, attempts.c.origin, attempts.c.device)
        .join(runs, (runs.c.id == attempts.c.run) & (runs.c.attempt == attempts.c.number))
        .where(attempts.c.origin.is_not(None))
    )
    return {run: place(origin, device) for run, origin, device in connection.execute(query).all()}


def _place(origin: str, device: str | None) -> Mapping[str, Any]:
    told = json.loads(origin)
    return {"commit": told["commit"], "dirty": told["dirty"], "device": str(device).partition(":")[0], **told["versions"]}


_UNASKED: dict[str, Any] = {"sweeps": (), "launched_at": 0.0, "fed": {}}


def _asked(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return run id → who asks for it: `sweeps`, `launched_at` and `fed` of `Run`."""
    columns = select(sweeps.c.id, sweeps.c.label, sweeps.c.launched_at, sweeps.c.tables)
    by_age = connection.execute(columns.order_by(sweeps.c.launched_at, sweeps.c.id)).all()
    found: dict[str, dict[str, Any]] = {}
    for number, label, launched_at, listed in by_age:  # the newer ones come later, and count
        fed = dict.fromkeys(json.loads(listed), (launched_at, label))
        for run_id in connection.scalars(select(sweep_runs.c.run_id).where(sweep_runs.c.sweep_id == number).distinct()):
            older = found.get(run_id, _UNASKED)
            found[run_id] = {
                "sweeps": (label, *older["sweeps"]),
                "launched_at": launched_at,
                "fed": {**older["fed"], **fed},
            }
    return found
