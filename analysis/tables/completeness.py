"""Counts what there is of each table: its settings, and how complete each is."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.papers.rows import TableRows
from analysis.results.runs import Run
from analysis.tables.settings import Setting, find_settings
from orchestrator.database.schema import State


@dataclass(frozen=True)
class Completeness:
    """Says how much of a table there is at one setting.

    Attributes:
        setting: which one.
        rows_done: rows of the table whose runs are all done.
        runs_done: runs that are done.
        runs: all runs of this setting.
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


def table_overview(rows: TableRows, runs: Sequence[Run]) -> TableOverview:
    """Return what there is of a table among these runs, which need no results."""
    return TableOverview(rows, [_completeness(each) for each in find_settings(rows, runs)])


def _completeness(setting: Setting) -> Completeness:
    done: list[int] = []
    for runs in setting.members.values():
        done.append(sum(run.state == State.COMPLETED for run in runs))
    counts = [len(runs) for runs in setting.members.values()]
    rows_done = sum(row == count for row, count in zip(done, counts, strict=True))
    return Completeness(setting, rows_done, sum(done), sum(counts))
