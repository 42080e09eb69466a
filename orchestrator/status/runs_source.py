"""Reads from the database what `sweep runs` lists: a row per run, with settings and metrics."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from orchestrator.database import schema
from orchestrator.errors import UsageError
from orchestrator.store.settings import settings_today
from orchestrator.store.state import State

KEYS = (
    "run_id",
    "sweep",
    "variant",
    "seed",
    "state",
    "outcome",
    "excluded",
    "tags",
    "accuracy",
    "std_sqrt_d",
    "commit",
    "date",
    "hours",
    "host",
    "device",
    "step",
    "total_steps",
    "accuracy_version",
)
"""What is told of each run, and under which names; `--json` prints these, so they are stable."""

_OF_RUN = ("state", "outcome", "excluded", "step", "total_steps")

Row = dict[str, Any]


@dataclass(frozen=True)
class _Left:
    """Stands for the place of a run that no sweep asks for."""

    run_id: str
    seed: int
    label: None = None
    variant: None = None


class RunsSource:
    """Reads rows of runs; `add` adds a setting or a metric to each."""

    def __init__(self, connection: Connection, sweeps: Sequence[str] | None) -> None:
        self._connection = connection
        self._facts = {row.run_id: row for row in connection.execute(_runs())}
        self._numbers = {row.run_id: row.run_number for row in self._facts.values()}
        self._configs: dict[str, Mapping[str, Any]] | None = None
        self.rows = self._rows(sweeps)

    def _rows(self, sweeps: Sequence[str] | None) -> list[Row]:
        accuracy = _accuracies(self._connection)
        spread = _by_run(self._connection, _summary("final", "std_sqrt_d"))
        hours = _by_run(self._connection, _hours())
        rows: dict[str, Row] = {}
        cell: Any
        for cell in self._connection.execute(_cells()).all():
            row = rows.get(cell.run_id)
            if row is None:
                if sweeps is not None and cell.label not in sweeps:
                    continue
                facts = self._facts.get(cell.run_id)
                row = _row(cell, facts, accuracy, spread, hours)
                rows[cell.run_id] = row
            row["sweeps"].add(cell.label)
            row["tags"] = sorted({*row["tags"], *json.loads(cell.tags)})
        if sweeps is not None:
            return list(rows.values())

        # What left every spec is still there, unless nothing was ever made of it.
        asked_for = set(self._connection.scalars(select(schema.sweep_runs.c.run_id)))
        for facts in self._facts.values():
            if facts.run_id not in asked_for and facts.state != State.PLANNED:
                cell = _Left(facts.run_id, facts.seed)
                rows[facts.run_id] = _row(cell, facts, accuracy, spread, hours)
        return list(rows.values())

    def add(self, name: str) -> None:
        """Add a setting or a metric.

        Raises:
            UsageError: there is neither of that name.
        """
        if self._configs is None:
            self._configs = {run_id: _settings(facts) for run_id, facts in self._facts.items()}
        known = set[str]().union(*self._configs.values())
        if name in known:
            for row in self.rows:
                row[name] = self._configs.get(row["run_id"], {}).get(name)
            return
        values = self._metric(name)
        if values is None:
            raise UsageError(f"no run has {name!r}; {hint_for(name, known | self._measures())}")
        for row in self.rows:
            row[name] = values.get(self._numbers.get(row["run_id"], 0))

    def _metric(self, name: str) -> dict[int, Any] | None:
        """Return run number → value of an evaluation, a sign of collapse or a series' end."""
        evaluations = schema.evaluations.c
        for row in self._connection.execute(_distinct_evaluations()).all():
            if name == f"{row.protocol}_v{row.version}.{row.network}.{row.name}":
                query = select(evaluations.run_number, evaluations.value).where(
                    evaluations.protocol == row.protocol,
                    evaluations.version == row.version,
                    evaluations.network == row.network,
                    evaluations.name == row.name,
                )
                return _by_run(self._connection, query)
        moment, _, sign = name.partition(".")
        values = _by_run(self._connection, _summary(moment, sign))
        if values:
            return values
        metric = schema.metrics.c
        number = self._connection.scalar(select(metric.id).where(metric.name == name))
        return None if number is None else self._ends(number)

    def _ends(self, metric: int) -> dict[int, Any]:
        """Return the last value of a series, run by run: each is the end of a range of keys."""
        points = schema.points.c
        last = (
            select(points.value)
            .where(points.metric == metric)
            .order_by(points.step.desc(), points.attempt.desc())
            .limit(1)
        )
        return {
            number: self._connection.scalar(last.where(points.run_number == number))
            for number in self._numbers.values()
        }

    def _measures(self) -> set[str]:
        """Return the names of all metrics, and of all that every run has."""
        summaries = schema.summaries.c
        pairs = self._connection.execute(select(summaries.moment, summaries.name).distinct())
        names = {f"{moment}.{name}" for moment, name in pairs}
        names |= set(self._connection.scalars(select(schema.metrics.c.name)))
        for row in self._connection.execute(_distinct_evaluations()).all():
            names.add(f"{row.protocol}_v{row.version}.{row.network}.{row.name}")
        return {*KEYS, "tag", *names}


def _settings(facts: Any) -> Mapping[str, Any]:
    """Return a run's settings in today's words, and under which meaning it was trained."""
    settings = settings_today(json.loads(facts.config), facts.semantics)
    return {**settings, "semantics": facts.semantics}


def _row(
    cell: Any,
    facts: Any,
    accuracy: Mapping[int, Any],
    spread: Mapping[int, Any],
    hours: Mapping[int, Any],
) -> Row:
    """Return what is told of a run; one that is only planned may have no row of its own yet."""
    row: Row = dict.fromkeys(KEYS)
    row |= {"run_id": cell.run_id, "sweep": cell.label, "variant": cell.variant}
    row |= {"seed": cell.seed, "state": State.PLANNED.value, "tags": [], "sweeps": set()}
    if facts is None:
        return row
    for key in (*_OF_RUN, "host", "device", "date"):
        row[key] = getattr(facts, key)
    row["tags"] = json.loads(facts.tags)
    row["commit"] = json.loads(facts.origin or "{}").get("commit")
    row["accuracy"], row["accuracy_version"] = accuracy.get(facts.run_number, (None, None))
    row["std_sqrt_d"] = spread.get(facts.run_number)
    row["hours"] = hours.get(facts.run_number)
    return row


def _cells() -> Any:
    """Select who asks for which run; the newest sweep comes first."""
    cells, sweeps, variants = schema.sweep_runs, schema.sweeps, schema.variants
    of_cell = (variants.c.sweep_id == cells.c.sweep_id) & (variants.c.name == cells.c.variant)
    return (
        select(cells.c.run_id, cells.c.variant, cells.c.seed)
        .add_columns(sweeps.c.label, sweeps.c.tags)
        .join(sweeps, sweeps.c.id == cells.c.sweep_id)
        .join(variants, of_cell, isouter=True)
        .where(sweeps.c.forgotten_at.is_(None))
        .order_by(sweeps.c.launched_at.desc(), sweeps.c.label, variants.c.position, cells.c.seed)
    )


def _runs() -> Any:
    """Select runs, each with its last attempt."""
    runs, attempts = schema.runs, schema.attempts
    last = (attempts.c.run_number == runs.c.run_number) & (attempts.c.number == runs.c.attempt)
    names = [*_OF_RUN, "run_number", "run_id", "config", "semantics", "tags", "seed"]
    date = func.coalesce(attempts.c.ended_at, attempts.c.last_at, attempts.c.claimed_at)
    return (
        select(*(runs.c[name] for name in names))
        .add_columns(attempts.c.host, attempts.c.device, attempts.c.origin, date.label("date"))
        .join(attempts, last, isouter=True)
    )


def _hours() -> Any:
    """Select how long all attempts at each run took."""
    attempts = schema.attempts.c
    end = func.coalesce(attempts.ended_at, attempts.last_at, attempts.claimed_at)
    hours = func.sum(end - attempts.claimed_at) / 3600
    return select(attempts.run_number, hours).group_by(attempts.run_number)


def _accuracies(connection: Connection) -> dict[int, tuple[float | None, int]]:
    """Return run number → accuracy of the online network by the newest version of the probe, and it."""
    table = schema.evaluations.c
    query = select(table.run_number, table.value, table.version).where(
        table.protocol == "probe", table.network == "online", table.name == "accuracy"
    )
    rows = connection.execute(query.order_by(table.version)).all()
    return {number: (value, version) for number, value, version in rows}


def _summary(moment: str, name: str) -> Any:
    table = schema.summaries.c
    of_name = (table.moment == moment) & (table.name == name)
    return select(table.run_number, table.value).where(of_name)


def _distinct_evaluations() -> Any:
    table = schema.evaluations.c
    return select(table.protocol, table.version, table.network, table.name).distinct()


def _by_run(connection: Connection, query: Any) -> dict[int, Any]:
    return dict(connection.execute(query).all())


def hint_for(word: str, known: Iterable[str]) -> str:
    """Name the nearest of the words that are known, or all of them."""
    # Imported here, as a list of runs is not to wait for pydantic's models.
    from byol_core.config import nearest

    return nearest(word, set(known))
