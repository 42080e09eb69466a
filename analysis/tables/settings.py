"""Sorts a table's runs into settings: what they share beside its axes, its companions and the seed.

A setting is the merged value over all rows. For each key, the rows that have a value must agree; a
row for which a key has no effect agrees with any. Where rows disagree there are two settings, and a
row that lacks runs in one of them is told of those in the other.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analysis.papers.rows import TableRow, TableRows
from analysis.results.runs import Run
from analysis.results.sweeps import SweepAsked
from analysis.tables.setting_index import SettingIndex, Values, agree, differing_keys, unlike
from byol_core.protocols import PROTOCOLS
from orchestrator.database.schema import State

_SHORTENS = ("epochs", "dataset.limit")
"""Keys with which `--set` makes a trial of a sweep: such a sweep never takes over a table."""
_PHRASES = {
    "dataset.name": "{}",
    "dataset.limit": "{} images",
    "dataset.side": "{} px",
    "encoder.arch": "{}",
    "encoder.stem": "{}",
    "epochs": "{} epochs",
    "batch_size": "batch {}",
    "optimizer.name": "{}",
    "optimizer.lr": "lr {}",
    "encoder.norm": "encoder norm {}",
    "projector.norm": "projector norm {}",
    "predictor.norm": "predictor norm {}",
}
"""The values that people look for first, and how they are written; dotted key → format."""
_UNSAID = {"encoder.norm": "bn", "projector.norm": "bn", "predictor.norm": "bn"}
"""Values that go without saying."""


@dataclass(frozen=True)
class Group:
    """Runs of one row that share all but the seed and what the table itself varies."""

    row: TableRow
    values: Values
    runs: list[Run]

    @property
    def weight(self) -> int:
        """Count the values that are not null."""
        return len(self.values) - [*self.values.values()].count(None)


@dataclass
class Setting:
    """One setting of a table and the runs that share it.

    Attributes:
        identity: the values that tell it from others, which no later run changes.
        values: merged over all rows.
        groups: the runs, by rows.
        version: of the table's protocol; numbers of two versions never meet.
        feeds: whether a sweep that lists the table, and trains as its spec says, asked for them.
        launched_at: when the newest such sweep, or else the newest of any, was launched; 0 without.
        sweep: that sweep's label.
        has_result: whether a run that belongs to no other setting is done.
    """

    identity: Values
    values: dict[str, Any]
    groups: list[Group]
    version: int = 1
    feeds: bool = False
    launched_at: float = 0.0
    sweep: str = "no sweep"
    has_result: bool = False

    @property
    def id(self) -> str:
        """A short name, which is stable while the values are."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def source(self) -> str:
        """The sweep and the day of its launch, as people read it."""
        if not self.launched_at:
            return self.sweep
        return f"{self.sweep}, {datetime.fromtimestamp(self.launched_at):%Y-%m-%d}"

    @property
    def members(self) -> dict[str, list[Run]]:
        """The runs, by the keys of their rows."""
        by_row: dict[str, list[Run]] = {}
        for group in self.groups:
            by_row.setdefault(group.row.key, []).extend(group.runs)
        return by_row

    def runs(self) -> Iterator[Run]:
        """Yield all runs."""
        for group in self.groups:
            yield from group.runs

    def is_complete(self) -> bool:
        """Tell whether every run is done."""
        return {run.state for run in self.runs()} == {State.COMPLETED}

    def summary_text(self) -> str:
        """Return the values that people look for first."""
        return summary_of(self.values)

    def unlike(self, other: "Setting") -> dict[str, tuple[Any, Any]]:
        """Return the keys that two settings disagree on; another trainer comes first."""
        return unlike(self.values, other.values)


def summary_of(values: Values) -> str:
    """Return those of some values that people look for first."""
    shown: list[str] = []
    for key, phrase in _PHRASES.items():
        value = values.get(key)
        if value not in (None, 0, _UNSAID.get(key)) and not isinstance(value, Mapping):
            shown.append(phrase.format(value))
    return ", ".join(shown)


def find_settings(
    table: TableRows, runs: Sequence[Run], sweeps: Sequence[SweepAsked] = ()
) -> list[Setting]:
    """Sort a table's runs into settings.

    Settings of sweeps that feed the table come first, the newest of them on top. The runs of the
    table's baselines make the settings; runs that agree with none make further ones. What no
    sweep asks for and has no result, such as the rest of a spec that was changed, is left out.
    """
    groups = _groups(table, runs)
    known: set[int] = set()
    for run in _runs_of(groups):
        known |= run.judged_by.get(table.protocol, frozenset())

    # Older versions of the protocol first: a run that none has judged stays with those that it was
    # trained with, and only one that is with none of them waits for the newest version.
    newest = max({PROTOCOLS.get(table.protocol, 1), *known})
    settings: list[Setting] = []
    at_home: set[str] = set()
    for version in sorted(known - {newest}):
        older = [each for each in _at_version(table, groups, version) if _is_judged(each, table)]
        for each in older:
            at_home |= {run.run_id for run in each.runs()}
        settings += older
    for each in _at_version(table, groups, newest):
        waits = any(run.run_id not in at_home for run in each.runs())
        if waits or _is_judged(each, table):
            settings.append(each)

    _note_requests(table, settings, sweeps)
    shown = [setting for setting in settings if setting.launched_at or setting.has_result]
    return sorted(shown, key=_newest_first)


def values_of(table: TableRows, row: TableRow, config: Values) -> dict[str, Any]:
    """Return what a config of a row is in this table, beside its axes and the seed."""
    values = dict(config)

    # A companion key is set by the row: as null, it agrees with any setting.
    for key in config.keys() & row.companions:
        values[key] = None
    for key in (*table.axes, "seed"):
        values.pop(key, None)
    return values


def _newest_first(setting: Setting) -> tuple[bool, int, float, int, int]:
    """Order settings: the newest sweep's that was made for the table, and of that the fullest.

    Where no sweep was made for it, runs of others fit some rows: then the fullest stands first.
    """
    rows = len(setting.members)
    fullness = 0 if setting.feeds else rows
    return not setting.feeds, -fullness, -setting.launched_at, -setting.version, -rows


def _groups(table: TableRows, runs: Sequence[Run]) -> list[Group]:
    """Return the runs that have a row, those of a row together that share their values."""
    by_values: dict[tuple[str, str], Group] = {}
    by_config: dict[tuple[int, tuple[str, str, int]], Group | None] = {}
    for run in runs:
        # The runs of a variant share one mapping, so its row and values are found once.
        known = (id(run.config), run.data)
        if known not in by_config:
            by_config[known] = _group_of(table, run, by_values)
        group = by_config[known]
        if group is not None:
            group.runs.append(run)
    return [*by_values.values()]


def _group_of(table: TableRows, run: Run, by_values: dict[tuple[str, str], Group]) -> Group | None:
    """Return the group that a run belongs to, a new one where it is the first; None without a row."""
    row = table.row_of(run.config)
    if row is None:
        return None
    fingerprint, split, semantics = run.data
    values = values_of(table, row, run.config)
    values |= {"data": fingerprint, "split": split, "semantics": semantics}
    key = (row.key, json.dumps(values, sort_keys=True))
    return by_values.setdefault(key, Group(row, values, []))


def _runs_of(groups: Sequence[Group]) -> Iterator[Run]:
    for group in groups:
        yield from group.runs


def _is_judged(setting: Setting, table: TableRows) -> bool:
    """Tell whether a run of a setting was judged by the table's protocol."""
    return any(run.judged_by.get(table.protocol) for run in setting.runs())


def _at_version(table: TableRows, groups: Sequence[Group], version: int) -> list[Setting]:
    """Sort the runs that a version of the table's protocol has judged, or none has yet."""
    judged: list[Group] = []
    for group in groups:
        runs = [run for run in group.runs if version in _versions(table, run, version)]
        if runs:
            values = {**group.values, f"{table.protocol}_version": version}
            judged.append(Group(group.row, values, runs))

    # The groups with the most values make the settings, those of baselines before all others.
    def baselines_first(group: Group) -> tuple[bool, int]:
        return group.row.key not in table.baselines, -group.weight

    index = SettingIndex(differing_keys([group.values for group in judged]))
    homes: dict[int, list[Group]] = {}
    for group in sorted(judged, key=baselines_first):
        numbers = index.compatible_with(group.values) or [index.add(group.values)]
        for number in numbers:
            homes.setdefault(number, []).append(group)

    settings: list[Setting] = []
    for number, base in enumerate(index.all):
        settings += _where_rows_agree(base, homes[number], version)
    _note_results(settings)
    return settings


def _versions(table: TableRows, run: Run, version: int) -> frozenset[int]:
    """Return the versions that have judged a run; where none has, the one that is asked for."""
    return run.judged_by.get(table.protocol, frozenset({version}))


def _where_rows_agree(base: Values, groups: Sequence[Group], version: int) -> list[Setting]:
    """Divide groups that all agree with a baseline, and not all with each other.

    Keys without effect on the baseline, such as a temperature, may have values in other rows.
    """
    choices: list[dict[str, Any]] = []
    for group in sorted(groups, key=lambda group: -group.weight):
        own = _contested(base, group.values, groups)
        if not own and choices:
            continue
        fitting = [choice for choice in choices if agree(choice, own)]
        for choice in fitting:
            choice |= own
        if not fitting:
            choices.append(own)

    settings: list[Setting] = []
    for choice in choices:
        members = [group for group in groups if agree(choice, group.values)]
        merged: dict[str, Any] = dict(base)
        for group in members:
            merged |= {key: value for key, value in group.values.items() if value is not None}
        settings.append(Setting({**base, **choice}, merged, members, version))
    return settings


def _contested(base: Values, values: Values, groups: Sequence[Group]) -> dict[str, Any]:
    """Return a group's values in the keys on which the base says nothing and groups disagree."""
    own: dict[str, Any] = {}
    for key, value in values.items():
        if value is None or base.get(key) is not None:
            continue
        others = [group.values.get(key) for group in groups]
        if any(other is not None and other != value for other in others):
            own[key] = value
    return own


def _note_results(settings: Sequence[Setting]) -> None:
    """Note which settings have a result of their own: of a run that belongs to no other."""
    homes: dict[str, int] = {}
    for setting in settings:
        for run in setting.runs():
            homes[run.run_id] = homes.get(run.run_id, 0) + 1
    for setting in settings:
        own = [run for run in setting.runs() if homes[run.run_id] == 1]
        setting.has_result = any(run.state == State.COMPLETED for run in own)


def _note_requests(
    table: TableRows, settings: Sequence[Setting], sweeps: Sequence[SweepAsked]
) -> None:
    """Note the newest sweep that asks for a setting; one that feeds the table comes first."""
    homes: dict[str, list[Setting]] = {}
    for setting in settings:
        for run in setting.runs():
            homes.setdefault(run.run_id, []).append(setting)

    for sweep in sweeps:
        request = (feeds(sweep, table), sweep.launched_at, sweep.label)
        for setting in _asked_for(sweep, homes):
            if request > (setting.feeds, setting.launched_at, setting.sweep):
                setting.feeds, setting.launched_at, setting.sweep = request


def _asked_for(sweep: SweepAsked, homes: Mapping[str, Sequence[Setting]]) -> list[Setting]:
    """Return the settings of a sweep's runs.

    A run that belongs to several makes none of them newer, unless the sweep has no other runs.
    """
    alone: dict[int, Setting] = {}
    shared: dict[int, Setting] = {}
    for run_id in sweep.runs.values():
        settings = homes.get(run_id, ())
        for setting in settings:
            (alone if len(settings) == 1 else shared)[id(setting)] = setting
    return [*(alone or shared).values()]


def feeds(sweep: SweepAsked, table: TableRows) -> bool:
    """Tell whether a sweep was made for a table, and trains as long as its spec says."""
    return table.id in sweep.tables and not any(key in sweep.overrides for key in _SHORTENS)
