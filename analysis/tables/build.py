"""Rebuilds a table for one setting: which runs, which lines, and what is said of all of them.

A number is printed only from runs that are equal in setting, data and trainer semantics. Where a
row's runs differ in anything but the seed, the line is marked confounded and holds no number.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from analysis.errors import AnalysisError
from analysis.papers.nearest import nearest
from analysis.papers.rows import TableRows
from analysis.results.runs import Run
from analysis.results.sweeps import SweepAsked
from analysis.tables.asked import asked_seeds
from analysis.tables.compare import compare
from analysis.tables.line import Line, line_of
from analysis.tables.marks import Code, Mark
from analysis.tables.setting_index import unlike
from analysis.tables.settings import Setting, find_settings

_SHOWN_KEYS = 3
WithResults = Callable[[Sequence[Run]], Sequence[Run]]


class UnknownSettingError(AnalysisError):
    """This table has no setting of that name, or several."""


class UnknownSweepError(AnalysisError):
    """No sweep of that name has runs here."""


@dataclass(frozen=True)
class Table:
    """A table for one setting.

    Attributes:
        rows: its definition.
        setting: None while there are no runs.
        others: settings that it could be shown for too.
        lines: in the order of the definition.
        rounding: the step in which its metric moves, 1 / test images; 0 where it is not known.
        fuller: the setting with results to look at instead, where the newest is shown and has none.
    """

    rows: TableRows
    setting: Setting | None
    others: Sequence[Setting]
    lines: Sequence[Line]
    rounding: float = 0.0
    fuller: Setting | None = None

    @property
    def unknown_data(self) -> str:
        """The sentence that our data may be the published or not; empty where this is known."""
        if self.setting is None:
            return ""
        return self.rows.unknown_data(self.setting.values)


def build(
    rows: TableRows,
    runs: Sequence[Run],
    with_results: WithResults,
    setting: str | None = None,
    sweeps: Sequence[SweepAsked] = (),
) -> Table:
    """Rebuild a table.

    Args:
        rows: its definition.
        runs: of any table and setting, without results.
        with_results: fills in those of the runs that are shown.
        setting: id (or its first digits) of the setting to show; the newest where None.
        sweeps: what sweeps ask for, newest first.

    Raises:
        UnknownSettingError: none starts like that, or several do.
    """
    settings = find_settings(rows, runs, sweeps)
    if not settings and setting is None:
        return Table(rows, None, [], [line_of(rows, row, [], 1) for row in rows.rows.values()])

    # Results are read for the runs of one setting only.
    chosen = _choose(rows, settings, setting)
    wanted = asked_seeds(rows, chosen, sweeps)
    members = {key: with_results(of_row) for key, of_row in chosen.members.items()}
    rounding = rounding_of(members.values())
    lines: dict[str, Line] = {}
    for key, row in rows.rows.items():
        seeds = wanted.get(key, ())
        line = line_of(rows, row, members.get(key, []), chosen.version, seeds, rounding)
        lines[key] = line if line.runs else _pointing_elsewhere(line, chosen, settings)

    others = [other for other in settings if other is not chosen]
    fuller = _fuller(settings) if chosen is settings[0] else None
    return Table(rows, chosen, others, compare(rows, lines, rounding), rounding, fuller)


def runs_of(sweeps: Sequence[str], runs: Sequence[Run]) -> list[Run]:
    """Return the runs of these sweeps.

    An exact label means that sweep alone; else a spec's name stands for all its labels.

    Raises:
        UnknownSweepError: a sweep has no runs.
    """
    labels = sorted(set[str]().union(*[run.sweeps for run in runs]))
    wanted = set(matching_labels(sweeps, labels))
    return [run for run in runs if not wanted.isdisjoint(run.sweeps)]


def matching_labels(sweeps: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return the labels that names of sweeps stand for.

    Raises:
        UnknownSweepError: a name stands for none.
    """
    wanted: list[str] = []
    for name in sweeps:
        matching = [name] if name in labels else _labels_of_spec(name, labels)
        if not matching:
            raise UnknownSweepError(
                f"no sweep is called {name!r}; {nearest(name, labels, 'sweeps')}"
            )
        wanted += matching
    return wanted


def _labels_of_spec(name: str, labels: Sequence[str]) -> list[str]:
    """Return the labels that a spec of this name has made; they read NAME@PROFILE+OVERRIDES."""
    return [label for label in labels if name == label.partition("@")[0].partition("+")[0]]


def _choose(rows: TableRows, settings: Sequence[Setting], wanted: str | None) -> Setting:
    """Return the setting that is asked for: the first, or that whose id starts like the word."""
    if wanted is None:
        return settings[0]
    fitting = [setting for setting in settings if wanted and setting.id.startswith(wanted)]
    if len(fitting) == 1:
        return fitting[0]
    texts = [f"{setting.id} ({setting.source})" for setting in fitting or settings]
    known = "; ".join(texts) or "none yet"
    if fitting:
        raise UnknownSettingError(
            f"table {rows.id}: {wanted!r} begins {len(fitting)} settings; write more of one: {known}"
        )
    raise UnknownSettingError(f"table {rows.id} has no setting {wanted!r}; settings: {known}")


def rounding_of(members: Iterable[Sequence[Run]]) -> float:
    """Return the step in which a table's accuracies move, from the smallest count of test images."""
    counts = [run.test_images for runs in members for run in runs if run.test_images]
    return 1 / min(counts) if counts else 0.0


def _fuller(settings: Sequence[Setting]) -> Setting | None:
    """Return the setting to look at while the newest has no result: a complete one, if any."""
    newest, *older = settings
    filled = [setting for setting in older if setting.has_result]
    if newest.has_result or not filled:
        return None
    return max(filled, key=lambda setting: (setting.is_complete(), len(setting.members)))


def _pointing_elsewhere(line: Line, chosen: Setting, settings: Sequence[Setting]) -> Line:
    """Return an absent line with the mark of the nearest runs of its row, if there are any."""
    nearest_keys: dict[str, tuple[object, object]] | None = None
    nearest_id = ""
    for setting in settings:
        for group in setting.groups:
            if group.row.key == line.row.key and setting is not chosen:
                keys = unlike(group.values, chosen.values)
                if nearest_keys is None or len(keys) < len(nearest_keys):
                    nearest_keys = keys
                    nearest_id = setting.id
    if not nearest_keys:
        return line

    # The row stays without a number: its runs are of another setting.
    pairs = [f"{key} {own} for {other}" for key, (own, other) in nearest_keys.items()]
    more = len(pairs) - _SHOWN_KEYS
    shown = ", ".join(pairs[:_SHOWN_KEYS]) + (f" and {more} keys more" if more > 0 else "")
    shown += f" (--setting {nearest_id})"
    return replace(line, marks=[*line.marks, Mark(Code.DIFFERS, str(Code.DIFFERS), shown)])
