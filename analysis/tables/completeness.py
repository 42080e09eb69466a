"""Counts what there is of each table: its settings, and how complete each is."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.papers.rows import TableRows
from analysis.results.runs import Run
from analysis.results.sweeps import SweepAsked
from analysis.tables.asked import asked_seeds
from analysis.tables.line import wanted_seeds
from analysis.tables.settings import Setting, find_settings
from orchestrator.database.schema import State


@dataclass(frozen=True)
class Completeness:
    """Says how much of a table there is at one setting.

    Attributes:
        setting: which one.
        rows_done: rows of the table whose seeds are all done, against what was asked for.
        runs_done: runs that are done.
        runs: all runs of this setting that there are or were asked for.
    """

    setting: Setting
    rows_done: int
    runs_done: int
    runs: int


@dataclass(frozen=True)
class TableOverview:
    """Says what there is of one table; the setting that `sweep report` shows comes first."""

    rows: TableRows
    settings: Sequence[Completeness]


@dataclass(frozen=True)
class Overview:
    """Says what there is of all tables.

    Attributes:
        tables: every table that runs can fill.
        of_no_table: labels of the sweeps that feed none; each has a table of its own variants.
    """

    tables: Sequence[TableOverview]
    of_no_table: Sequence[str] = ()


def table_overview(
    rows: TableRows, runs: Sequence[Run], sweeps: Sequence[SweepAsked] = ()
) -> TableOverview:
    """Return what there is of a table among these runs, which need no results."""
    settings = find_settings(rows, runs, sweeps)
    return TableOverview(rows, [_completeness(rows, each, sweeps) for each in settings])


def _completeness(rows: TableRows, setting: Setting, sweeps: Sequence[SweepAsked]) -> Completeness:
    wanted = asked_seeds(rows, setting, sweeps)
    members = setting.members
    rows_done = 0
    done = 0
    total = 0
    for key in rows.rows:
        of_row = members.get(key, [])
        seeds = wanted_seeds(of_row, wanted.get(key, ()))
        seeds_done = {run.seed for run in of_row if run.state == State.COMPLETED}
        rows_done += bool(seeds) and seeds_done == seeds
        done += len(seeds_done)
        total += len(seeds)
    return Completeness(setting, rows_done, done, total)
