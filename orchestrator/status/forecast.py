"""When a sweep will be done: what is left, from measured paces, dealt out to as many places as run
now.
"""

import heapq
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from orchestrator.database import schema
from orchestrator.status.pace import Kind, Measured, kind_of, measured_kinds
from orchestrator.store.state import State

_ENOUGH = 3
"""Measured runs from which a spread can be told."""

_SETTLED = 0.1
"""Share of its steps from which a run's own pace tells more than that of others; the first steps
are slow.
"""

Choice = Callable[[Sequence[float]], float]
"""Picks one of several measured values: the median, or one near the ends."""


@dataclass(frozen=True)
class Forecast:
    """What is left of a sweep.

    Attributes:
        eta_s: seconds until all is done at the present pace; None where nothing runs or nothing was
            measured.
        range_s: the same, had every run the pace of the quickest and of the slowest tenth; None for
            fewer than 3 measured.
        hours_left: hours of one place each, summed over the runs.
        at_least: runs of a kind of which none is done are among them, so evaluations are missing
            from all three.
    """

    eta_s: float | None = None
    range_s: tuple[float, float] | None = None
    hours_left: float | None = None
    at_least: bool = False


NO_FORECAST = Forecast()


@dataclass(frozen=True)
class _Left:
    """A run that is not done, and what its time depends on."""

    running: bool
    kind: Kind
    epochs: float
    share: float
    own_left_s: float | None


def forecast(connection: Connection, sweep_id: int, run_ids: Collection[str]) -> Forecast:
    """Tell when the runs that are left will be done, each with its evaluation.

    Args:
        connection: to the database.
        sweep_id: which sweep.
        run_ids: of it, those that are left; some may share a run with another variant.
    """
    kinds = measured_kinds(connection) if run_ids else {}
    if not kinds and not _any_runs(connection):
        return NO_FORECAST
    left = _left(connection, sweep_id, run_ids)
    middle = _seconds(left, kinds, median)
    if not middle:
        return NO_FORECAST
    hours_left = sum(middle) / 3600
    running, at_least = [one.running for one in left], any(one.kind not in kinds for one in left)
    if not any(running):
        return Forecast(hours_left=hours_left, at_least=at_least)
    measured = sum(len(kinds[kind].rest_s) for kind in {one.kind for one in left} & kinds.keys())
    ends = (
        [makespan(_seconds(left, kinds, choice), running) for choice in (_quick, _slow)]
        if measured >= _ENOUGH
        else None
    )
    return Forecast(
        makespan(middle, running), (ends[0], ends[1]) if ends else None, hours_left, at_least
    )


def makespan(seconds: Sequence[float], running: Sequence[bool]) -> float:
    """Return when the last run ends, where each place takes the next waiting run as soon as it is
    free.

    Args:
        seconds: that each run still takes.
        running: which of them hold a place now; there is at least one.
    """
    places = [one for one, runs in zip(seconds, running, strict=True) if runs]
    heapq.heapify(places)
    for one in (one for one, runs in zip(seconds, running, strict=True) if not runs):
        heapq.heappush(places, heapq.heappop(places) + one)
    return max(places)


def _seconds(left: Sequence[_Left], kinds: dict[Kind, Measured], choice: Choice) -> list[float]:
    """Return what each run still takes; one of a kind never measured takes what the others do on
    average.
    """
    chosen = {kind: (choice(one.epoch_s), choice(one.rest_s)) for kind, one in kinds.items()}
    told = [_one(run, chosen.get(run.kind)) for run in left]
    known = [seconds for seconds in told if seconds is not None]
    return (
        [seconds if seconds is not None else sum(known) / len(known) for seconds in told]
        if known
        else []
    )


def _one(run: _Left, pace: tuple[float, float] | None) -> float | None:
    if run.own_left_s is not None and (pace is None or run.share >= _SETTLED):
        return run.own_left_s + (pace[1] if pace else 0.0)
    return pace[0] * run.epochs * (1 - run.share) + pace[1] if pace else None


def _any_runs(connection: Connection) -> bool:
    """Tell whether anything runs: without that, and without a measured run, there is no pace."""
    return (
        connection.scalar(
            select(schema.runs.c.run_number)
            .where(schema.runs.c.state == State.RUNNING.value)
            .limit(1)
        )
        is not None
    )


def _left(connection: Connection, sweep_id: int, run_ids: Collection[str]) -> list[_Left]:
    cells, runs, attempts = schema.sweep_runs, schema.runs, schema.attempts
    of_run = (
        runs.c[name]
        for name in ("run_id", "state", "config", "data_fingerprint", "step", "total_steps")
    )
    query = (
        select(cells.c.variant, *of_run, attempts.c.images_per_s)
        .join(runs, runs.c.run_id == cells.c.run_id)
        .join(
            attempts,
            (attempts.c.run_number == runs.c.run_number) & (attempts.c.number == runs.c.attempt),
            isouter=True,
        )
        .where(cells.c.sweep_id == sweep_id)
        .order_by(cells.c.seed)
    )
    configs: dict[str, dict[str, Any]] = {}  # a variant's runs differ in their seed alone
    found = {}
    for row in connection.execute(query).mappings():
        if row["run_id"] in run_ids:
            config = configs.get(row["variant"]) or configs.setdefault(
                row["variant"], json.loads(row["config"])
            )
            found[row["run_id"]] = _left_of(row, config)
    return list(found.values())


def _left_of(row: RowMapping, config: dict[str, Any]) -> _Left:
    step, total, running = row["step"] or 0, row["total_steps"], row["state"] == State.RUNNING
    share = min(1.0, step / total) if total else 0.0
    own = (
        (total - step) * config["batch_size"] / row["images_per_s"]
        if running and total and row["images_per_s"]
        else None
    )
    return _Left(
        running, kind_of(config, row["data_fingerprint"]), config["epochs"] or 0, share, own
    )


def _quick(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 10]


def _slow(values: Sequence[float]) -> float:
    return sorted(values)[-1 - len(values) // 10]
