"""Makes the manifest of a report."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import Connection, select

from analysis.manifest.contents import (
    Manifest,
    ManifestError,
    RowEntry,
    RunEntry,
    SettingEntry,
    TableDefinition,
)
from analysis.papers.plain_text import plain
from analysis.papers.rows import TableRows
from analysis.results.runs import Run
from analysis.tables.line import Line
from analysis.tables.tidy import Report
from orchestrator.database.schema import attempts, runs

FilesOf = Callable[[str, str, int], Mapping[str, str]]
"""Takes the root of a run, its id and the number of its attempt; returns path → sha256."""
_AT_ONCE = 500
"""The number of runs that one query names."""


def manifest_of(connection: Connection, report: Report, files_of: FilesOf) -> Manifest:
    """Return the manifest of a report.

    Args:
        connection: to the database that the report was made from.
        report: of a table.
        files_of: reads the digests of a run's files.

    Raises:
        ManifestError: the database has lost a run meanwhile.
    """
    table = report.table
    setting: SettingEntry | None = None
    if table.setting is not None:
        values = dict(sorted(table.setting.values.items()))
        setting = SettingEntry(
            id=table.setting.id, values=values, protocol_version=table.setting.version
        )
    return Manifest(
        table=_definition(table.rows),
        setting=setting,
        rows=row_entries(report),
        runs=run_entries(connection, report, files_of),
    )


def _definition(rows: TableRows) -> TableDefinition:
    return TableDefinition(
        id=rows.id,
        title=plain(rows.title),
        protocol=rows.protocol,
        network=rows.network,
        metric=rows.metric,
        axes=[*rows.axes],
        baselines=[*rows.baselines],
    )


def row_entries(report: Report) -> list[RowEntry]:
    """Return the rows of a report with their numbers, as every format prints them."""
    lines = {line.row.key: line for line in report.table.lines}
    return [_row_entry(numbers, lines[numbers.row]) for numbers in report.main.itertuples()]


def _row_entry(numbers: Any, line: Line) -> RowEntry:
    return RowEntry(
        key=line.row.key,
        label=numbers.label,
        match=dict(line.row.match),
        companions=[*line.row.companions],
        not_run=line.row.not_run,
        n=numbers.n,
        mean=_number(numbers.mean),
        std=_number(numbers.std),
        half_range=_number(numbers.half_range),
        ci95=_pair(numbers.ci95_low, numbers.ci95_high),
        baseline=_or_none(numbers.baseline),
        delta=_number(numbers.delta),
        delta_ci95=_pair(numbers.delta_low, numbers.delta_high),
        n_pairs=_or_none(numbers.n_pairs),
        p_holm=_number(numbers.p_holm),
        collapsed=line.collapsed,
        runs=[run.run_id for run in line.runs],
    )


def run_entries(connection: Connection, report: Report, files_of: FilesOf) -> list[RunEntry]:
    """Return the runs of a report's rows, those without a value too, in the order of the rows."""
    table = report.table
    version = table.setting.version if table.setting is not None else 1
    measure = (table.rows.protocol, version, table.rows.network, table.rows.metric)
    every_run = [run for line in table.lines for run in line.runs]
    facts = _facts(connection, every_run)

    entries: list[RunEntry] = []
    for run in every_run:
        if run.run_id not in facts:
            raise ManifestError(
                f"run {run.run_id[:10]} was deleted while the manifest was made; try again"
            )
        root, attempt, origin = facts[run.run_id]
        entry = RunEntry(
            run_id=run.run_id,
            seed=run.seed,
            state=run.state,
            value=_number(run.evaluations.get(measure)),
            excluded=run.excluded is not None,
            attempt=attempt,
            commit=origin.get("commit"),
            snapshot=origin.get("code"),
            trainer=origin.get("trainer"),
            semantics=run.data[2],
            data=run.data[0],
            files=dict(sorted(files_of(root, run.run_id, attempt).items())),
        )
        entries.append(entry)
    return entries


def _facts(
    connection: Connection, some: Sequence[Run]
) -> dict[str, tuple[str, int, Mapping[str, Any]]]:
    """Return run id → its root, the attempt that counts, and where that came from."""
    of_attempt = (attempts.c.run_number == runs.c.run_number) & (
        attempts.c.number == runs.c.attempt
    )
    query = select(runs.c.run_id, runs.c.root, runs.c.attempt, attempts.c.origin).select_from(
        runs.outerjoin(attempts, of_attempt)
    )
    facts: dict[str, tuple[str, int, Mapping[str, Any]]] = {}
    for start in range(0, len(some), _AT_ONCE):
        numbers = [run.run_number for run in some[start : start + _AT_ONCE]]
        for run_id, root, attempt, origin in connection.execute(
            query.where(runs.c.run_number.in_(numbers))
        ).all():
            facts[run_id] = (root, attempt, json.loads(origin) if origin else {})
    return facts


def _number(value: Any) -> float | None:
    """Return a number as JSON has it: what is missing or not finite is None."""
    if pd.isna(value) or not math.isfinite(value):
        return None
    return float(value)


def _pair(low: Any, high: Any) -> tuple[float, float] | None:
    if pd.isna(low) or pd.isna(high):
        return None
    return float(low), float(high)


def _or_none(value: Any) -> Any:
    return None if pd.isna(value) else value
