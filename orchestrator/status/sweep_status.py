"""Reads from results.db what `sweep status` shows.

Per sweep and variant: states and reasons, what was used, when all is done. Changes nothing.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, func, select

from orchestrator.database import schema
from orchestrator.errors import UsageError
from orchestrator.status.forecast import NO_FORECAST, Forecast, forecast
from orchestrator.status.run_status import (
    GROUPS,
    LEFT,
    UNSENT,
    RunStatus,
)
from orchestrator.status.usage import NO_USAGE, Usage, usage
from orchestrator.store.intents import runs_of
from orchestrator.store.names import labels_of
from orchestrator.store.root import Root
from orchestrator.store.state import ACTIVE, State

_COLUMNS = (
    "run_id",
    "outcome",
    "reason",
    "held_back",
    "step",
    "total_steps",
    "wall_s",
    "job_id",
    "queue_reason",
    "node",
    "submitted_at",
    "excluded",
)


@dataclass(frozen=True)
class SweepStatus:
    """Says how the runs of one sweep stand, and what is left of it.

    Attributes:
        launched_by: whose launch was the last; None where it was not recorded.
        left_jobs: jobs that wait or run for runs which left its spec and no other sweep wants.
        tags: that people gave the sweep.
        note: the newest that people wrote of it.
    """

    label: str
    launched_at: float
    launched_by: str | None = None
    root: str = ""
    overrides: dict[str, Any] = field(default_factory=dict)
    skipped_lines: int = 0
    runs: list[RunStatus] = field(default_factory=list)
    slurm_answered_at: float | None = None
    forecast: Forecast = NO_FORECAST
    usage: Usage = NO_USAGE
    left_jobs: int = 0
    tags: Sequence[str] = ()
    note: str | None = None

    def counts(self) -> Counter[str]:
        """Return how many runs are in each state."""
        return Counter(run.state.value for run in self.runs)

    def groups(self) -> Counter[str]:
        """Return how many runs count to each of `GROUPS`."""
        return Counter(run.group for run in self.runs)

    def by_variant(self) -> dict[str, list[RunStatus]]:
        """Return the runs of each variant, in the order of the spec."""
        by_variant: dict[str, list[RunStatus]] = {}
        for run in self.runs:
            by_variant.setdefault(run.variant, []).append(run)
        return by_variant

    def waiting(self) -> int:
        """Return how many runs only another launch will start."""
        return sum(run.state in UNSENT and not run.held_back for run in self.runs)

    def stuck(self) -> int:
        """Return how many runs have jobs that never start unless somebody does something."""
        return sum(run.is_stuck for run in self.runs)

    def all_done(self) -> bool:
        """Tell whether every run has a result."""
        return all(run.state == State.COMPLETED for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        """Return the stable form that --json prints."""
        groups = self.groups()
        return {
            "sweep": self.label,
            "launched_at": self.launched_at,
            "launched_by": self.launched_by,
            "root": self.root,
            "overrides": self.overrides,
            "skipped_lines": self.skipped_lines,
            "counts": dict(self.counts()),
            "groups": {group: groups[group] for group in GROUPS},
            "eta_s": self.forecast.eta_s,
            "eta_range_s": self.forecast.range_s,
            "eta_at_least": self.forecast.at_least,
            "unit": self.usage.unit,
            "hours_used": self.usage.hours,
            "hours_expected": self.usage.expected(self.forecast.hours_left),
            "slurm_answered_at": self.slurm_answered_at,
            "waiting": self.waiting(),
            "left_jobs": self.left_jobs,
            "tags": list(self.tags),
            "note": self.note,
            "runs": [run.as_json() for run in self.runs],
        }


def sweep_statuses(engine: Engine, name: str | None = None) -> list[SweepStatus]:
    """Return all sweeps, newest first; or that of a label; or else those of a spec's name.

    Forgotten ones are left out.

    Raises:
        UsageError: there is none of that name.
    """
    newest_first = select(schema.sweeps).order_by(schema.sweeps.c.launched_at.desc())
    with engine.connect() as connection:
        rows = connection.execute(newest_first).mappings().all()
        return [_status(connection, row) for row in named_sweeps(rows, name)]


def named_sweeps(rows: Sequence[RowMapping], name: str | None) -> list[RowMapping]:
    """Return the rows of the sweeps that a name means, or of all; forgotten ones are left out.

    An exact label means its sweep alone: see `orchestrator.store.names`. So does a label of
    several roots that share the database, in each of them.

    Raises:
        UsageError: there is none of that name.
    """
    shown = [row for row in rows if row["forgotten_at"] is None]
    if name is None:
        return shown
    labels = labels_of(name, {row["label"] for row in shown})
    chosen = [row for row in shown if row["label"] in labels]
    if chosen:
        return chosen
    for label in labels_of(name, {row["label"] for row in rows}):
        raise UsageError(
            f"sweep {label!r} is forgotten; to have it back: sweep forget --undo {label}"
        )
    raise UsageError(_unknown(name, shown))


def _unknown(name: str, rows: Sequence[RowMapping]) -> str:
    """Return what to say of a sweep that is not there."""
    if not rows:
        return f"no sweep is called {name!r}; there is none yet: `sweep launch SPEC` starts one"
    from byol_core.config import nearest

    labels = ", ".join(row["label"] for row in rows)
    known = {row["label"] for row in rows} | {row["name"] for row in rows}
    hint = nearest(name, known)
    if hint.startswith("allowed"):
        return f"no sweep is called {name!r}; sweeps: {labels}"
    return f"no sweep is called {name!r}; {hint} sweeps: {labels}"


def narrowed(statuses: Sequence[SweepStatus], variants: Sequence[str]) -> list[SweepStatus]:
    """Return the same sweeps with the runs of these variants alone.

    Sweeps without any are left out; so are forecast and usage, which are of whole sweeps.

    Raises:
        UsageError: no sweep has a variant of that name.
    """
    known: set[str] = set()
    for status in statuses:
        known |= status.by_variant().keys()
    for name in variants:
        if name not in known:
            from byol_core.config import nearest

            raise UsageError(
                f"--only {name}: no sweep shown has such a variant; {nearest(name, known)}"
            )

    chosen = []
    for status in statuses:
        runs = [run for run in status.runs if run.variant in variants]
        if runs:
            chosen.append(replace(status, runs=runs, forecast=NO_FORECAST, usage=NO_USAGE))
    return chosen


def _status(connection: Connection, sweep: RowMapping) -> SweepStatus:
    """Read one sweep: its runs in the order of the spec, and what was measured of them."""
    cells = schema.sweep_runs
    runs = schema.runs
    variants = schema.variants
    of_cell = (variants.c.sweep_id == cells.c.sweep_id) & (variants.c.name == cells.c.variant)
    query = (
        select(cells.c.variant, cells.c.seed, cells.c.run_id.label("wanted"))
        .add_columns(runs.c.run_number, runs.c.state, runs.c.tags)
        .add_columns(*(runs.c[name] for name in _COLUMNS))
        .join(runs, runs.c.run_id == cells.c.run_id, isouter=True)
        .join(variants, of_cell)
        .where(cells.c.sweep_id == sweep["id"])
        .order_by(variants.c.position, cells.c.seed)
    )

    # Results are read at once for all runs that the database knows, then looked up by number.
    probe = _probe_accuracies(connection)
    std_sqrt_d = _final_std_sqrt_d(connection)
    run_statuses = [
        _run_status(row, probe, std_sqrt_d) for row in connection.execute(query).mappings()
    ]

    left = {run.run_id for run in run_statuses if run.state in LEFT}
    answered_at = select(schema.roots.c.slurm_answered_at).where(
        schema.roots.c.path == sweep["root"]
    )
    return SweepStatus(
        label=sweep["label"],
        launched_at=sweep["launched_at"],
        launched_by=sweep["launched_by"],
        root=sweep["root"],
        overrides=json.loads(sweep["overrides"]),
        skipped_lines=_skipped_lines(connection, sweep["id"]),
        runs=run_statuses,
        slurm_answered_at=connection.scalar(answered_at),
        forecast=forecast(connection, sweep["id"], left),
        usage=usage(connection, sweep["id"], time.time()),
        left_jobs=_left_jobs(connection, sweep),
        tags=json.loads(sweep["tags"]),
        note=_newest_note(connection, sweep["id"]),
    )


def _run_status(
    row: RowMapping, probe: dict[int, tuple[float, int]], std_sqrt_d: dict[int, float]
) -> RunStatus:
    """Return a run of a sweep; one that is only planned may have no row in `runs` yet."""
    fields = {name: row[name] for name in ("variant", "seed", *_COLUMNS)}
    fields["run_id"] = row["wanted"]
    accuracy, version = probe.get(row["run_number"], (None, None))
    return RunStatus(
        **fields,
        state=State(row["state"] or State.PLANNED),
        tags=tuple(json.loads(row["tags"] or "[]")),
        probe=accuracy,
        probe_version=version,
        std_sqrt_d=std_sqrt_d.get(row["run_number"]),
    )


def _left_jobs(connection: Connection, sweep: RowMapping) -> int:
    """Count the jobs of runs that a sweep has submitted and that no spec has any more."""
    runs = schema.runs
    shown = select(schema.sweeps.c.id).where(schema.sweeps.c.forgotten_at.is_(None))
    wanted = select(schema.sweep_runs.c.run_id).where(schema.sweep_runs.c.sweep_id.in_(shown))
    query = select(runs.c.run_id, runs.c.job_id).where(
        runs.c.state.in_([state.value for state in ACTIVE]),
        runs.c.job_id.is_not(None),
        runs.c.run_id.not_in(wanted),
    )
    active = dict(connection.execute(query).all())
    if not active:
        return 0
    submitted = runs_of(Root(Path(sweep["root"])).sweep(sweep["label"]))
    return len({job_id for run_id, job_id in active.items() if run_id in submitted})


def _newest_note(connection: Connection, sweep_id: int) -> str | None:
    table = schema.annotations
    notes = select(table.c.text).where(table.c.sweep_id == sweep_id, table.c.kind == "note")
    return connection.scalar(notes.order_by(table.c.at.desc()).limit(1))


def _skipped_lines(connection: Connection, sweep_id: int) -> int:
    cells = schema.sweep_runs
    runs = schema.runs
    attempts = schema.attempts
    query = (
        select(func.sum(attempts.c.skipped_lines))
        .join(runs, runs.c.run_number == attempts.c.run_number)
        .join(cells, cells.c.run_id == runs.c.run_id)
        .where(cells.c.sweep_id == sweep_id)
    )
    return connection.scalar(query) or 0


def _probe_accuracies(connection: Connection) -> dict[int, tuple[float, int]]:
    """Return run number → accuracy of the online network by the newest version of the probe, and it.

    Runs that were not probed are left out.
    """
    table = schema.evaluations
    query = select(table.c.run_number, table.c.value, table.c.version).where(
        table.c.protocol == "probe", table.c.network == "online", table.c.name == "accuracy"
    )
    rows = connection.execute(query.order_by(table.c.version)).all()
    return {number: (value, version) for number, value, version in rows}


def _final_std_sqrt_d(connection: Connection) -> dict[int, float]:
    """Return run number → std·√d of the last epoch, of every run that has it."""
    table = schema.summaries
    query = select(table.c.run_number, table.c.value).where(
        table.c.moment == "final", table.c.name == "std_sqrt_d"
    )
    return dict(connection.execute(query).all())


def as_json(statuses: Sequence[SweepStatus]) -> str:
    """Return the text of `sweep status --json`."""
    return json.dumps({"sweeps": [status.as_json() for status in statuses]}, indent=1)
