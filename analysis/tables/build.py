"""A paper's table rebuilt: one line per row, our numbers beside the published ones, every line with
a state.

A number is printed only from runs that are equal in setting, data and trainer semantics. Where a
row's runs differ in anything but the seed, the line is marked confounded and holds no number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from analysis.papers.rows import TableRow, TableRows
from analysis.results.runs import Run
from analysis.tables.collapse import is_collapsed
from analysis.tables.settings import Setting, differing_keys, find_settings
from analysis.tables.stats import Difference, Summary, holm, paired_difference, summarize

_ENDED_BADLY = {"FAILED", "OOM", "TIMEOUT", "LOST", "CANCELLED", "PREEMPTED"}
_MIXABLE = ("commit", "dirty", "device", "python", "torch", "torchvision", "numpy", "scikit-learn")


WithResults = Callable[[Sequence[Run]], Sequence[Run]]


class UnknownSettingError(Exception):
    """No setting of that name in this table."""


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
        state: `done 3/3`, `partial 2/3`, `running 1/3`, `failed 0/3`, `stopped 0/3`, `waiting 0/3`
            or `absent`.
        marks: what a reader must know: `confounded: …`, `diverged 1/3`, `mixed: …`.
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
    """

    rows: TableRows
    setting: Setting | None
    others: Sequence[Setting]
    lines: Sequence[Line]

    @property
    def when(self) -> str:
        """The day on which the setting's newest sweep was launched."""
        return (
            datetime.fromtimestamp(self.setting.launched_at).strftime("%Y-%m-%d")
            if self.setting
            else ""
        )


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
        _check_sweeps(runs, sweeps)
        runs = [run for run in runs if any(_is_of(label, sweeps) for label in run.sweeps)]
    settings = find_settings(rows, runs)
    if not settings and setting is None:
        return Table(rows, None, [], [Line(row) for row in rows.rows.values()])
    chosen = _choose(rows, settings, setting)
    lines = {
        key: _line(rows, row, with_results(chosen.members.get(key, [])))
        for key, row in rows.rows.items()
    }
    return Table(
        rows, chosen, [one for one in settings if one is not chosen], _compare(rows, lines)
    )


def _check_sweeps(runs: Sequence[Run], sweeps: Sequence[str]) -> None:
    known = sorted({label for run in runs for label in run.sweeps})
    for name in sweeps:
        if not any(_is_of(label, [name]) for label in known):
            raise UnknownSweepError(
                f"no sweep is called {name!r}; sweeps: {', '.join(known) or 'none yet'}"
            )


def _is_of(label: str, sweeps: Sequence[str]) -> bool:
    return any(name in (label, label.partition("@")[0].partition("+")[0]) for name in sweeps)


def _choose(rows: TableRows, settings: Sequence[Setting], wanted: str | None) -> Setting:
    if wanted is None:
        return settings[0]
    for one in settings:
        if one.id.startswith(wanted):
            return one
    known = "; ".join(f"{one.id} ({one.summary_text()})" for one in settings) or "none yet"
    raise UnknownSettingError(f"table {rows.id} has no setting {wanted!r}; settings: {known}")


def _line(table: TableRows, row: TableRow, runs: Sequence[Run]) -> Line:
    if not runs:
        return Line(row)
    differing = differing_keys([run.config for run in runs])
    if differing:
        return Line(row, state=_state(runs), marks=[_confounded(runs, differing)])
    runs = sorted(runs, key=lambda run: run.seed)
    measured = [(run, value) for run in runs if (value := _value(table, run)) is not None]
    values = {run.seed: value for run, value in measured}
    judged = [verdict for run in runs if (verdict := _verdict(run)) is not None]
    return Line(
        row,
        values=values,
        run_ids=[run.run_id for run, _ in measured],
        summary=summarize([*values.values()]),
        state=_state(runs),
        marks=_marks(runs),
        collapsed=(sum(judged), len(judged)) if judged else None,
        own={key: runs[0].config[key] for key in row.companions},
        final=_means(
            [run.final for run in runs if run.state == "COMPLETED" and run.outcome == "ok"]
        ),
    )


def _value(table: TableRows, run: Run) -> float | None:
    if run.state != "COMPLETED" or run.outcome != "ok":
        return None
    wanted = [
        (version, value)
        for (protocol, version, network, name), value in run.evaluations.items()
        if (protocol, network, name) == (table.protocol, table.network, table.metric)
    ]
    return float(max(wanted)[1]) if wanted else None


def _verdict(run: Run) -> bool | None:
    return is_collapsed(run.final) if run.state == "COMPLETED" else None


def _state(runs: Sequence[Run]) -> str:
    done = sum(run.state == "COMPLETED" for run in runs)
    states = {run.state for run in runs}
    count = f"{done}/{len(runs)}"
    if done == len(runs):
        return f"done {count}"
    if "RUNNING" in states:
        return f"running {count}"
    if done:
        return f"partial {count}"
    if states & _ENDED_BADLY:
        return f"failed {count}"
    return f"stopped {count}" if "STOPPED" in states else f"waiting {count}"


def _marks(runs: Sequence[Run]) -> list[str]:
    marks = []
    diverged = sum(run.outcome == "diverged" for run in runs)
    if diverged:
        marks.append(f"diverged {diverged}/{len(runs)}")
    origins = [run.origin for run in runs if run.origin]
    mixed = [name for name in _MIXABLE if len({str(origin.get(name)) for origin in origins}) > 1]
    if mixed:
        marks.append("mixed: " + ", ".join(mixed))
    return marks


def _confounded(runs: Sequence[Run], keys: Sequence[str]) -> str:
    shown = [
        f"{key} {' | '.join(sorted({str(run.config.get(key)) for run in runs}))}"
        for key in keys[:3]
    ]
    return "confounded: " + ", ".join(shown)


def _means(finals: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = {name for final in finals for name in final}
    return {name: sum(final[name] for final in finals) / len(finals) for name in sorted(names)}


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
    found = {
        key: line.difference.p
        for key, line in compared.items()
        if line.difference and line.difference.p is not None
    }
    adjusted = holm({key: p for key, p in found.items() if p is not None})
    return [replace(line, p_holm=adjusted.get(key)) for key, line in compared.items()]
