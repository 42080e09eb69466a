"""Reads what each sweep's spec asks for, launched or not: its variants, its seeds and its tables.

Loads no pandas.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from orchestrator.database import schema
from orchestrator.store.settings import settings_today


@dataclass(frozen=True, slots=True)
class SweepAsked:
    """What a sweep asks for, as its newest launch wrote it down.

    Attributes:
        label: of the sweep.
        launched_at: when it was last launched, in seconds since 1970.
        tables: that it feeds.
        baseline: the name of a variant, or what the baseline sets.
        overrides: of --set.
        variants: name → canonical settings in today's words, without the seed, in the order of the
            spec; all of the spec's, whatever a launch was limited to.
        seeds: of the spec; None where the plan is an older version's that does not say.
        runs: (variant, seed) → run id, of what was launched; the run itself may have been deleted.
    """

    label: str
    launched_at: float
    tables: tuple[str, ...]
    baseline: str | Mapping[str, Any]
    overrides: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]
    seeds: tuple[int, ...] | None
    runs: Mapping[tuple[str, int], str]


def read_sweeps(connection: Connection) -> list[SweepAsked]:
    """Return the sweeps of a database, newest first; not those that people forgot."""
    sweeps = schema.sweeps
    shown = select(sweeps).where(sweeps.c.forgotten_at.is_(None))
    newest_first = shown.order_by(sweeps.c.launched_at.desc(), sweeps.c.id.desc())
    older = _semantics_of_runs(connection)
    cells = _cells(connection)
    every_sweep: list[SweepAsked] = []
    for row in connection.execute(newest_first).all():
        # A plan that does not say by which trainer it is was made with the newest of its runs.
        semantics = row.semantics
        if semantics is None:
            semantics = older.get(row.id)

        seeds: tuple[int, ...] | None = None
        if row.seeds is not None:
            seeds = tuple(json.loads(row.seeds))
        sweep = SweepAsked(
            label=row.label,
            launched_at=row.launched_at,
            tables=tuple(json.loads(row.tables)),
            baseline=json.loads(row.baseline),
            overrides=json.loads(row.overrides),
            variants=_variants(connection, row.id, semantics),
            seeds=seeds,
            runs=cells.get(row.id, {}),
        )
        every_sweep.append(sweep)
    return every_sweep


def _variants(
    connection: Connection, sweep_id: int, semantics: int | None
) -> dict[str, Mapping[str, Any]]:
    """Return name → settings in today's words where the trainer is known, in the spec's order."""
    table = schema.variants.c
    query = select(table.name, table.config).where(table.sweep_id == sweep_id)
    in_order = query.order_by(table.position)
    variants: dict[str, Mapping[str, Any]] = {}
    for name, config in connection.execute(in_order).all():
        settings = json.loads(config)
        if semantics is not None:
            settings = settings_today(settings, semantics)
        variants[name] = settings
    return variants


def _cells(connection: Connection) -> dict[int, dict[tuple[str, int], str]]:
    """Return sweep → (variant, seed) → run id."""
    cells: dict[int, dict[tuple[str, int], str]] = {}
    in_order = select(schema.sweep_runs).order_by(*schema.sweep_runs.primary_key)
    for sweep_id, variant, seed, run_id in connection.execute(in_order).all():
        cells.setdefault(sweep_id, {})[variant, seed] = run_id
    return cells


def _semantics_of_runs(connection: Connection) -> dict[int, int]:
    """Return sweep → the newest trainer's number among its runs."""
    cell = schema.sweep_runs.c
    run = schema.runs.c
    query = (
        select(cell.sweep_id, func.max(run.semantics).label("semantics"))
        .join_from(schema.sweep_runs, schema.runs, run.run_id == cell.run_id)
        .group_by(cell.sweep_id)
    )
    return {row.sweep_id: row.semantics for row in connection.execute(query)}
