"""Rebuilds a paper's table: one line per row, with our numbers, the published ones and a state.

A number is printed only from runs that are equal in setting, data and trainer semantics. Where a
row's runs differ in anything but the seed, the line is marked confounded and holds no number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.papers.nearest import nearest
from analysis.papers.rows import TableRow, TableRows
from analysis.results.runs import Run
from analysis.tables.collapse import is_collapsed
from analysis.tables.settings import Setting, differing_keys, find_settings
from analysis.tables.stats import Difference, Summary, holm, paired_difference, summarize
from orchestrator.database.schema import State

_ENDED_BADLY = {
    State.FAILED,
    State.OOM,
    State.TIMEOUT,
    State.LOST,
    State.CANCELLED,
    State.PREEMPTED,
}
EXCLUDED = "excluded"
"""The first word of the mark of runs that people left out."""
NOT_JUDGED = "no"
"""The first word of the mark of results without an evaluation; that of the protocol follows."""
_MIXABLE = (
    "trainer code",
    "device",
    "device model",
    "processor capability",
    "python",
    "torch",
    "torchvision",
    "numpy",
    "scikit-learn",
)

WithResults = Callable[[Sequence[Run]], Sequence[Run]]


class UnknownSettingError(Exception):
    """This table has no setting of that name."""


class UnknownSweepError(Exception):
    """No sweep of that name has runs here."""


@dataclass(frozen=True)
class Line:
    """One row of a table, rebuilt.

    Attributes:
        row: the row.
        values: seed → value of the table's metric.
        run_ids: of those runs, in the order of the seeds.
        summary: of the values.
        difference: from the baseline of the row's method, seed by seed.
        p_holm: of the difference, adjusted over the table.
        state: `done 3/3`, `partial 2/3`, `running 1/3`, `failed 0/3`, `stopped 0/3`, `waiting 0/3`,
            `excluded 0/3`, `absent`, or `not run` where no run can be of the row.
        marks: what a reader must know: `excluded 1/3: …`, `confounded: …`, `diverged 1/3`,
            `inexact 1/3`, `mixed: …`, `no probe 1/3`.
        collapsed: (runs that collapsed, runs that could), None where nothing was trained.
        final: means over the runs of the signs of collapse.
        own: the row's companion keys and the values it ran with.
    """

    row: TableRow
    values: Mapping[int, float] = field(default_factory=dict)
    run_ids: Sequence[str] = ()
    summary: Summary = field(default_factory=lambda: summarize([]))
    baseline: str | None = None
    difference: Difference | None = None
    p_holm: float | None = None
    state: str = "absent"
    marks: Sequence[str] = ()
    collapsed: tuple[int, int] | None = None
    final: Mapping[str, float] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table for one setting.

    Attributes:
        rows: its definition.
        setting: None while there are no runs.
        others: settings that it could be shown for too.
        lines: in the order of the definition.
        fuller: the setting with results to look at instead, where the newest is shown and has none.
    """

    rows: TableRows
    setting: Setting | None
    others: Sequence[Setting]
    lines: Sequence[Line]
    fuller: Setting | None = None


def build(
    rows: TableRows,
    runs: Sequence[Run],
    with_results: WithResults,
    setting: str | None = None,
    sweeps: Sequence[str] = (),
) -> Table:
    """Rebuild a table.

    Args:
        rows: its definition.
        runs: of any table and setting, without results.
        with_results: fills in those of the runs that are shown.
        setting: id (or its first digits) of the setting to show; the newest where None.
        sweeps: use only runs that these sweeps ask for; all where empty.

    Raises:
        UnknownSettingError: none starts like that.
        UnknownSweepError: a sweep has no runs.
    """
    if sweeps:
        runs = runs_of(sweeps, runs)
    settings = find_settings(rows, runs)
    if not settings and setting is None:
        return Table(rows, None, [], [_empty_line(row) for row in rows.rows.values()])

    # Results are read for the runs of one setting only.
    chosen = _choose(rows, settings, setting)
    lines = {
        key: _line(rows, row, with_results(chosen.members.get(key, [])), chosen.version)
        for key, row in rows.rows.items()
    }
    others = [other for other in settings if other is not chosen]
    fuller = _fuller(settings) if chosen is settings[0] else None
    return Table(rows, chosen, others, _compare(rows, lines), fuller)


def runs_of(sweeps: Sequence[str], runs: Sequence[Run]) -> list[Run]:
    """Return the runs of these sweeps.

    An exact label means that sweep alone; else a spec's name stands for all its labels.
    """
    labels = sorted(set[str]().union(*[run.sweeps for run in runs]))
    wanted: set[str] = set()
    for name in sweeps:
        matching = [name] if name in labels else _labels_of_spec(name, labels)
        if not matching:
            raise UnknownSweepError(
                f"no sweep is called {name!r}; {nearest(name, labels, 'sweeps')}"
            )
        wanted.update(matching)
    return [run for run in runs if not wanted.isdisjoint(run.sweeps)]


def _labels_of_spec(name: str, labels: Sequence[str]) -> list[str]:
    """Return the labels that a spec of this name has made; they read NAME@PROFILE+OVERRIDES."""
    return [label for label in labels if name == label.partition("@")[0].partition("+")[0]]


def _choose(rows: TableRows, settings: Sequence[Setting], wanted: str | None) -> Setting:
    if wanted is None:
        return settings[0]
    for setting in settings:
        if setting.id.startswith(wanted):
            return setting
    texts = [f"{setting.id} ({setting.summary_text()})" for setting in settings]
    known = "; ".join(texts) or "none yet"
    raise UnknownSettingError(f"table {rows.id} has no setting {wanted!r}; settings: {known}")


def _fuller(settings: Sequence[Setting]) -> Setting | None:
    """Return the setting to look at while the newest has no result: a complete one, if any."""
    newest, *older = settings
    filled = [setting for setting in older if setting.has_result]
    if newest.has_result or not filled:
        return None
    return max(filled, key=lambda setting: (setting.is_complete(), len(setting.members)))


def _empty_line(row: TableRow) -> Line:
    """Return the line of a row without runs, which there may never be any of."""
    return Line(row, state="not run" if row.not_run else "absent")


def _line(table: TableRows, row: TableRow, runs: Sequence[Run], version: int) -> Line:
    if not runs:
        return _empty_line(row)

    # What people left out counts nowhere but in the mark that says so.
    marks = _exclusion(runs)
    in_row = len(runs)
    runs = [run for run in runs if run.excluded is None]
    if not runs:
        return Line(row, state=f"{EXCLUDED} 0/{in_row}", marks=marks)

    # Runs that differ in more than the seed have no common number.
    differing = differing_keys([run.config for run in runs])
    if differing:
        return Line(row, state=_state(runs), marks=[*marks, _confounded(runs, differing)])

    # Only runs with a value count as n; `values` and `run_ids` are in the order of the seeds.
    runs = sorted(runs, key=lambda run: run.seed)
    values: dict[int, float] = {}
    run_ids: list[str] = []
    for run in runs:
        value = _value(table, run, version)
        if value is not None:
            values[run.seed] = value
            run_ids.append(run.run_id)

    return Line(
        row,
        values=values,
        run_ids=run_ids,
        summary=summarize([*values.values()]),
        state=_state(runs),
        marks=[*marks, *_not_judged(table, runs, version), *_marks(runs)],
        collapsed=_collapsed(runs),
        own={key: runs[0].config[key] for key in row.companions},
        final=_means([run.final for run in runs if _is_ok(run)]),
    )


def _is_ok(run: Run) -> bool:
    """Tell whether a run has completed, with a loss that stayed finite."""
    return run.state == State.COMPLETED and run.outcome == "ok"


def _value(table: TableRows, run: Run, version: int) -> float | None:
    """Return a run's value by that version of the table's protocol; None without one."""
    if not _is_ok(run):
        return None
    return run.evaluations.get((table.protocol, version, table.network, table.metric))


def _collapsed(runs: Sequence[Run]) -> tuple[int, int] | None:
    """Count the runs that collapsed and those that could; None where nothing was trained."""
    verdicts = [is_collapsed(run.final) for run in runs if run.state == State.COMPLETED]
    judged = [verdict for verdict in verdicts if verdict is not None]
    if not judged:
        return None
    return sum(judged), len(judged)


def _state(runs: Sequence[Run]) -> str:
    done = sum(run.state == State.COMPLETED for run in runs)
    states = {run.state for run in runs}
    count = f"{done}/{len(runs)}"

    # The order is important: a row with numbers is partial, even where its other runs failed.
    if done == len(runs):
        return f"done {count}"
    if State.RUNNING in states:
        return f"running {count}"
    if done:
        return f"partial {count}"
    if states & _ENDED_BADLY:
        return f"failed {count}"
    if State.STOPPED in states:
        return f"stopped {count}"
    return f"waiting {count}"


def _exclusion(runs: Sequence[Run]) -> list[str]:
    """Return the mark that counts the runs which people left out, with their reasons."""
    excluded = sorted((run for run in runs if run.excluded is not None), key=lambda run: run.seed)
    if not excluded:
        return []
    seeds_of: dict[str, list[str]] = {}
    for run in excluded:
        seeds_of.setdefault(str(run.excluded), []).append(str(run.seed))
    reasons = [f"{reason} (seed {', '.join(seeds)})" for reason, seeds in seeds_of.items()]
    return [f"{EXCLUDED} {len(excluded)}/{len(runs)}: {' | '.join(reasons)}"]


def _not_judged(table: TableRows, runs: Sequence[Run], version: int) -> list[str]:
    """Return the mark of results whose evaluation is not here, so that they are no part of n."""
    results = [run for run in runs if _is_ok(run)]
    missing = sum(_value(table, run, version) is None for run in results)
    return [f"{NOT_JUDGED} {table.protocol} {missing}/{len(results)}"] if missing else []


def _marks(runs: Sequence[Run]) -> list[str]:
    marks: list[str] = []
    diverged = sum(run.outcome == "diverged" for run in runs)
    if diverged:
        marks.append(f"diverged {diverged}/{len(runs)}")

    # A run that went on with another trainer or machine is not quite the run that was asked for.
    inexact = sum(not run.exact for run in runs)
    if inexact:
        marks.append(f"inexact {inexact}/{len(runs)}")

    # Runs of several trainers, machines or versions are compared, but a reader must know.
    origins = [run.origin for run in runs if run.origin]
    mixed: list[str] = []
    for name in _MIXABLE:
        if len({str(origin.get(name)) for origin in origins}) > 1:
            mixed.append(name)
    if mixed:
        marks.append("mixed: " + ", ".join(mixed))
    return marks


def _confounded(runs: Sequence[Run], keys: Sequence[str]) -> str:
    """Return the mark that names the first keys in which runs differ, with their values."""
    shown: list[str] = []
    for key in keys[:3]:
        values = {str(run.config.get(key)) for run in runs}
        shown.append(f"{key} {' | '.join(sorted(values))}")
    return "confounded: " + ", ".join(shown)


def _means(finals: Sequence[Mapping[str, float]]) -> dict[str, float]:
    means: dict[str, float] = {}
    for name in sorted(set[str]().union(*finals)):
        total = sum(final[name] for final in finals)
        means[name] = total / len(finals)
    return means


def _compare(table: TableRows, lines: Mapping[str, Line]) -> list[Line]:
    """Add differences from the baselines, with p-values adjusted over all of them."""
    compared: dict[str, Line] = {}
    for key, line in lines.items():
        baseline = table.baseline_of(line.row)
        if baseline is None or baseline.key == key:
            compared[key] = line
        else:
            difference = paired_difference(line.values, lines[baseline.key].values)
            compared[key] = replace(line, baseline=baseline.key, difference=difference)

    # Below two seeds there is a difference, but no p-value.
    p_values: dict[str, float] = {}
    for key, line in compared.items():
        if line.difference is not None and line.difference.p is not None:
            p_values[key] = line.difference.p
    adjusted = holm(p_values)
    return [replace(line, p_holm=adjusted.get(key)) for key, line in compared.items()]
