"""How long runs take, measured on those that are done: seconds of an epoch's steps, and seconds
beside the steps.

What is beside the steps is the start and, above all, the evaluation at the end. Runs of one kind
share what time depends on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from orchestrator.database import schema

# What a second of training depends on. Epochs are multiplied in.
_DATA = ("dataset.name", "dataset.limit", "dataset.side")
_KIND = ("method", *_DATA, "encoder.arch", "encoder.stem", "batch_size", "projector.hidden")
_NEWEST = 500

Kind = tuple[Any, ...]


@dataclass(frozen=True)
class Measured:
    """Of the runs of one kind: seconds of an epoch's steps, seconds beside the steps, bytes kept."""

    epoch_s: list[float] = field(default_factory=list)
    rest_s: list[float] = field(default_factory=list)
    disk_bytes: list[int] = field(default_factory=list)


def kind_of(config: Mapping[str, Any], fingerprint: str) -> Kind:
    """Return what the pace of a run depends on, from its canonical config and its data's
    fingerprint.
    """
    return (*(config.get(key) for key in _KIND), fingerprint)


def measured_kinds(connection: Connection) -> dict[Kind, Measured]:
    """Return what the newest completed runs took, by kind; a resumed run is left out, since it
    tells of its end alone.
    """
    runs, attempts = schema.runs, schema.attempts
    of_run = (
        runs.c[name]
        for name in ("config", "data_fingerprint", "total_steps", "wall_s", "disk_bytes")
    )
    this_attempt = (
        (attempts.c.run_number == runs.c.run_number)
        & (attempts.c.number == runs.c.attempt)
        & (attempts.c.first_step == 0)
    )
    query = (
        select(*of_run, attempts.c.images_per_s)
        .join(attempts, this_attempt)
        .where(runs.c.wall_s.is_not(None))
    )
    kinds: dict[Kind, Measured] = {}
    for row in connection.execute(query.order_by(runs.c.run_number.desc()).limit(_NEWEST)):
        config = json.loads(row.config)
        found = kinds.setdefault(kind_of(config, row.data_fingerprint), Measured())
        steps_s = (
            row.total_steps * config["batch_size"] / row.images_per_s if row.images_per_s else 0.0
        )
        found.epoch_s.append(steps_s / (config["epochs"] or 1))
        found.rest_s.append(max(0.0, row.wall_s - steps_s))
        found.disk_bytes.append(row.disk_bytes)
    return kinds
