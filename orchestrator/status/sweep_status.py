"""What `sweep status` knows: per sweep and variant how many runs are where and why, what they used,
when all will be done.

Reads results.db alone; run `collect` first. Changes nothing.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, func, select

from orchestrator.database import schema
from orchestrator.errors import UsageError
from orchestrator.slurm.reasons import explain
from orchestrator.status.forecast import NO_FORECAST, Forecast, forecast
from orchestrator.status.usage import NO_USAGE, Usage, usage
from orchestrator.store.retry import AUTOMATIC
from orchestrator.store.state import ACTIVE, State

_COLUMNS = (
    "run_id",
    "outcome",
    "reason",
    "step",
    "total_steps",
    "wall_s",
    "job_id",
    "queue_reason",
    "node",
    "submitted_at",
)

DONE, RUNNING, PENDING, FAILED = GROUPS = ("done", "running", "pending", "failed")
"""What people count runs by. Pending is all that will still be tried without being asked to,
waiting in a queue or not.
"""
_UNSENT = AUTOMATIC | {State.PLANNED}
_LEFT = _UNSENT | ACTIVE
_GROUP_OF = dict.fromkeys(_LEFT, PENDING) | {State.COMPLETED: DONE, State.RUNNING: RUNNING}


@dataclass(frozen=True)
class RunStatus:
    """One run as status shows it; `submitted_at` in seconds since 1970.

    `queue_reason` is SLURM's own word for why it waits, and `node` where its job runs; both None
    without a job.
    """

    run_id: str
    variant: str
    seed: int
    state: State
    outcome: str | None = None
    reason: str | None = None
    step: int | None = None
    total_steps: int | None = None
    wall_s: float | None = None
    probe: float | None = None
    std_sqrt_d: float | None = None
    job_id: str | None = None
    queue_reason: str | None = None
    node: str | None = None
    submitted_at: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the run as `status --json` prints it, where std·√d has been called `spread` from
        the first.
        """
        known = {name: value for name, value in vars(self).items() if name != "std_sqrt_d"}
        return {
            **known,
            "spread": self.std_sqrt_d,
            "progress": self.progress,
            "group": self.group,
            "why": self.why,
        }

    @property
    def progress(self) -> float:
        """Return the share of steps taken, in [0, 1]."""
        if self.state == State.COMPLETED:
            return 1.0
        return (self.step or 0) / self.total_steps if self.total_steps else 0.0

    @property
    def group(self) -> str:
        """Return which of `GROUPS` it counts to."""
        return _GROUP_OF.get(self.state, FAILED)

    @property
    def why(self) -> str | None:
        """Return in words why it waits or how it ended; None where there is nothing to say."""
        if self.state == State.SUBMITTED:
            return explain(self.queue_reason) if self.queue_reason else self.reason
        if self.state in (State.PLANNED, State.COMPLETED, State.RUNNING):
            return None
        text = (self.reason or "no reason known").split(". ")[0]
        if self.state == State.OOM:
            text = text.removeprefix("OutOfMemoryError: ")
        return (
            f"{text} at step {self.step}"
            if self.state in (State.FAILED, State.OOM) and self.step
            else text
        )


@dataclass(frozen=True)
class SweepStatus:
    """One sweep, and what is left of it."""

    label: str
    launched_at: float
    overrides: dict[str, Any] = field(default_factory=dict)
    skipped_lines: int = 0
    runs: list[RunStatus] = field(default_factory=list)
    slurm_answered_at: float | None = None
    forecast: Forecast = NO_FORECAST
    usage: Usage = NO_USAGE

    def counts(self) -> Counter[str]:
        """Return how many runs are in each state."""
        return Counter(run.state.value for run in self.runs)

    def groups(self) -> Counter[str]:
        """Return how many runs count to each of `GROUPS`."""
        return Counter(run.group for run in self.runs)

    def by_variant(self) -> dict[str, list[RunStatus]]:
        """Return the runs of each variant, in the order of the spec."""
        found: dict[str, list[RunStatus]] = {}
        for run in self.runs:
            found.setdefault(run.variant, []).append(run)
        return found

    def waiting(self) -> int:
        """Return how many runs only another launch will start."""
        return sum(run.state in _UNSENT for run in self.runs)

    def all_done(self) -> bool:
        """Tell whether every run has a result."""
        return all(run.state == State.COMPLETED for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        """Return the stable form that --json prints."""
        runs = [run.as_json() for run in self.runs]
        return {
            "sweep": self.label,
            "launched_at": self.launched_at,
            "overrides": self.overrides,
            "skipped_lines": self.skipped_lines,
            "counts": dict(self.counts()),
            "groups": {group: self.groups()[group] for group in GROUPS},
            "eta_s": self.forecast.eta_s,
            "eta_range_s": self.forecast.range_s,
            "eta_at_least": self.forecast.at_least,
            "unit": self.usage.unit,
            "hours_used": self.usage.hours,
            "hours_expected": self.usage.expected(self.forecast.hours_left),
            "slurm_answered_at": self.slurm_answered_at,
            "waiting": self.waiting(),
            "runs": runs,
        }


def sweep_statuses(engine: Engine, name: str | None = None) -> list[SweepStatus]:
    """Return all sweeps, newest first; or those called `name`, with or without profile.

    Raises:
        UsageError: there is none of that name.
    """
    with engine.connect() as connection:
        rows = (
            connection.execute(select(schema.sweeps).order_by(schema.sweeps.c.launched_at.desc()))
            .mappings()
            .all()
        )
        chosen = [row for row in rows if name is None or name in (row["label"], row["name"])]
        if name is not None and not chosen:
            known = (
                ", ".join(row["label"] for row in rows)
                or "none yet; start one with `sweep launch SPEC`"
            )
            raise UsageError(f"no sweep is called {name!r}; sweeps: {known}")
        return [_status(connection, row) for row in chosen]


def narrowed(statuses: Sequence[SweepStatus], variants: Sequence[str]) -> list[SweepStatus]:
    """Return the same sweeps with the runs of these variants alone; sweeps without any are left
    out.

    Forecast and usage are of whole sweeps, so they are left out too.

    Raises:
        UsageError: no sweep has a variant of that name.
    """
    known = {run.variant for status in statuses for run in status.runs}
    for name in variants:
        if name not in known:
            from byol_core.config import nearest

            raise UsageError(
                f"--only {name}: no sweep shown has such a variant; {nearest(name, known)}"
            )
    chosen = [
        (status, [run for run in status.runs if run.variant in variants]) for status in statuses
    ]
    return [
        replace(status, runs=runs, forecast=NO_FORECAST, usage=NO_USAGE)
        for status, runs in chosen
        if runs
    ]


def _status(connection: Connection, sweep: RowMapping) -> SweepStatus:
    cells, runs, variants = schema.sweep_runs, schema.runs, schema.variants
    query = (
        select(
            cells.c.variant,
            cells.c.seed,
            cells.c.run_id.label("wanted"),
            runs.c.run_number,
            runs.c.state,
        )
        .add_columns(*(runs.c[name] for name in _COLUMNS))
        .join(runs, runs.c.run_id == cells.c.run_id, isouter=True)
        .join(
            variants,
            (variants.c.sweep_id == cells.c.sweep_id) & (variants.c.name == cells.c.variant),
        )
        .where(cells.c.sweep_id == sweep["id"])
        .order_by(variants.c.position, cells.c.seed)
    )
    probes, spreads = _probes(connection), _spreads(connection)
    found = [_run(row, probes, spreads) for row in connection.execute(query).mappings()]
    return SweepStatus(
        sweep["label"],
        sweep["launched_at"],
        json.loads(sweep["overrides"]),
        _skipped(connection, sweep["id"]),
        found,
        _answered_at(connection, sweep["root"]),
        forecast(connection, sweep["id"], {run.run_id for run in found if run.state in _LEFT}),
        usage(connection, sweep["id"], time.time()),
    )


def _run(row: RowMapping, probes: dict[int, float], spreads: dict[int, float]) -> RunStatus:
    known = {key: row[key] for key in ("variant", "seed", *_COLUMNS)} | {"run_id": row["wanted"]}
    state = State(row["state"] or State.PLANNED)
    return RunStatus(
        **known,
        state=state,
        probe=probes.get(row["run_number"]),
        std_sqrt_d=spreads.get(row["run_number"]),
    )


def _answered_at(connection: Connection, root: str) -> float | None:
    return connection.scalar(
        select(schema.roots.c.slurm_answered_at).where(schema.roots.c.path == root)
    )


def _skipped(connection: Connection, sweep_id: int) -> int:
    cells, runs, attempts = schema.sweep_runs, schema.runs, schema.attempts
    query = (
        select(func.sum(attempts.c.skipped_lines))
        .join(runs, runs.c.run_number == attempts.c.run_number)
        .join(cells, cells.c.run_id == runs.c.run_id)
        .where(cells.c.sweep_id == sweep_id)
    )
    return connection.scalar(query) or 0


def _probes(connection: Connection) -> dict[int, float]:
    table = schema.evaluations
    wanted = (
        (table.c.protocol == "probe") & (table.c.network == "online") & (table.c.name == "accuracy")
    )
    return dict(connection.execute(select(table.c.run_number, table.c.value).where(wanted)).all())


def _spreads(connection: Connection) -> dict[int, float]:
    table = schema.summaries
    wanted = (table.c.moment == "final") & (table.c.name == "std_sqrt_d")
    return dict(connection.execute(select(table.c.run_number, table.c.value).where(wanted)).all())


def as_json(statuses: Sequence[SweepStatus]) -> str:
    """Return the text of `sweep status --json`."""
    return json.dumps({"sweeps": [status.as_json() for status in statuses]}, indent=1)
