"""What `sweep status` says: per sweep and variant how many runs are where, and when the rest will be done.

Reads results.db alone; run `collect` first. Changes nothing.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, func, select

from orchestrator import schema
from orchestrator.errors import UsageError
from orchestrator.retry import AUTOMATIC
from orchestrator.states import ACTIVE, State


@dataclass(frozen=True)
class RunStatus:
    """One run as status shows it; `progress` is the share of its steps, in [0, 1]."""

    run_id: str
    variant: str
    seed: int
    state: State
    outcome: str | None
    reason: str | None
    step: int | None
    total_steps: int | None
    wall_s: float | None
    probe: float | None
    spread: float | None

    @property
    def progress(self) -> float:
        """Return the share of steps taken."""
        if self.state == State.COMPLETED:
            return 1.0
        return (self.step or 0) / self.total_steps if self.total_steps else 0.0


@dataclass
class SweepStatus:
    """One sweep, and what is left of it."""

    label: str
    launched_at: float
    overrides: dict[str, Any] = field(default_factory=dict)
    skipped_lines: int = 0
    runs: list[RunStatus] = field(default_factory=list)

    def counts(self) -> Counter[str]:
        """Return how many runs are in each state."""
        return Counter(run.state.value for run in self.runs)

    def by_variant(self) -> dict[str, list[RunStatus]]:
        """Return the runs of each variant, in the order of the spec."""
        found: dict[str, list[RunStatus]] = {}
        for run in self.runs:
            found.setdefault(run.variant, []).append(run)
        return found

    def eta_s(self) -> float | None:
        """Return the seconds until all is done at the present pace; None where there is no pace to tell it from."""
        durations = [run.wall_s for run in self.runs if run.wall_s and run.total_steps]
        running = sum(run.state == State.RUNNING for run in self.runs)
        if not durations or not running:
            return None
        left = sum(1 - run.progress for run in self.runs if run.state in ACTIVE | AUTOMATIC | {State.PLANNED})
        return left * sum(durations) / len(durations) / running

    def waiting(self) -> int:
        """Return how many runs only another launch will start."""
        return sum(run.state in AUTOMATIC | {State.PLANNED} for run in self.runs)

    def all_done(self) -> bool:
        """Tell whether every run has a result."""
        return all(run.state == State.COMPLETED for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        """Return the stable form that --json prints."""
        runs = [{**asdict(run), "progress": run.progress} for run in self.runs]
        return {
            "sweep": self.label,
            "launched_at": self.launched_at,
            "overrides": self.overrides,
            "skipped_lines": self.skipped_lines,
            "counts": dict(self.counts()),
            "eta_s": self.eta_s(),
            "waiting": self.waiting(),
            "runs": runs,
        }


def sweep_statuses(engine: Engine, name: str | None = None) -> list[SweepStatus]:
    """Return all sweeps, newest first; or those called `name`, with or without profile.

    Raises:
        UsageError: there is none of that name.
    """
    with engine.connect() as connection:
        rows = connection.execute(select(schema.sweeps).order_by(schema.sweeps.c.launched_at.desc())).mappings().all()
        chosen = [row for row in rows if name is None or name in (row["label"], row["name"])]
        if name is not None and not chosen:
            known = ", ".join(row["label"] for row in rows) or "none yet; start one with `sweep launch SPEC`"
            raise UsageError(f"no sweep is called {name!r}; sweeps: {known}")
        return [_status(connection, row) for row in chosen]


def _status(connection: Connection, sweep: RowMapping) -> SweepStatus:
    cells, runs, variants = schema.sweep_runs, schema.runs, schema.variants
    query = (
        select(
            cells.c.run_id,
            cells.c.variant,
            cells.c.seed,
            *(runs.c[name] for name in ("id", "state", "outcome", "reason", "step", "total_steps", "wall_s")),
        )
        .join(runs, runs.c.run_id == cells.c.run_id, isouter=True)
        .join(variants, (variants.c.sweep_id == cells.c.sweep_id) & (variants.c.name == cells.c.variant))
        .where(cells.c.sweep_id == sweep["id"])
        .order_by(variants.c.position, cells.c.seed)
    )
    rows = connection.execute(query).mappings().all()
    probes, spreads = _probes(connection), _spreads(connection)
    status = SweepStatus(sweep["label"], sweep["launched_at"], json.loads(sweep["overrides"]))
    status.skipped_lines = _skipped(connection, sweep["id"])
    for row in rows:
        status.runs.append(
            RunStatus(
                **{
                    key: row[key] for key in ("run_id", "variant", "seed", "outcome", "reason", "step", "total_steps", "wall_s")
                },
                state=State(row["state"] or State.PLANNED),
                probe=probes.get(row["id"]),
                spread=spreads.get(row["id"]),
            )
        )
    return status


def _skipped(connection: Connection, sweep_id: int) -> int:
    cells, runs, attempts = schema.sweep_runs, schema.runs, schema.attempts
    query = (
        select(func.sum(attempts.c.skipped_lines))
        .join(runs, runs.c.id == attempts.c.run)
        .join(cells, cells.c.run_id == runs.c.run_id)
        .where(cells.c.sweep_id == sweep_id)
    )
    return connection.scalar(query) or 0


def _probes(connection: Connection) -> dict[int, float]:
    table = schema.evaluations
    wanted = (table.c.protocol == "probe") & (table.c.network == "online") & (table.c.name == "accuracy")
    return dict(connection.execute(select(table.c.run, table.c.value).where(wanted)).all())


def _spreads(connection: Connection) -> dict[int, float]:
    table = schema.summaries
    wanted = (table.c.moment == "final") & (table.c.name == "std_sqrt_d")
    return dict(connection.execute(select(table.c.run, table.c.value).where(wanted)).all())


def as_json(statuses: Sequence[SweepStatus]) -> str:
    """Return the text of `sweep status --json`."""
    return json.dumps({"sweeps": [status.as_json() for status in statuses]}, indent=1)
