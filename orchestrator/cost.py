"""What a launch will cost, told from what runs of the same kind have taken before. A guess, and it says from how many."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import Engine, select

from orchestrator import schema
from orchestrator.plan import PlannedRun

# What a second of training depends on. Epochs are multiplied in.
_KIND = (
    "method",
    "dataset.name",
    "dataset.limit",
    "dataset.side",
    "encoder.arch",
    "encoder.stem",
    "batch_size",
    "projector.hidden",
)


@dataclass(frozen=True)
class Cost:
    """The price of some runs.

    Attributes:
        hours: of one slot each, summed over the runs that can be told.
        disk_bytes: what they will keep.
        measured: how many earlier runs it was told from.
        unknown: runs of a kind that was never run.
    """

    hours: float
    disk_bytes: float
    measured: int
    unknown: int


def estimate(engine: Engine, runs: Sequence[PlannedRun]) -> Cost:
    """Price runs by the median step time, and time beside the steps, of completed runs of the same kind."""
    kinds = _measured_kinds(engine)
    hours = disk_bytes = 0.0
    told_from, unknown = set(), 0
    for run in runs:
        config = run.variant.settings()
        kind = (_kind(config), run.data.fingerprint)
        if kind not in kinds:
            unknown += 1
            continue
        measured = kinds[kind]
        hours += (median(measured.epoch_s) * (config["epochs"] or 0) + median(measured.rest_s)) / 3600
        disk_bytes += median(measured.disk_bytes)
        told_from.add(kind)
    return Cost(hours, disk_bytes, sum(len(kinds[kind].epoch_s) for kind in told_from), unknown)


@dataclass
class _Measured:
    """Of one kind: seconds of steps in an epoch, seconds beside the steps (start, evaluation), bytes kept."""

    epoch_s: list[float]
    rest_s: list[float]
    disk_bytes: list[int]


def _measured_kinds(engine: Engine) -> dict[tuple[Any, str], _Measured]:
    runs, attempts = schema.runs, schema.attempts
    of_run = (runs.c[name] for name in ("config", "data_fingerprint", "total_steps", "wall_s", "disk_bytes"))
    this_attempt = (attempts.c.run == runs.c.id) & (attempts.c.number == runs.c.attempt)
    query = select(*of_run, attempts.c.images_per_s).join(attempts, this_attempt).where(runs.c.wall_s.is_not(None))
    kinds: dict[tuple[Any, str], _Measured] = {}
    with engine.connect() as connection:
        for row in connection.execute(query):
            config = json.loads(row.config)
            found = kinds.setdefault((_kind(config), row.data_fingerprint), _Measured([], [], []))
            steps_s = row.total_steps * config["batch_size"] / row.images_per_s if row.images_per_s else 0.0
            found.epoch_s.append(steps_s / (config["epochs"] or 1))
            found.rest_s.append(max(0.0, row.wall_s - steps_s))
            found.disk_bytes.append(row.disk_bytes)
    return kinds


def _kind(config: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(config.get(key) for key in _KIND)
