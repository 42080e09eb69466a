"""results.db as the tables want it: one frame with a line per run, settings and results as mappings."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import select

from analysis.database import reading
from orchestrator import schema

_READ = ("runs", "evaluations", "summaries", "attempts", "sweeps", "sweep_runs")


def run_frame(where: str) -> pd.DataFrame:
    """Return one line per run.

    Args:
        where: path or SQLAlchemy URL.

    Returns:
        Columns: `run_id`, `seed`, `config` (canonical, flat dict), `data`, `state`, `outcome`, `reason`,
        `evaluations` ({(protocol, version, network, name): value}), `final` ({name: value}), `origin` (of the counting
        attempt), `sweeps` (labels, newest first), `launched_at` (of the newest), `fed` ({table: (launched_at, label)} of the
        newest sweep that asks for the run and lists the table).

    Raises:
        NoDatabaseError: missing, or of another version.
    """
    with reading(where) as connection:
        return _runs({name: pd.read_sql(select(schema.metadata.tables[name]), connection) for name in _READ})


def _runs(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    runs = tables["runs"].set_index("id")
    frame = runs[["run_id", "seed", "state", "outcome", "reason", "step", "total_steps", "wall_s"]].copy()
    frame["config"] = runs["config"].map(json.loads)
    frame["data"] = list(zip(runs["data_fingerprint"], runs["data_split"], runs["semantics"], strict=True))
    frame["evaluations"] = _per_run(runs, _evaluations(tables["evaluations"]))
    frame["final"] = _per_run(runs, _final(tables["summaries"]))
    frame["origin"] = _per_run(runs, _origins(runs, tables["attempts"]))
    sweeps = _sweeps(tables["sweeps"], tables["sweep_runs"])
    frame["sweeps"] = [[one.label for one in sweeps.get(run_id, [])] for run_id in frame["run_id"]]
    frame["launched_at"] = [max((one.launched_at for one in sweeps.get(run_id, [])), default=0.0) for run_id in frame["run_id"]]
    frame["fed"] = [_fed(sweeps.get(run_id, [])) for run_id in frame["run_id"]]
    return frame.reset_index(drop=True)


def _per_run(runs: pd.DataFrame, values: dict[int, dict[Any, Any]]) -> list[dict[Any, Any]]:
    return [values.get(number, {}) for number in runs.index]


def _evaluations(table: pd.DataFrame) -> dict[int, dict[Any, Any]]:
    found: dict[int, dict[Any, Any]] = {}
    for row in table.itertuples():
        found.setdefault(row.run, {})[row.protocol, row.version, row.network, row.name] = row.value
    return found


def _final(table: pd.DataFrame) -> dict[int, dict[Any, Any]]:
    found: dict[int, dict[Any, Any]] = {}
    for row in table[table["moment"] == "final"].itertuples():
        found.setdefault(row.run, {})[row.name] = row.value
    return found


def _origins(runs: pd.DataFrame, table: pd.DataFrame) -> dict[int, dict[Any, Any]]:
    found: dict[int, dict[Any, Any]] = {}
    for row in table.itertuples():
        if row.number == runs["attempt"].get(row.run) and isinstance(row.origin, str):
            origin = json.loads(row.origin)
            device = str(row.device).partition(":")[0]
            found[row.run] = {"commit": origin["commit"], "dirty": origin["dirty"], "device": device, **origin["versions"]}
    return found


@dataclass(frozen=True)
class _Sweep:
    label: str
    launched_at: float
    tables: tuple[str, ...]


def _sweeps(sweeps: pd.DataFrame, cells: pd.DataFrame) -> dict[str, list[_Sweep]]:
    """Return run id → the sweeps that ask for it, newest first."""
    found: dict[str, list[_Sweep]] = {}
    merged = cells.merge(sweeps, left_on="sweep_id", right_on="id").sort_values("launched_at", ascending=False)
    for row in merged.itertuples():
        one = _Sweep(row.label, row.launched_at, tuple(json.loads(row.tables)))
        if one not in found.setdefault(row.run_id, []):
            found[row.run_id].append(one)
    return found


def _fed(sweeps: Sequence[_Sweep]) -> dict[str, tuple[float, str]]:
    oldest_first = reversed(sweeps)
    return {table: (one.launched_at, one.label) for one in oldest_first for table in one.tables}
