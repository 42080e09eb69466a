"""Estimates when a sweep will be done.

What is left takes as long as measured paces say, dealt out to as many places as run now.
"""

import heapq
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from orchestrator.database import schema
from orchestrator.status.pace import Kind, Measured, kind_of, measured_kinds
from orchestrator.store.settings import settings_today
from orchestrator.store.state import State

_ENOUGH = 3
"""Measured runs from which a range can be told."""

_SETTLED_SHARE = 0.1
"""Share of its steps from which a run's own pace tells more than that of others."""

_SETTLED_S = 60.0
"""From so many seconds, or that share, a run's own pace tells anything: its first steps are slow."""

Choice = Callable[[Sequence[float]], float]
"""Picks one of several measured values: the median, or one near the ends."""


@dataclass(frozen=True)
class Forecast:
    """Says what is left of a sweep.

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
class _RunLeft:
    """Says of a run that is not done what its time depends on.

    Attributes:
        running: it holds a place now.
        kind: what its pace depends on.
        epochs: of the whole run.
        share: of its steps that it has taken.
        own_left_s: seconds of the steps that it has not, at its own pace; None where it has none.
        has_settled: it runs long enough for that pace to hold.
    """

    running: bool
    kind: Kind
    epochs: float
    share: float
    own_left_s: float | None
    has_settled: bool


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

    # The work that is left, at the median pace.
    left = _runs_left(connection, sweep_id, run_ids)
    seconds = _seconds(left, kinds, median)
    if not seconds:
        return NO_FORECAST
    hours_left = sum(seconds) / 3600
    at_least = any(run.kind not in kinds for run in left)

    # The time until its end; where nothing runs, nobody knows how many places there will be.
    running = [run.running for run in left]
    if not any(running):
        return Forecast(hours_left=hours_left, at_least=at_least)
    eta_s = makespan(seconds, running)

    # The range of that time, where enough was measured.
    kinds_left = {run.kind for run in left}
    measured = sum(len(kinds[kind].rest_s) for kind in kinds_left & kinds.keys())
    if measured < _ENOUGH:
        return Forecast(eta_s, None, hours_left, at_least)
    shortest_s = makespan(_seconds(left, kinds, _quick), running)
    longest_s = makespan(_seconds(left, kinds, _slow), running)
    return Forecast(eta_s, (shortest_s, longest_s), hours_left, at_least)


def makespan(seconds: Sequence[float], running: Sequence[bool]) -> float:
    """Return when the last run ends, if each place that gets free takes the next waiting run.

    Args:
        seconds: that each run still takes.
        running: which of them hold a place now; there is at least one.
    """
    free_at = [left_s for left_s, runs in zip(seconds, running, strict=True) if runs]
    waiting = [left_s for left_s, runs in zip(seconds, running, strict=True) if not runs]
    heapq.heapify(free_at)
    for left_s in waiting:
        heapq.heappush(free_at, heapq.heappop(free_at) + left_s)
    return max(free_at)


def _seconds(left: Sequence[_RunLeft], kinds: dict[Kind, Measured], choice: Choice) -> list[float]:
    """Return what each run still takes; empty where nothing tells.

    One of a kind never measured takes what the others do on average.
    """
    paces = {
        kind: (choice(measured.epoch_s), choice(measured.rest_s))
        for kind, measured in kinds.items()
    }
    estimates = [_estimate(run, paces.get(run.kind)) for run in left]
    known = [seconds for seconds in estimates if seconds is not None]
    if not known:
        return []
    average = sum(known) / len(known)
    return [average if seconds is None else seconds for seconds in estimates]


def _estimate(run: _RunLeft, pace: tuple[float, float] | None) -> float | None:
    """Return what a run still takes, from its own pace or that of its kind; None without either."""
    if pace is None:
        return run.own_left_s if run.has_settled else None
    epoch_s, rest_s = pace
    if run.own_left_s is not None and run.share >= _SETTLED_SHARE:
        return run.own_left_s + rest_s
    return epoch_s * run.epochs * (1 - run.share) + rest_s


def _any_runs(connection: Connection) -> bool:
    """Tell whether anything runs: without that, and without a measured run, there is no pace."""
    is_running = schema.runs.c.state == State.RUNNING.value
    query = select(schema.runs.c.run_number).where(is_running).limit(1)
    return connection.scalar(query) is not None


def _runs_left(connection: Connection, sweep_id: int, run_ids: Collection[str]) -> list[_RunLeft]:
    """Return those runs of a sweep, by seed: in the order in which they start."""
    cells = schema.sweep_runs
    runs = schema.runs
    attempts = schema.attempts
    names = ("run_id", "state", "config", "semantics", "data_fingerprint", "step", "total_steps")
    measured = ("images_per_s", "claimed_at", "last_at")
    last_attempt = (attempts.c.run_number == runs.c.run_number) & (
        attempts.c.number == runs.c.attempt
    )
    query = (
        select(
            cells.c.variant,
            *(runs.c[name] for name in names),
            *(attempts.c[name] for name in measured),
        )
        .join(runs, runs.c.run_id == cells.c.run_id)
        .join(attempts, last_attempt, isouter=True)
        .where(cells.c.sweep_id == sweep_id)
        .order_by(cells.c.seed)
    )

    # The runs of a variant differ in their seed alone, so one config is read for all of them.
    configs: dict[str, Mapping[str, Any]] = {}
    left: dict[str, _RunLeft] = {}
    for row in connection.execute(query).mappings():
        if row["run_id"] in run_ids:
            variant = row["variant"]
            if variant not in configs:
                configs[variant] = settings_today(json.loads(row["config"]), row["semantics"])
            left[row["run_id"]] = _run_left(row, configs[variant])
    return list(left.values())


def _run_left(row: RowMapping, config: Mapping[str, Any]) -> _RunLeft:
    step = row["step"] or 0
    total_steps = row["total_steps"]
    running = row["state"] == State.RUNNING
    share = min(1.0, step / total_steps) if total_steps else 0.0

    own_left_s = None
    if running and total_steps and row["images_per_s"]:
        own_left_s = (total_steps - step) * config.get("batch_size", 0) / row["images_per_s"]
    kind = kind_of(config, row["data_fingerprint"])
    age_s = (row["last_at"] or 0) - (row["claimed_at"] or 0)
    has_settled = share >= _SETTLED_SHARE or age_s >= _SETTLED_S
    return _RunLeft(running, kind, config.get("epochs") or 0, share, own_left_s, has_settled)


def _quick(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 10]


def _slow(values: Sequence[float]) -> float:
    return sorted(values)[-1 - len(values) // 10]
