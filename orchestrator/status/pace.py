"""Measures how long runs take, on those that are done.

The seconds of an epoch's steps are told apart from those beside the steps: the start and, above
all, the evaluation at the end. Runs of one kind share what time depends on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from orchestrator.database import schema
from orchestrator.store.settings import settings_today

_KIND = (
    "method",
    "dataset.name",
    "dataset.limit",
    "dataset.side",
    "encoder.arch",
    "encoder.tiny_blocks",
    "encoder.stem",
    "batch_size",
    "accumulate",
    "projector.depth",
    "projector.hidden",
    "predictor.kind",
    "predictor.inner_steps",
    "target.kind",
)
"""Settings on which the time of an epoch depends; the number of epochs is multiplied in."""

_FLOAT32 = "fp32"
"""The precision of runs that do not tell theirs."""

_NEWEST = 500

Kind = tuple[Any, ...]


@dataclass(frozen=True)
class Measured:
    """Holds what runs of one kind took: an epoch's steps, all beside the steps, and bytes kept."""

    epoch_s: list[float] = field(default_factory=list)
    rest_s: list[float] = field(default_factory=list)
    disk_bytes: list[int] = field(default_factory=list)


def kind_of(config: Mapping[str, Any], fingerprint: str) -> Kind:
    """Return what the pace of a run depends on, from its settings in today's words and its data."""
    precision = config.get("precision", _FLOAT32)
    return (*(str(config.get(key)) for key in _KIND), precision, fingerprint)


def measured_kinds(connection: Connection) -> dict[Kind, Measured]:
    """Return what the newest completed runs took, by kind.

    A resumed run is left out, since it tells of its end alone. What an older trainer took counts
    for kinds that none of a newer one has.
    """
    runs = schema.runs
    attempts = schema.attempts
    names = ("config", "semantics", "data_fingerprint", "total_steps", "wall_s", "disk_bytes")
    from_the_start = (
        (attempts.c.run_number == runs.c.run_number)
        & (attempts.c.number == runs.c.attempt)
        & (attempts.c.first_step == 0)
    )
    query = (
        select(*(runs.c[name] for name in names), attempts.c.images_per_s)
        .join(attempts, from_the_start)
        .where(runs.c.wall_s.is_not(None))
        .order_by(runs.c.semantics.desc(), runs.c.run_number.desc())
        .limit(_NEWEST)
    )

    kinds: dict[Kind, Measured] = {}
    trainers: dict[Kind, int] = {}
    for row in connection.execute(query):
        config = settings_today(json.loads(row.config), row.semantics)
        kind = kind_of(config, row.data_fingerprint)
        if trainers.setdefault(kind, row.semantics) != row.semantics:
            continue

        steps_s = 0.0
        if row.images_per_s:
            steps_s = (row.total_steps or 0) * config.get("batch_size", 0) / row.images_per_s
        measured = kinds.setdefault(kind, Measured())
        measured.epoch_s.append(steps_s / (config.get("epochs") or 1))
        measured.rest_s.append(max(0.0, row.wall_s - steps_s))
        measured.disk_bytes.append(row.disk_bytes)
    return kinds
