"""Finds the runs that may stand in one table: equal in everything that the table does not vary.

A run's setting is its config without the table's axes, the row's companion keys and the seed, plus
the data's content, the trainer's semantics and the version of the table's protocol. Keys that are
null have no effect on that run, so they agree with any value: a random encoder, which has no
optimizer, belongs to every setting with its encoder and images. A key that is absent says that the
run was made as before there was such a key, and agrees with no value. A run that no version has
judged, as it goes on or has failed, belongs to the runs that agree with it, whichever judged those.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from analysis.papers.rows import TableRow, TableRows
from analysis.results.runs import Run
from byol_core.protocols import PROTOCOLS
from orchestrator.database.schema import State

Values = Mapping[str, Any]
_Place = tuple[TableRow, Run, Values]
"""A run of a table, its row and its setting."""
_Request = tuple[bool, float, str]
"""Whether a sweep that feeds the table asks for a run, when it was launched, and its label."""
_ABSENT = object()
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
}
"""The values that people look for first, and how they are written; dotted key → format."""


@dataclass
class Setting:
    """One setting of a table and the runs that share it.

    Attributes:
        values: of the first run, which made it.
        members: row key → runs.
        feeds: whether a sweep that lists the table asked for them.
        launched_at: when the newest such sweep, or else the newest of any, was launched; 0 without.
        sweep: that sweep's label.
        has_result: whether a run that belongs to no other setting is done.
        version: of the table's protocol; numbers of two versions never meet.
    """

    values: Values
    feeds: bool
    launched_at: float
    sweep: str
    has_result: bool = False
    members: dict[str, list[Run]] = field(default_factory=dict)
    version: int = 1

    @property
    def id(self) -> str:
        """A short name, which is stable while the values are."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def source(self) -> str:
        """The sweep and the day of its launch, as people read it."""
        if not self.launched_at:
            return self.sweep
        return f"{self.sweep}, {datetime.fromtimestamp(self.launched_at):%Y-%m-%d}"

    def is_complete(self) -> bool:
        """Tell whether every run is done."""
        states = {run.state for runs in self.members.values() for run in runs}
        return states == {State.COMPLETED}

    def summary_text(self) -> str:
        """Return the values that people look for first."""
        shown: list[str] = []
        for key, phrase in _PHRASES.items():
            value = self.values.get(key)
            if value not in (None, 0):
                shown.append(phrase.format(value))
        return ", ".join(shown)

    def note_request(self, request: _Request) -> None:
        """Keep a request if it is newer, or the first of a sweep that feeds the table."""
        if request > (self.feeds, self.launched_at, self.sweep):
            self.feeds, self.launched_at, self.sweep = request

    def unlike(self, other: "Setting") -> dict[str, tuple[Any, Any]]:
        """Return the keys that two settings disagree on; another trainer comes first."""
        keys = sorted({**self.values, **other.values}, key=lambda key: key != "semantics")
        return {
            key: (self.values.get(key), other.values.get(key))
            for key in keys
            if not _agree(self.values.get(key, _ABSENT), other.values.get(key, _ABSENT))
        }


def find_settings(table: TableRows, runs: Sequence[Run]) -> list[Setting]:
    """Sort a table's runs into settings.

    Settings of sweeps that feed the table come first, the newest of them on top. The runs of the
    table's baselines make the settings; runs that agree with none make further ones. What no
    sweep asks for and has no result, such as the rest of a spec that was changed, is left out.
    """
    placed: list[_Place] = []
    for run in runs:
        row = table.row_of(run.config)
        if row is not None:
            placed.append((row, run, values_of(table, row, run)))

    # Older versions of the protocol first: a run that none has judged stays with those that it was
    # trained with, and only one that is with none of them waits for the newest version.
    known = {version for _, run, _ in placed for version in run.judged_by.get(table.protocol, ())}
    newest = max({PROTOCOLS.get(table.protocol, 1), *known})
    settings: list[Setting] = []
    at_home: set[str] = set()
    for version in sorted(known - {newest}):
        older = [each for each in _settings_of(table, placed, version) if _is_judged(each, table)]
        at_home |= {run.run_id for each in older for run in _runs_of(each)}
        settings += older
    for each in _settings_of(table, placed, newest):
        waits = any(run.run_id not in at_home for run in _runs_of(each))
        if waits or _is_judged(each, table):
            settings.append(each)
    shown = [setting for setting in settings if setting.launched_at or setting.has_result]
    return sorted(shown, key=lambda each: (not each.feeds, -each.launched_at, -each.version))


def _settings_of(table: TableRows, placed: Sequence[_Place], version: int) -> list[Setting]:
    """Sort the runs that a version of the table's protocol has judged, or none has yet."""

    def baselines_first(place: _Place) -> tuple[bool, int]:
        row, _, values = place
        return row.key not in table.baselines, -_weight(values)

    places: list[_Place] = []
    for row, run, values in placed:
        if version in run.judged_by.get(table.protocol, {version}):
            places.append((row, run, {**values, f"{table.protocol}_version": version}))

    # The runs with the most values make the settings; runs with nulls then join all that they fit.
    settings = _Settings()
    for row, run, values in sorted(places, key=baselines_first):
        request = _newest_request(table, run)
        homes = settings.compatible_with(values)
        if not homes:
            homes = [settings.add(Setting(values, *request, version=version))]
        for setting in homes:
            setting.members.setdefault(row.key, []).append(run)

        # A run that belongs to several settings makes none of them newer, and is no own result.
        if len(homes) == 1:
            homes[0].note_request(request)
            homes[0].has_result |= run.state == State.COMPLETED
    return settings.all


def _runs_of(setting: Setting) -> Iterator[Run]:
    for runs in setting.members.values():
        yield from runs


def _is_judged(setting: Setting, table: TableRows) -> bool:
    """Tell whether a run of a setting was judged by the table's protocol."""
    return any(run.judged_by.get(table.protocol) for run in _runs_of(setting))


_Shape = tuple[frozenset[str], frozenset[str]]
"""The keys that have a value, and those that are null."""

_Projection = tuple[Any, ...]
"""The values that must be equal for two settings to be compatible."""


class _Settings:
    """Holds settings and finds them by their values.

    A sweep of a learning rate makes hundreds, and each run would be compared with all. Between two
    shapes the keys that must be equal are known, so settings of one shape lie in a dictionary for
    each other shape.
    """

    def __init__(self) -> None:
        self.all: list[Setting] = []
        self._by_shapes: dict[tuple[_Shape, _Shape], dict[_Projection, list[int]]] = {}
        self._shapes: dict[_Shape, list[int]] = {}

    def add(self, setting: Setting) -> Setting:
        """Keep a setting, and return it."""
        number = len(self.all)
        shape = _shape_of(setting.values)
        self.all.append(setting)
        self._shapes.setdefault(shape, []).append(number)

        # Indexes that were made before this setting came must hold it too.
        for (own, other), index in self._by_shapes.items():
            if own == shape:
                index.setdefault(_projection(setting.values, own, other), []).append(number)
        return setting

    def compatible_with(self, values: Values) -> list[Setting]:
        """Return those that `compatible` accepts, in the order in which they were added."""
        shape = _shape_of(values)
        numbers: list[int] = []
        for own in self._shapes:
            index = self._index(own, shape)
            numbers += index.get(_projection(values, own, shape), ())
        return [self.all[number] for number in sorted(numbers)]

    def _index(self, own: _Shape, other: _Shape) -> dict[_Projection, list[int]]:
        """Return the settings of one shape by the values that another shape compares."""
        if (own, other) not in self._by_shapes:
            index: dict[_Projection, list[int]] = {}
            for number in self._shapes[own]:
                key = _projection(self.all[number].values, own, other)
                index.setdefault(key, []).append(number)
            self._by_shapes[own, other] = index
        return self._by_shapes[own, other]


def _shape_of(values: Values) -> _Shape:
    null = frozenset([key for key, value in values.items() if value is None])
    return frozenset(values) - null, null


def _projection(values: Values, shape: _Shape, other: _Shape) -> _Projection:
    """Return the values that two settings of these shapes must share.

    An absent key is equal to nothing, since the other setting has it.
    """
    projection: list[Any] = []
    for key in _compared(shape, other):
        value = values.get(key, _ABSENT)
        projection.append(tuple(value) if isinstance(value, list) else value)
    return tuple(projection)


@cache
def _compared(shape: _Shape, other: _Shape) -> list[str]:
    """Return the keys that one of two shapes has a value for, and none has as null."""
    valued, null = shape
    other_valued, other_null = other
    return sorted((valued | other_valued) - null - other_null)


def values_of(table: TableRows, row: TableRow, run: Run) -> dict[str, Any]:
    """Return a run's setting in this table."""
    values = dict(run.config)

    # A companion key is set by the row: as null, it agrees with any setting.
    for key in run.config.keys() & row.companions:
        values[key] = None
    for key in (*table.axes, "seed"):
        values.pop(key, None)
    fingerprint, split, semantics = run.data
    return values | {"data": fingerprint, "split": split, "semantics": semantics}


def compatible(values: Values, other: Values) -> bool:
    """Tell whether two settings agree wherever both have an effect."""
    keys = values.keys() | other.keys()
    return all(_agree(values.get(key, _ABSENT), other.get(key, _ABSENT)) for key in keys)


def differing_keys(configs: Sequence[Values]) -> list[str]:
    """Return the keys, other than the seed, in which the configs of one cell differ."""
    differing: list[str] = []
    for key in sorted(set[str]().union(*configs) - {"seed"}):
        values = {json.dumps(config.get(key)) for config in configs}
        if len(values) > 1:
            differing.append(key)
    return differing


def _agree(value: Any, other: Any) -> bool:
    return value is None or other is None or value == other


def _weight(values: Values) -> int:
    """Count the values that are not null."""
    return sum(value is not None for value in values.values())


def _newest_request(table: TableRows, run: Run) -> _Request:
    """Return the newest request of a sweep that feeds the table, else of any."""
    if table.id in run.fed:
        return (True, *run.fed[table.id])
    return False, run.launched_at, next(iter(run.sweeps), "no sweep")
