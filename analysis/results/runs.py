"""results.db as the tables want it: a `Run` for each run, and what came of those that a table
shows. Plain rows: no pandas.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, select

from orchestrator.database.schema import attempts, evaluations, runs, summaries, sweep_runs, sweeps

Evaluation = tuple[str, int, str, str]
"""Protocol, version, network, name."""

_AT_ONCE = 500
"""Runs a query, which names each."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the tables ask of one run.

    Attributes:
        run_number: of its row.
        run_id: the whole id.
        seed: of the run.
        state: COMPLETED, RUNNING, …
        outcome: `ok` or `diverged` of a COMPLETED run, else None.
        config: canonical, dotted keys.
        data: fingerprint and split of its data set, and the semantics of its trainer.
        sweeps: labels of the sweeps that ask for it, newest first.
        launched_at: of the newest of them, in seconds since 1970; 0 without one.
        fed: table → (launched_at, label) of the newest sweep that asks for the run and lists the
            table.
        evaluations: measure → value. This and what follows are empty unless `with_results` filled
            them in.
        final: sign of collapse → mean over the last epoch.
        origin: commit, device and versions of the attempt that counts; empty before it started.
    """

    run_number: int
    run_id: str
    seed: int
    state: str
    outcome: str | None
    config: Mapping[str, Any]
    data: tuple[str, str, int]
    sweeps: Sequence[str] = ()
    launched_at: float = 0.0
    fed: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    evaluations: Mapping[Evaluation, float] = field(default_factory=dict)
    final: Mapping[str, float] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)


def read_runs(connection: Connection) -> list[Run]:
    """Return every run of a database, without its results."""
    asked = _asked(connection)
    return [
        Run(
            row.run_number,
            row.run_id,
            row.seed,
            row.state,
            row.outcome,
            json.loads(row.config),
            (row.data_fingerprint, row.data_split, row.semantics),
            **asked.get(row.run_id, {}),
        )
        for row in connection.execute(select(runs).order_by(runs.c.run_number)).all()
    ]


def with_results(connection: Connection, some: Sequence[Run]) -> list[Run]:
    """Return the same runs with what came of them."""
    found: list[Run] = []
    for start in range(0, len(some), _AT_ONCE):
        numbers = [run.run_number for run in some[start : start + _AT_ONCE]]
        measured, final, origins = (
            _evaluations(connection, numbers),
            _final(connection, numbers),
            _origins(connection, numbers),
        )
        found += [
            replace(
                run,
                evaluations=measured.get(run.run_number, {}),
                final=final.get(run.run_number, {}),
                origin=origins.get(run.run_number, {}),
            )
            for run in some[start : start + _AT_ONCE]
        ]
    return found


def _evaluations(
    connection: Connection, numbers: Sequence[int]
) -> dict[int, dict[Evaluation, float]]:
    table, found = evaluations.c, dict[int, dict[Evaluation, float]]()
    query = select(
        table.run_number, table.protocol, table.version, table.network, table.name, table.value
    )
    for run, protocol, version, network, name, value in connection.execute(
        query.where(table.run_number.in_(numbers))
    ).all():
        found.setdefault(run, {})[protocol, version, network, name] = _number(value)
    return found


def _final(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, float]]:
    table, found = summaries.c, dict[int, dict[str, float]]()
    query = select(table.run_number, table.name, table.value).where(table.moment == "final")
    for run, name, value in connection.execute(query.where(table.run_number.in_(numbers))).all():
        found.setdefault(run, {})[name] = _number(value)
    return found


def _number(stored: float | None) -> float:
    """Return a value as it was measured: one that is not finite is stored as null."""
    return math.nan if stored is None else stored


def _origins(connection: Connection, numbers: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """Return where the attempt that counts came from."""
    query = (
        select(attempts.c.run_number, attempts.c.origin, attempts.c.device)
        .join(
            runs,
            (runs.c.run_number == attempts.c.run_number) & (runs.c.attempt == attempts.c.number),
        )
        .where(attempts.c.origin.is_not(None) & attempts.c.run_number.in_(numbers))
    )
    return {run: _place(origin, device) for run, origin, device in connection.execute(query).all()}


def _place(origin: str, device: str | None) -> Mapping[str, Any]:
    told = json.loads(origin)
    return {
        "commit": told["commit"],
        "dirty": told["dirty"],
        "device": str(device).partition(":")[0],
        **told["versions"],
    }


def _asked(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return run id → who asks for it: `sweeps`, `launched_at` and `fed` of `Run`."""
    columns = select(sweeps.c.id, sweeps.c.label, sweeps.c.launched_at, sweeps.c.tables)
    by_age = connection.execute(columns.order_by(sweeps.c.launched_at, sweeps.c.id)).all()
    found: dict[str, dict[str, Any]] = {}
    for number, label, launched_at, listed in by_age:  # the newer ones come later, and count
        fed = dict.fromkeys(json.loads(listed), (launched_at, label))
        for run_id in connection.scalars(
            select(sweep_runs.c.run_id).where(sweep_runs.c.sweep_id == number).distinct()
        ):
            older = found.get(run_id, {"sweeps": (), "fed": {}})
            found[run_id] = {
                "sweeps": (label, *older["sweeps"]),
                "launched_at": launched_at,
                "fed": {**older["fed"], **fed},
            }
    return found
