"""What results.db holds, as five flat relations with typed columns: what `analysis.load` gives and
`sweep export` writes.

Rows are streamed, a run at a time where there are many. Values that are not finite are floats
again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Select, select

from orchestrator.database import schema

Kind = Literal["text", "integer", "number", "yes or no", "texts", "json", "record"]
"""`texts` is a list of them, `json` anything, `record` a flat mapping whose keys may become
columns.
"""
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
    rows = [*relation.rows(connection)]
    columns: dict[str, Kind] = {}
    cells: list[Callable[[Record], Any]] = []
    for place, (name, kind) in enumerate(relation.columns.items()):
        fields = fields_of([row[place] for row in rows]) if kind == "record" else {name: kind}
        columns |= fields
        cells += [_field(place, key) for key in fields] if kind == "record" else [_cell(place)]
    return columns, (tuple(cell(row) for cell in cells) for row in rows)


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


def _cell(place: int) -> Callable[[Record], Any]:
    return lambda row: row[place]


def _field(place: int, key: str) -> Callable[[Record], Any]:
    return lambda row: row[place].get(key)


def number(value: float | None, non_finite: str | None) -> float | None:
    """Return a stored value as it was measured."""
    return float(non_finite) if value is None and non_finite is not None else value


# Where the rows come from


def _runs(connection: Connection) -> Iterator[Record]:
    asked, results = _asked_by(connection), _results(connection)
    plain = [schema.runs.c[name] for name in _RUN_COLUMNS]
    query = select(schema.runs.c.run_number, schema.runs.c.config, *plain).order_by(
        schema.runs.c.run_id
    )
    for id_, config, *facts in connection.execute(query):
        settings = {key: value for key, value in json.loads(config).items() if key != "seed"}
        sweeps, variants = asked.get(facts[0], (set(), set()))
        yield (*facts, sorted(sweeps), sorted(variants), settings, results.get(id_, {}))


def _asked_by(connection: Connection) -> dict[str, tuple[set[str], set[str]]]:
    """Return run id → (sweeps, variants) that ask for it."""
    cells, sweeps = schema.sweep_runs, schema.sweeps
    query = select(cells.c.run_id, sweeps.c.label, cells.c.variant).join(
        sweeps, sweeps.c.id == cells.c.sweep_id
    )
    found: dict[str, tuple[set[str], set[str]]] = {}
    for run_id, label, variant in connection.execute(query):
        labels, variants = found.setdefault(run_id, (set(), set()))
        labels.add(label)
        variants.add(variant)
    return found


def _results(connection: Connection) -> dict[int, dict[str, float]]:
    """Return run → ``probe_v1.online.accuracy``, ``final.std_sqrt_d`` and the like → value."""
    found: dict[int, dict[str, float]] = {}
    for row in connection.execute(select(schema.evaluations)):
        found.setdefault(row.run_number, {})[
            f"{row.protocol}_v{row.version}.{row.network}.{row.name}"
        ] = row.value
    for row in connection.execute(select(schema.summaries)):
        found.setdefault(row.run_number, {})[f"{row.moment}.{row.name}"] = row.value
    return found


def _sweeps(connection: Connection) -> Iterator[Record]:
    sweeps, variants, cells = schema.sweeps, schema.variants, schema.sweep_runs
    same = (variants.c.sweep_id == cells.c.sweep_id) & (variants.c.name == cells.c.variant)
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
        .outerjoin(variants, same)
        .order_by(sweeps.c.label, variants.c.position, cells.c.variant, cells.c.seed)
    )
    for *facts, overrides, seed, run_id in connection.execute(query):
        yield (*facts, json.loads(overrides or "{}"), seed, run_id)


def _attempts(connection: Connection) -> Iterator[Record]:
    plain = [schema.attempts.c[name] for name in _ATTEMPT_COLUMNS]
    query = _of_runs(
        select(schema.runs.c.run_id, *plain, schema.attempts.c.origin), schema.attempts.c.run_number
    )
    for *facts, origin in connection.execute(
        query.order_by(schema.runs.c.run_id, schema.attempts.c.number)
    ):
        yield (*facts, json.loads(origin) if origin else None)


def _evaluations(connection: Connection) -> Iterator[Record]:
    table = schema.evaluations
    columns = [table.c[name] for name in ("protocol", "version", "network", "name", "value")]
    query = _of_runs(select(schema.runs.c.run_id, *columns), table.c.run_number).order_by(
        schema.runs.c.run_id, *columns[:-1]
    )
    yield from (tuple(row) for row in connection.execute(query))


def _series(connection: Connection) -> Iterator[Record]:
    """Yield the points run by run, so that nothing grows with their number."""
    points, metrics = schema.points.c, schema.metrics.c
    chosen = select(points.attempt, points.step, metrics.name, points.value, points.non_finite)
    of_metric = chosen.join(schema.metrics, metrics.id == points.metric).order_by(
        metrics.name, points.step, points.attempt
    )
    for id_, run_id in connection.execute(
        select(schema.runs.c.run_number, schema.runs.c.run_id).order_by(schema.runs.c.run_id)
    ).all():
        for attempt, step, name, value, non_finite in connection.execute(
            of_metric.where(points.run_number == id_)
        ):
            yield run_id, attempt, step, name, number(value, non_finite)


def _of_runs(query: Select[Any], run: Any) -> Select[Any]:
    return query.join(schema.runs, schema.runs.c.run_number == run)


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
    "disk_bytes": "integer",
    "planned_at": "number",
    "semantics": "integer",
    "data_fingerprint": "text",
    "data_split": "text",
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
        "config": "record",
        "results": "record",
    },
    _runs,
)
SWEEPS = Relation(
    "sweeps",
    {
        **{"sweep": "text", "launched_at": "number", "variant": "text"},
        **{"overrides": "json", "seed": "integer", "run_id": "text"},
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
RELATIONS = (RUNS, SWEEPS, ATTEMPTS, EVALUATIONS, SERIES)
