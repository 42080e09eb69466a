"""`sweep export`: results.db as files for other programs. CSV: `runs.csv`, a line per run, and `metrics.csv`, all series."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, select

from analysis.csv_cells import as_csv_text
from byol_core.files import make_folder, write_atomic
from orchestrator import schema


class ExportError(Exception):
    """The files cannot be written there."""


def export_csv(engine: Engine, folder: Path) -> list[Path]:
    """Write both files; return their paths.

    Raises:
        ExportError: the folder cannot be made.
    """
    try:
        make_folder(folder.absolute())
    except OSError as error:
        raise ExportError(f"--out {folder}: {error.strerror}; name a folder that can be made") from None
    if not folder.is_dir():
        raise ExportError(f"--out {folder}: is a file; name a folder")
    with engine.connect() as connection:
        files = {"runs.csv": _runs(connection), "metrics.csv": _metrics(connection)}
    for name, (header, rows) in files.items():
        write_atomic(folder / name, as_csv_text(header, rows).encode())
    return [folder / name for name in files]


def _runs(connection: Connection) -> tuple[list[str], list[list[Any]]]:
    runs = connection.execute(select(schema.runs).order_by(schema.runs.c.run_id)).mappings().all()
    configs = [json.loads(run["config"]) for run in runs]
    results = [_results(connection, run["id"]) for run in runs]
    plain = ["run_id", "seed", "state", "outcome", "reason", "attempt", "step", "total_steps", "wall_s", "semantics"]
    keys = sorted({key for config in configs for key in config} - {"seed"})
    names = sorted({name for result in results for name in result})
    asked = _asked_by(connection)
    rows = []
    for run, config, result in zip(runs, configs, results, strict=True):
        facts = [*(run[name] for name in plain), *asked.get(run["run_id"], ("", ""))]
        rows.append([*facts, *(config.get(key) for key in keys), *(result.get(name) for name in names)])
    return [*plain, "sweeps", "variants", *keys, *names], rows


def _asked_by(connection: Connection) -> dict[str, tuple[str, str]]:
    """Return run id → (sweeps, variants) that ask for it, each joined by "; "."""
    cells, sweeps = schema.sweep_runs, schema.sweeps
    query = select(cells.c.run_id, sweeps.c.label, cells.c.variant).join(sweeps, sweeps.c.id == cells.c.sweep_id)
    found: dict[str, tuple[set[str], set[str]]] = {}
    for run_id, label, variant in connection.execute(query):
        labels, variants = found.setdefault(run_id, (set(), set()))
        labels.add(label)
        variants.add(variant)
    return {run_id: ("; ".join(sorted(one)), "; ".join(sorted(two))) for run_id, (one, two) in found.items()}


def _results(connection: Connection, run: int) -> dict[str, float]:
    table = schema.evaluations
    found = {
        f"{row.protocol}_v{row.version}.{row.network}.{row.name}": row.value
        for row in connection.execute(select(table).where(table.c.run == run))
    }
    summaries = connection.execute(select(schema.summaries).where(schema.summaries.c.run == run))
    return found | {f"{row.moment}.{row.name}": row.value for row in summaries}


def _metrics(connection: Connection) -> tuple[list[str], Iterable[Sequence[Any]]]:
    points, runs, metrics = schema.points, schema.runs, schema.metrics
    query = (
        select(runs.c.run_id, points.c.attempt, points.c.step, metrics.c.name, points.c.value, points.c.non_finite)
        .join(runs, runs.c.id == points.c.run)
        .join(metrics, metrics.c.id == points.c.metric)
        .order_by(runs.c.run_id, metrics.c.name, points.c.step, points.c.attempt)
    )
    rows = [(*row[:4], row.value if row.non_finite is None else row.non_finite) for row in connection.execute(query)]
    return ["run_id", "attempt", "step", "metric", "value"], rows
