"""Which runs may stand in one table: those that are equal in everything that the table does not
vary.

A run's setting is its config without the table's axes, the row's companion keys and the seed, plus
the data's content and the trainer's semantics. Keys that are null have no effect on that run, so
they agree with any value: a random encoder, which has no optimizer, belongs to every setting with
its encoder and images. A key that is absent says that the run was made as before there was such a
key, and agrees with no value.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from analysis.papers.rows import TableRow, TableRows
from analysis.results.runs import Run

Values = Mapping[str, Any]
_ABSENT = object()
_DESCRIBED = (
    "dataset.name",
    "dataset.limit",
    "dataset.side",
    "encoder.arch",
    "encoder.stem",
    "epochs",
    "batch_size",
    "optimizer.name",
    "optimizer.lr",
)


@dataclass
class Setting:
    """One setting of a table and the runs that share it.

    Attributes:
        values: of the runs it was told from.
        members: row key → runs.
        feeds: whether a sweep that lists the table asked for them.
        launched_at: when such a sweep, or else any, last asked.
        sweep: that sweep's label.
    """

    values: Values
    feeds: bool
    launched_at: float
    sweep: str
    members: dict[str, list[Run]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """A short name, stable while the values are."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()[:8]

    def summary_text(self) -> str:
        """Return the values that people look for first."""
        shown = [(key, self.values.get(key)) for key in _DESCRIBED]
        return ", ".join(_phrase(key, value) for key, value in shown if value not in (None, 0))

    def unlike(self, other: "Setting") -> dict[str, tuple[Any, Any]]:
        """Return the keys that two settings disagree on."""
        return {
            key: (self.values.get(key), other.values.get(key))
            for key in {**self.values, **other.values}
            if not _agree(self.values.get(key, _ABSENT), other.values.get(key, _ABSENT))
        }


def find_settings(table: TableRows, runs: Sequence[Run]) -> list[Setting]:
    """Sort a table's runs into settings: those of sweeps that feed the table first, the newest of
    them on top.

    A setting is told from the runs of the table's baselines; runs that agree with none are told
    apart by themselves.
    """
    placed = [
        (row, run, values_of(table, row, run))
        for run in runs
        if (row := table.row_of(run.config)) is not None
    ]
    in_order = sorted(placed, key=lambda one: (one[0].key not in table.baselines, -_weight(one[2])))
    settings = _Settings()
    for row, run, values in in_order:
        homes = settings.compatible_with(values) or [
            settings.add(Setting(values, *_asked(table, run)))
        ]
        for setting in homes:
            setting.members.setdefault(row.key, []).append(run)
            asked = _asked(table, run)
            if asked > (setting.feeds, setting.launched_at, setting.sweep) and len(homes) == 1:
                setting.feeds, setting.launched_at, setting.sweep = asked
    return sorted(settings.all, key=lambda setting: (not setting.feeds, -setting.launched_at))


_Shape = tuple[frozenset[str], frozenset[str]]
"""The keys that have a value, and those that are null."""

_Projection = tuple[Any, ...]
"""The values that must be equal for two settings to be compatible."""


class _Settings:
    """Settings found by their values: a sweep of a learning rate makes hundreds, and each run would
    be held against all.

    Between two shapes the keys that must be equal are known, so settings of one shape lie in a
    dictionary for each other shape.
    """

    def __init__(self) -> None:
        self.all: list[Setting] = []
        self._by_shapes: dict[tuple[_Shape, _Shape], dict[_Projection, list[int]]] = {}
        self._shapes: dict[_Shape, list[int]] = {}

    def add(self, setting: Setting) -> Setting:
        """Keep a setting, and return it."""
        number, shape = len(self.all), _shape_of(setting.values)
        self.all.append(setting)
        self._shapes.setdefault(shape, []).append(number)
        for (own, other), found in self._by_shapes.items():
            if own == shape:
                found.setdefault(_projection(setting.values, own, other), []).append(number)
        return setting

    def compatible_with(self, values: Values) -> list[Setting]:
        """Return those that `compatible` accepts, in the order in which they were added."""
        shape = _shape_of(values)
        numbers = [
            i
            for own in self._shapes
            for i in self._index(own, shape).get(_projection(values, own, shape), ())
        ]
        return [self.all[i] for i in sorted(numbers)]

    def _index(self, own: _Shape, other: _Shape) -> dict[_Projection, list[int]]:
        if (own, other) not in self._by_shapes:
            found = self._by_shapes[own, other] = {}
            for number in self._shapes[own]:
                found.setdefault(_projection(self.all[number].values, own, other), []).append(
                    number
                )
        return self._by_shapes[own, other]


def _shape_of(values: Values) -> _Shape:
    null = frozenset([key for key, value in values.items() if value is None])
    return frozenset(values) - null, null


def _projection(values: Values, one: _Shape, other: _Shape) -> _Projection:
    """Return the values that must be equal; an absent key is equal to nothing, since the other
    setting has it.
    """
    found = [values.get(key, _ABSENT) for key in _compared(one, other)]
    return tuple([tuple(value) if isinstance(value, list) else value for value in found])


@cache
def _compared(one: _Shape, other: _Shape) -> list[str]:
    return sorted((one[0] | other[0]) - one[1] - other[1])


def values_of(table: TableRows, row: TableRow, run: Run) -> dict[str, Any]:
    """Return a run's setting in this table."""
    values = {**run.config, **dict.fromkeys(run.config.keys() & row.companions)}
    for key in (*table.axes, "seed"):
        values.pop(key, None)
    fingerprint, split, semantics = run.data
    return values | {"data": fingerprint, "split": split, "semantics": semantics}


def compatible(one: Values, other: Values) -> bool:
    """Tell whether two settings agree wherever both have an effect."""
    return all(_agree(one.get(key, _ABSENT), other.get(key, _ABSENT)) for key in {**one, **other})


def differing_keys(configs: Sequence[Values]) -> list[str]:
    """Return the keys, other than the seed, in which the configs of one cell differ."""
    keys = {key for config in configs for key in config} - {"seed"}
    return sorted(
        key for key in keys if len({json.dumps(config.get(key)) for config in configs}) > 1
    )


def _agree(one: Any, other: Any) -> bool:
    return one is None or other is None or one == other


def _weight(values: Values) -> int:
    return sum(value is not None for value in values.values())


def _asked(table: TableRows, run: Run) -> tuple[bool, float, str]:
    """Return whether a sweep that feeds the table asked for the run, when, and its label."""
    if table.id in run.fed:
        return (True, *run.fed[table.id])
    return False, run.launched_at, next(iter(run.sweeps), "no sweep")


def _phrase(key: str, value: Any) -> str:
    if key in ("dataset.name", "encoder.arch", "encoder.stem", "optimizer.name"):
        return str(value)
    names = {
        "dataset.limit": "{} images",
        "dataset.side": "{} px",
        "epochs": "{} epochs",
        "batch_size": "batch {}",
        "optimizer.lr": "lr {}",
    }
    return names[key].format(value)
