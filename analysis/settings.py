"""Which runs may stand in one table: those that are equal in everything that the table does not vary.

A run's setting is its config without the table's axes, the row's companion keys and the seed, plus the data's content and
the trainer's semantics. Keys that are null have no effect on that run, so they agree with any value: a random encoder,
which has no optimizer, belongs to every setting with its encoder and images. A key that is absent says that the run was made
as before there was such a key, and agrees with no value.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.rows import Row, TableRows

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
        members: row key → runs (lines of the frame).
        feeds: whether a sweep that lists the table asked for them.
        launched_at: when such a sweep, or else any, last asked.
        sweep: that sweep's label.
    """

    values: Values
    feeds: bool
    launched_at: float
    sweep: str
    members: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """A short name, stable while the values are."""
        return hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).hexdigest()[:8]

    def describe(self) -> str:
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


def find_settings(table: TableRows, runs: pd.DataFrame) -> list[Setting]:
    """Sort a table's runs into settings: those of sweeps that feed the table first, the newest of them on top.

    A setting is told from the runs of the table's baselines; runs that agree with none are told apart by themselves.
    """
    placed = [(row, run) for run in runs.itertuples() if (row := table.row_of(run.config)) is not None]
    in_order = sorted(placed, key=lambda pair: (pair[0].key not in table.baselines, -_weight(values_of(table, *pair))))
    settings: list[Setting] = []
    for row, run in in_order:
        values = values_of(table, row, run)
        homes = [setting for setting in settings if compatible(setting.values, values)]
        if not homes:
            homes = [Setting(values, *_asked(table, run))]
            settings.extend(homes)
        for setting in homes:
            setting.members.setdefault(row.key, []).append(run)
            asked = _asked(table, run)
            if asked > (setting.feeds, setting.launched_at, setting.sweep) and len(homes) == 1:
                setting.feeds, setting.launched_at, setting.sweep = asked
    return sorted(settings, key=lambda setting: (not setting.feeds, -setting.launched_at))


def values_of(table: TableRows, row: Row, run: Any) -> dict[str, Any]:
    """Return a run's setting in this table."""
    left_out = {*table.axes, "seed"}
    fingerprint, split, semantics = run.data
    values = {key: None if key in row.companions else value for key, value in run.config.items() if key not in left_out}
    return values | {"data": fingerprint, "split": split, "semantics": semantics}


def compatible(one: Values, other: Values) -> bool:
    """Tell whether two settings agree wherever both have an effect."""
    return all(_agree(one.get(key, _ABSENT), other.get(key, _ABSENT)) for key in {**one, **other})


def differing_keys(configs: Sequence[Values]) -> list[str]:
    """Return the keys, other than the seed, in which the configs of one cell differ."""
    keys = {key for config in configs for key in config} - {"seed"}
    return sorted(key for key in keys if len({json.dumps(config.get(key)) for config in configs}) > 1)


def _agree(one: Any, other: Any) -> bool:
    return one is None or other is None or one == other


def _weight(values: Values) -> int:
    return sum(value is not None for value in values.values())


def _asked(table: TableRows, run: Any) -> tuple[bool, float, str]:
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
