"""Follows a row of a table back to its runs: seeds, attempts, commits, and commands to go on.

The page of all tables unfolds each row to this trail, and `sweep why TABLE ROW` prints it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from analysis.errors import AnalysisError
from analysis.papers.nearest import nearest
from analysis.results.provenance import (
    Attempt,
    Launched,
    Provenance,
    Request,
    read_launched,
    read_provenance,
)
from analysis.results.runs import Run
from analysis.results.sweeps import SweepAsked, read_sweeps
from analysis.tables.asked import AskedVariant, asked_variants
from analysis.tables.line import Line
from analysis.tables.marks import Mark
from analysis.tables.setting_index import unlike
from analysis.tables.tidy import Report
from analysis.trail.relaunch import Command, commands_of

SHOWN_DIGITS = 10
"""Digits of a run id that people see, as in all commands."""


class UnknownRowError(AnalysisError):
    """This table has no row of that name."""


@dataclass(frozen=True)
class RunTrail:
    """One run of a row.

    Attributes:
        run: with its results.
        value: of the table's metric, None where there is none; it may be no finite number.
        counts: whether the value is part of the row's n.
        reason: why the run is in its state; empty where nothing says.
        wall_s: the time that it took; None where that is not known.
        attempts: at it, the first one first.
        requests: what asks for it, the newest sweep first.
        commands: that show it, and what tells it from the baseline's run of the same seed.
    """

    run: Run
    value: float | None
    counts: bool
    reason: str
    wall_s: float | None
    attempts: Sequence[Attempt]
    requests: Sequence[Request]
    commands: Sequence[Command]


@dataclass(frozen=True)
class RowTrail:
    """Where a row of a table comes from. Texts are as they were written: escape them to print.

    Attributes:
        table: its name.
        setting: id of the setting, None while there are no runs.
        key: of the row.
        label: of the row, as printed.
        state: as the table shows it: `done 3/3`.
        marks: what a reader must know.
        baseline: key of the row that it is compared with, None of a baseline.
        differs: key → (value of this row, value of its baseline), of their configs.
        runs: of the row at this setting, by seed, those that people left out too.
        missing: seeds that were asked for and have no run.
        commands: that make what is missing, or all of it anew.
    """

    table: str
    setting: str | None
    key: str
    label: str
    state: str
    marks: Sequence[Mark]
    baseline: str | None
    differs: Mapping[str, tuple[Any, Any]]
    runs: Sequence[RunTrail]
    missing: Sequence[int]
    commands: Sequence[Command]


def trail(connection: Connection, report: Report, row: str) -> RowTrail:
    """Return where a row comes from.

    Args:
        connection: to the database that the report was made from.
        report: of the table.
        row: its key or its label.

    Raises:
        UnknownRowError: the table has none of that name.
    """
    line = _line(report, row)
    return trails(connection, report, read_sweeps(connection), [line])[0]


def published_trail(report: Report, row: str) -> RowTrail:
    """Return the trail of a row of a table that no run can be of, which needs no database.

    Args:
        report: of the table.
        row: its key or its label.

    Raises:
        UnknownRowError: the table has none of that name.
    """
    return _row_trail(report, _line(report, row), Provenance({}, {}, {}, {}), [], {})


def trails(
    connection: Connection,
    report: Report,
    sweeps: Sequence[SweepAsked],
    lines: Sequence[Line] | None = None,
) -> list[RowTrail]:
    """Return where rows come from, in their order.

    Args:
        connection: to the database that the report was made from.
        report: of the table.
        sweeps: what sweeps ask for.
        lines: of the rows; all of the table where None.
    """
    table = report.table
    lines = table.lines if lines is None else lines
    runs = [run for line in lines for run in line.runs]
    provenance = read_provenance(connection, runs)
    launched = {sweep.label: sweep for sweep in read_launched(connection)}
    variants_of: dict[str, list[AskedVariant]] = {}
    if table.setting is not None:
        for variant in asked_variants(table.rows, table.setting, sweeps):
            variants_of.setdefault(variant.row, []).append(variant)
    return [
        _row_trail(report, line, provenance, variants_of.get(line.row.key, []), launched)
        for line in lines
    ]


def _line(report: Report, row: str) -> Line:
    """Return the line of a row that a person names: by its key, or as its label is printed."""
    lines = report.table.lines
    for line in lines:
        if line.row.key == row:
            return line
    fitting = [line for line in lines if row.casefold() == line.row.label.casefold()]
    if len(fitting) == 1:
        return fitting[0]
    keys = [line.row.key for line in lines]
    raise UnknownRowError(
        f"table {report.table.rows.id} has no row {row!r}; {nearest(row, keys, 'rows')}"
    )


def _row_trail(
    report: Report,
    line: Line,
    provenance: Provenance,
    variants: Sequence[AskedVariant],
    launched: Mapping[str, Launched],
) -> RowTrail:
    table = report.table
    lines = {each.row.key: each for each in table.lines}
    baseline = lines.get(line.baseline) if line.baseline is not None else None
    twins = {run.seed: run for run in baseline.runs} if baseline is not None else {}
    seeds = frozenset[int]().union(*[variant.seeds for variant in variants])
    missing = sorted(seeds - {run.seed for run in line.runs})
    return RowTrail(
        table=table.rows.id,
        setting=table.setting.id if table.setting is not None else None,
        key=line.row.key,
        label=line.row.label,
        state=line.state,
        marks=line.marks,
        baseline=line.baseline,
        differs=_differs(line, baseline),
        runs=[_run_trail(report, line, run, provenance, twins) for run in line.runs],
        missing=missing,
        commands=commands_of(line.runs, provenance.requests, missing, variants, launched),
    )


def _differs(line: Line, baseline: Line | None) -> dict[str, tuple[Any, Any]]:
    """Return what tells a row's config from its baseline's; of a row without runs, what it sets."""
    if baseline is None:
        return {}
    own = line.row.match
    other = baseline.row.match
    if line.runs and baseline.runs:
        own = line.runs[0].config
        other = baseline.runs[0].config
    # Keys that have no effect in one of the two say nothing of their own.
    differing = unlike(own, other)
    differing.pop("seed", None)
    return differing


def _run_trail(
    report: Report,
    line: Line,
    run: Run,
    provenance: Provenance,
    twins: Mapping[int, Run],
) -> RunTrail:
    rows = report.table.rows
    version = report.table.setting.version if report.table.setting is not None else 1
    short = run.run_id[:SHOWN_DIGITS]
    commands = [
        Command("all that is known of it", f"sweep show {short}"),
        Command("how to make it anywhere", f"sweep show {short} --reproduce"),
    ]
    twin = twins.get(run.seed)
    if twin is not None:
        other = twin.run_id[:SHOWN_DIGITS]
        commands.append(Command("against its baseline", f"sweep diff {short} {other}"))
    return RunTrail(
        run=run,
        value=run.evaluations.get((rows.protocol, version, rows.network, rows.metric)),
        counts=run.seed in line.values and run.excluded is None,
        reason=provenance.reasons.get(run.run_id, ""),
        wall_s=provenance.wall_s.get(run.run_id),
        attempts=provenance.attempts.get(run.run_id, ()),
        requests=provenance.requests.get(run.run_id, ()),
        commands=commands,
    )
