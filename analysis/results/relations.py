"""Gives results.db as six flat relations with typed columns, for notebooks and `sweep export`.

Rows are streamed, a run at a time where there are many. Values that are not finite are floats
again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import Connection, Select, select

from orchestrator.database import schema
from orchestrator.store.settings import settings_today

Kind = Literal["text", "integer", "number", "yes or no", "texts", "json", "record"]
"""`texts` is a list, `json` anything, `record` a flat mapping whose keys may become columns."""
Record = tuple[Any, ...]


@dataclass(frozen=True)
class Relation:
    """A relation: its name, its columns with their kinds, and where its rows come from."""

    name: str
    columns: Mapping[str, Kind]
    rows: Callable[[Connection], Iterator[Record]]


def flattened(
    relation: Relation, connection: Connection
) -> tuple[dict[str, Kind], Iterable[Record]]:
    """Return columns and rows with every record spread over a column per key."""
    if "record" not in relation.columns.values():
        return dict(relation.columns), relation.rows(connection)

    # The keys of all records must be known before the first row is given.
    rows = [*relation.rows(connection)]
    columns: dict[str, Kind] = {}
    cells: list[Callable[[Record], Any]] = []
    for place, (name, kind) in enumerate(relation.columns.items()):
        if kind == "record":
            fields = fields_of([row[place] for row in rows])
            columns |= fields
            cells += [_field(place, key) for key in fields]
        else:
            columns[name] = kind
            cells.append(itemgetter(place))
    return columns, (_spread(row, cells) for row in rows)


def fields_of(records: Sequence[Mapping[str, Any]]) -> dict[str, Kind]:
    """Return the keys of all records, sorted, with the kind that fits the values of each."""
    values: dict[str, set[type]] = {}
    for record in records:
        for key, value in record.items():
            values.setdefault(key, set()).add(type(value))
    return {key: _kind_of(values[key] - {type(None)}) for key in sorted(values)}


def _kind_of(types: set[type]) -> Kind:
    if types and types <= {bool}:
        return "yes or no"
    if types and types <= {int}:
        return "integer"
    if types and types <= {int, float}:
        return "number"
    return "text" if types <= {str} else "json"


def _field(place: int, key: str) -> Callable[[Record], Any]:
    """Return a function that takes one key from the record at a place in a row."""
    return lambda row: row[place].get(key)


def _spread(row: Record, cells: Sequence[Callable[[Record], Any]]) -> Record:
    """Return a row with one value per flattened column."""
    return tuple([cell(row) for cell in cells])


def number(value: float | None, non_finite: str | None) -> float | None:
    """Return a stored value as it was measured."""
    if value is None and non_finite is not None:
        return float(non_finite)
    return value


# Where the rows come from


def _runs(connection: Connection) -> Iterator[Record]:
    names = _sweeps_and_variants(connection)
    results = _results(connection)
    facts_of_run = [schema.runs.c[name] for name in _RUN_COLUMNS]
    others = [schema.runs.c[name] for name in ("run_number", "config", "semantics", "tags")]
    query = select(*others, *facts_of_run)
    for run_number, config, semantics, tags, *facts in connection.execute(
        query.order_by(schema.runs.c.run_id)
    ):
        run_id = facts[0]
        sweeps, variants = names.get(run_id, (set(), set()))
        stated = settings_today(json.loads(config), semantics)
        settings = {key: value for key, value in stated.items() if key != "seed"}
        names_of_run = (sorted(sweeps), sorted(variants), json.loads(tags))
        yield (*facts, *names_of_run, settings, results.get(run_number, {}))


def _sweeps_and_variants(connection: Connection) -> dict[str, tuple[set[str], set[str]]]:
    """Return run id → (sweeps, variants) that ask for it."""
    cells = schema.sweep_runs
    sweeps = schema.sweeps
    query = (
        select(cells.c.run_id, sweeps.c.label, cells.c.variant)
        .join(sweeps, sweeps.c.id == cells.c.sweep_id)
        .where(sweeps.c.forgotten_at.is_(None))
    )
    names: dict[str, tuple[set[str], set[str]]] = {}
    for run_id, label, variant in connection.execute(query):
        labels, variants = names.setdefault(run_id, (set(), set()))
        labels.add(label)
        variants.add(variant)
    return names


def _results(connection: Connection) -> dict[int, dict[str, float]]:
    """Return run → ``probe_v3.online.accuracy``, ``final.std_sqrt_d`` and the like → value."""
    results: dict[int, dict[str, float]] = {}
    for row in connection.execute(select(schema.evaluations)):
        measure = f"{row.protocol}_v{row.version}.{row.network}.{row.name}"
        results.setdefault(row.run_number, {})[measure] = row.value
    for row in connection.execute(select(schema.summaries)):
        results.setdefault(row.run_number, {})[f"{row.moment}.{row.name}"] = row.value
    return results


def _sweeps(connection: Connection) -> Iterator[Record]:
    sweeps = schema.sweeps
    variants = schema.variants
    cells = schema.sweep_runs

    # The outer join keeps a cell whose variant is not recorded, without overrides.
    same_variant = (variants.c.sweep_id == cells.c.sweep_id) & (variants.c.name == cells.c.variant)
    query = (
        select(
            sweeps.c.label,
            sweeps.c.launched_at,
            cells.c.variant,
            variants.c.overrides,
            cells.c.seed,
            cells.c.run_id,
        )
        .join_from(cells, sweeps, sweeps.c.id == cells.c.sweep_id)
        .outerjoin(variants, same_variant)
        .where(sweeps.c.forgotten_at.is_(None))
        .order_by(sweeps.c.label, variants.c.position, cells.c.variant, cells.c.seed)
    )
    for *facts, overrides, seed, run_id in connection.execute(query):
        yield (*facts, json.loads(overrides or "{}"), seed, run_id)


def _attempts(connection: Connection) -> Iterator[Record]:
    attempts = schema.attempts.c
    columns = [attempts[name] for name in _ATTEMPT_COLUMNS]
    every_attempt = select(schema.runs.c.run_id, *columns, attempts.origin)
    query = _of_runs(every_attempt, attempts.run_number)
    in_order = query.order_by(schema.runs.c.run_id, attempts.number)
    for *facts, origin in connection.execute(in_order):
        yield (*facts, json.loads(origin) if origin else None)


def _evaluations(connection: Connection) -> Iterator[Record]:
    evaluations = schema.evaluations.c
    keys = [evaluations[name] for name in ("protocol", "version", "network", "name")]
    every_evaluation = select(schema.runs.c.run_id, *keys, evaluations.value)
    query = _of_runs(every_evaluation, evaluations.run_number)
    in_order = query.order_by(schema.runs.c.run_id, *keys)
    yield from (tuple(row) for row in connection.execute(in_order))


def _series(connection: Connection) -> Iterator[Record]:
    """Yield the points run by run, so that nothing grows with their number."""
    run = schema.runs.c
    point = schema.points.c
    metric = schema.metrics.c
    every_run = select(run.run_number, run.run_id).order_by(run.run_id)
    every_point = (
        select(point.attempt, point.step, metric.name, point.value, point.non_finite)
        .join(schema.metrics, metric.id == point.metric)
        .order_by(metric.name, point.step, point.attempt)
    )

    for run_number, run_id in connection.execute(every_run).all():
        of_run = every_point.where(point.run_number == run_number)
        for attempt, step, name, value, non_finite in connection.execute(of_run):
            yield run_id, attempt, step, name, number(value, non_finite)


def _annotations(connection: Connection) -> Iterator[Record]:
    annotations = schema.annotations.c
    facts = [annotations[name] for name in ("kind", "text", "at", "by")]
    query = (
        select(schema.runs.c.run_id, schema.sweeps.c.label, *facts)
        .select_from(schema.annotations)
        .outerjoin(schema.runs, schema.runs.c.run_number == annotations.run_number)
        .outerjoin(schema.sweeps, schema.sweeps.c.id == annotations.sweep_id)
    )
    in_order = query.order_by(annotations.at, annotations.file)
    yield from (tuple(row) for row in connection.execute(in_order))


def _of_runs(query: Select[Any], run_number: Any) -> Select[Any]:
    """Join the runs to a query by the column that holds their number."""
    return query.join(schema.runs, schema.runs.c.run_number == run_number)


_RUN_COLUMNS: dict[str, Kind] = {
    "run_id": "text",
    "seed": "integer",
    "state": "text",
    "outcome": "text",
    "reason": "text",
    "attempt": "integer",
    "step": "integer",
    "total_steps": "integer",
    "wall_s": "number",
    "test_images": "integer",
    "disk_bytes": "integer",
    "planned_at": "number",
    "semantics": "integer",
    "data_fingerprint": "text",
    "data_split": "text",
    "excluded": "text",
}
_ATTEMPT_COLUMNS: dict[str, Kind] = {
    "number": "integer",
    "executor": "text",
    "job_id": "text",
    "host": "text",
    "device": "text",
    "claimed_at": "number",
    "ended_at": "number",
    "state": "text",
    "reason": "text",
    "first_step": "integer",
    "last_step": "integer",
    "exact": "yes or no",
    "images_per_s": "number",
    "skipped_lines": "integer",
}
RUNS = Relation(
    "runs",
    {
        **_RUN_COLUMNS,
        "sweeps": "texts",
        "variants": "texts",
        "tags": "texts",
        "config": "record",
        "results": "record",
    },
    _runs,
)
SWEEPS = Relation(
    "sweeps",
    {
        "sweep": "text",
        "launched_at": "number",
        "variant": "text",
        "overrides": "json",
        "seed": "integer",
        "run_id": "text",
    },
    _sweeps,
)
ATTEMPTS = Relation("attempts", {"run_id": "text", **_ATTEMPT_COLUMNS, "origin": "json"}, _attempts)
EVALUATIONS = Relation(
    "evaluations",
    {
        "run_id": "text",
        "protocol": "text",
        "version": "integer",
        "network": "text",
        "name": "text",
        "value": "number",
    },
    _evaluations,
)
SERIES = Relation(
    "series",
    {
        "run_id": "text",
        "attempt": "integer",
        "step": "integer",
        "metric": "text",
        "value": "number",
    },
    _series,
)
ANNOTATIONS = Relation(
    "annotations",
    {
        "run_id": "text",
        "sweep": "text",
        "kind": "text",
        "text": "text",
        "at": "number",
        "by": "text",
    },
    _annotations,
)
RELATIONS = (RUNS, SWEEPS, ATTEMPTS, EVALUATIONS, SERIES, ANNOTATIONS)
