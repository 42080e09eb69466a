"""Makes one line of a table from the runs of its row: its number, its state and its marks."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.papers.rows import TableRow, TableRows
from analysis.results.runs import Run
from analysis.tables.collapse import is_collapsed
from analysis.tables.marks import Code, Mark, counted
from analysis.tables.setting_index import Values
from analysis.tables.stats import Difference, Summary, summarize
from orchestrator.database.schema import State

_ENDED_BADLY = {
    State.FAILED,
    State.OOM,
    State.TIMEOUT,
    State.LOST,
    State.CANCELLED,
    State.PREEMPTED,
}
_SHOWN_KEYS = 3


@dataclass(frozen=True)
class Line:
    """One row of a table, rebuilt.

    Attributes:
        row: the row.
        runs: all of its runs at this setting, those that people left out too, by seed.
        values: seed → value of the table's metric; finite.
        summary: of the values.
        baseline: the key of the row that it is compared with; None for a baseline.
        difference: from that baseline, seed by seed.
        p_holm: of the difference, adjusted over all comparisons that the table plans.
        word: `done`, `partial`, `running`, `failed`, `stopped`, `waiting`, `excluded`, `confounded`,
            `absent`, or `not run` where no run can be of the row.
        done: seeds with a result.
        wanted: how many seeds a spec or a launch asked for.
        marks: what a reader must know.
        collapsed: (runs that collapsed, runs that could), None where nothing was trained.
        final: means over the runs of the signs of collapse.
        own: the row's companion keys and the values it ran with.
    """

    row: TableRow
    runs: Sequence[Run] = ()
    values: Mapping[int, float] = field(default_factory=dict)
    summary: Summary = field(default_factory=lambda: summarize([]))
    baseline: str | None = None
    difference: Difference | None = None
    p_holm: float | None = None
    word: str = "absent"
    done: int = 0
    wanted: int = 0
    marks: Sequence[Mark] = ()
    collapsed: tuple[int, int] | None = None
    final: Mapping[str, float] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The word with its count, as people read it: `done 3/3`."""
        return f"{self.word} {self.done}/{self.wanted}" if self.wanted else self.word

    @property
    def run_ids(self) -> list[str]:
        """The ids of the runs with a value, in the order of their seeds."""
        return [run.run_id for run in self.counted_runs]

    @property
    def counted_runs(self) -> list[Run]:
        """The runs with a value, in the order of their seeds."""
        return [run for run in self.runs if run.seed in self.values and run.excluded is None]


def line_of(
    table: TableRows,
    row: TableRow,
    runs: Sequence[Run],
    version: int,
    spec_seeds: Collection[int] = (),
    rounding: float = 0.0,
) -> Line:
    """Make the line of a row.

    Args:
        table: whose row it is.
        row: the row.
        runs: with their results, of one setting.
        version: of the table's protocol.
        spec_seeds: those that a spec asks for.
        rounding: the step in which the metric moves, 1 / test images; 0 where it is not known.
    """
    runs = sorted(runs, key=lambda run: run.seed)
    count = len(wanted_seeds(runs, spec_seeds))
    if not runs:
        return Line(row, word="not run" if row.not_run else "absent", wanted=count)

    # What people left out counts nowhere but in the mark that says so.
    marks = _exclusion(runs)
    counting = [run for run in runs if run.excluded is None]
    if not counting:
        return Line(row, runs, word="excluded", wanted=count, marks=marks)

    # Nobody waits for those either.
    count = len(
        wanted_seeds(counting, spec_seeds) - {run.seed for run in runs if run.excluded is not None}
    )

    # Runs that differ in more than the seed have no common number.
    differing = differing_keys([run.config for run in counting])
    if differing:
        marks.append(_confounded(counting, differing))
        done = sum(run.state == State.COMPLETED for run in counting)
        return Line(row, runs, word="confounded", done=done, wanted=count, marks=marks)

    values = _values(table, counting, version)
    finite = {seed: value for seed, value in values.items() if math.isfinite(value)}
    collapsed = _collapsed(counting)
    marks += _marks(table, counting, values, collapsed)
    done = sum(_has_result(run, values) for run in counting)
    return Line(
        row,
        runs,
        values=finite,
        summary=summarize([*finite.values()], rounding),
        word=_word(counting, done, count),
        done=done,
        wanted=count,
        marks=marks,
        collapsed=collapsed,
        own={key: counting[0].config.get(key) for key in row.companions},
        final=_means([run.final for run in counting if is_ok(run)]),
    )


def wanted_seeds(runs: Sequence[Run], spec_seeds: Collection[int]) -> set[int]:
    """Return the seeds that a row is to have: those asked for, and results that are there anyway.

    A run of another sweep that is not done yet keeps no row waiting.
    """
    there = [run for run in runs if not spec_seeds or run.state == State.COMPLETED]
    return {run.seed for run in there}.union(spec_seeds)


def is_ok(run: Run) -> bool:
    """Tell whether a run has completed, with a loss that stayed finite."""
    return run.state == State.COMPLETED and run.outcome == "ok"


def differing_keys(configs: Sequence[Values]) -> list[str]:
    """Return the keys, other than the seed, in which the configs of one cell differ."""
    differing: list[str] = []
    for key in sorted(set[str]().union(*configs) - {"seed"}):
        first = configs[0].get(key)
        if any(config.get(key) != first for config in configs):
            differing.append(key)
    return differing


def _values(table: TableRows, runs: Sequence[Run], version: int) -> dict[int, float]:
    """Return seed → value by that version of the table's protocol, of the runs that have one."""
    measure = (table.protocol, version, table.network, table.metric)
    return {
        run.seed: run.evaluations[measure]
        for run in runs
        if is_ok(run) and measure in run.evaluations
    }


def _has_result(run: Run, values: Mapping[int, float]) -> bool:
    """Tell whether a run needs nothing more: it is judged, or its loss was not finite."""
    return run.seed in values or run.outcome == "diverged"


def _collapsed(runs: Sequence[Run]) -> tuple[int, int] | None:
    """Count the runs that collapsed and those that could; None where nothing was trained."""
    verdicts = [is_collapsed(run.final) for run in runs if run.state == State.COMPLETED]
    judged = [verdict for verdict in verdicts if verdict is not None]
    if not judged:
        return None
    return sum(judged), len(judged)


def _word(runs: Sequence[Run], done: int, wanted: int) -> str:
    """Return the state of a row. The order is important: a row with numbers is partial."""
    states = {run.state for run in runs}
    if done == wanted:
        return "done"
    if State.RUNNING in states:
        return "running"
    if done:
        return "partial"
    if states & _ENDED_BADLY:
        return "failed"
    if State.STOPPED in states:
        return "stopped"
    return "waiting"


def _exclusion(runs: Sequence[Run]) -> list[Mark]:
    """Return the mark that counts the runs which people left out, with their reasons."""
    excluded = [run for run in runs if run.excluded is not None]
    if not excluded:
        return []
    seeds_of: dict[str, list[str]] = {}
    for run in excluded:
        seeds_of.setdefault(str(run.excluded), []).append(str(run.seed))
    reasons = [f"{reason} (seed {', '.join(seeds)})" for reason, seeds in seeds_of.items()]
    return [counted(Code.EXCLUDED, len(excluded), len(runs), " | ".join(reasons))]


def _confounded(runs: Sequence[Run], keys: Sequence[str]) -> Mark:
    """Return the mark that names the first keys in which runs differ, with their values."""
    shown: list[str] = []
    for key in keys[:_SHOWN_KEYS]:
        values = {str(run.config.get(key)) for run in runs}
        shown.append(f"{key} {' | '.join(sorted(values))}")
    return Mark(Code.CONFOUNDED, str(Code.CONFOUNDED), ", ".join(shown))


def _marks(
    table: TableRows,
    runs: Sequence[Run],
    values: Mapping[int, float],
    collapsed: tuple[int, int] | None,
) -> list[Mark]:
    """Return what is to be known of a row by itself."""
    marks: list[Mark] = []
    diverged = sum(run.outcome == "diverged" for run in runs)
    if diverged:
        marks.append(counted(Code.DIVERGED, diverged, len(runs)))

    # Results without an evaluation, and evaluations that are no number, are no part of n.
    results = [run for run in runs if is_ok(run)]
    missing = sum(run.seed not in values for run in results)
    if missing:
        what = f"no {table.protocol} of the {table.network} encoder"
        marks.append(counted(Code.NOT_JUDGED, missing, len(results), what))
    not_finite = sum(not math.isfinite(value) for value in values.values())
    if not_finite:
        marks.append(counted(Code.NOT_FINITE, not_finite, len(results)))

    if collapsed is not None and collapsed[0]:
        code = Code.COLLAPSED if collapsed[0] == collapsed[1] else Code.SPLIT
        marks.append(counted(code, *collapsed))

    # A run that went on with another trainer or machine is not quite the run that was asked for.
    inexact = sum(not run.exact for run in runs)
    if inexact:
        marks.append(counted(Code.INEXACT, inexact, len(runs)))
    if _seeds_are_dead(results):
        marks.append(Mark(Code.DEAD_SEED, str(Code.DEAD_SEED)))
    return marks


def _seeds_are_dead(runs: Sequence[Run]) -> bool:
    """Tell whether several seeds gave the same numbers to the last digit."""
    finals = [run.final for run in runs if run.final]
    if len(finals) < 2:
        return False
    return all(final == finals[0] for final in finals)


def _means(finals: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each sign over the runs that have it as a number."""
    means: dict[str, float] = {}
    for name in sorted(set[str]().union(*finals)):
        values = [final[name] for final in finals if math.isfinite(final.get(name, math.nan))]
        if values:
            means[name] = math.fsum(values) / len(values)
    return means
