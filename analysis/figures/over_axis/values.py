"""Finds the numbers that a table's rows differ in, and where each of them stands on an axis."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from analysis.figures import facts
from analysis.papers.printed import digits
from analysis.papers.table_rows import TableRow
from analysis.tables.tidy import Report

NAMES = {
    "target.tau_base": "τ, decay of the target",
    "optimizer.lambda_predictor": "λ, learning-rate ratio of the predictor",
    "optimizer.mu_projector": "μ, learning-rate ratio of the projector",
    "optimizer.lr": "learning rate",
    "optimizer.weight_decay": "weight decay",
    "accumulate": "parts of the batch",
    "batch_size": "batch size",
    "projector.out": "width of the projection",
    "projector.depth": "layers of the projector",
    "predictor.depth": "layers of the predictor",
    "loss.beta": "β, weight of negatives",
    "loss.temperature": "temperature of negatives",
    "init.scale": "scale of the first weights",
}
"""Key → its name on an axis; another key is its own name."""
LEAST_VALUES = 3
_LOG_FROM = 8
"""The ratio of the largest to the smallest value from which an axis is logarithmic."""
_LEADING_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")


@dataclass(frozen=True)
class Axis:
    """A setting whose numbers tell a table's rows apart.

    Attributes:
        key: of the setting.
        values: row → value, of the rows that have one.
        printed: row → the value's name in the paper.
        twins: other settings that move with it, as the widths of projector and predictor do.
    """

    key: str
    values: Mapping[str, float]
    printed: Mapping[str, str]
    twins: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people read at the axis."""
        return NAMES.get(self.key, self.key)

    @property
    def symbol(self) -> str:
        """The same where there is little room."""
        return self.name.partition(",")[0]

    @cached_property
    def steps(self) -> list[float]:
        """The values, in their order."""
        return sorted(set(self.values.values()))


def axes_of(report: Report) -> list[Axis]:
    """Return the axes of a table, the one with most values first."""
    axes: list[Axis] = []
    for key in report.table.rows.axes:
        axis = _axis(report, key)
        if len(axis.steps) < LEAST_VALUES:
            continue
        twins = [number for number, other in enumerate(axes) if _is_same(axis, other)]
        for number in twins:
            axes[number] = replace(axes[number], twins=(*axes[number].twins, key))
        if not twins:
            axes.append(axis)
    return sorted(axes, key=lambda axis: -len(axis.steps))


def _is_same(axis: Axis, other: Axis) -> bool:
    """Tell whether two settings always move together."""
    if axis.values.keys() != other.values.keys():
        return False
    places = {(axis.values[row], other.values[row]) for row in axis.values}
    return len(places) == len(axis.steps) == len(other.steps)


def _axis(report: Report, key: str) -> Axis:
    rows = report.table.rows.rows
    choices = {row.key: _choices(row, key) for row in rows.values()}
    place = _place_of_runs(report, key, choices)

    values: dict[str, float] = {}
    for row, numbers in choices.items():
        if numbers:
            values[row] = numbers[min(place, len(numbers) - 1)]
    return Axis(key, values, _printed_names(report, values))


def _choices(row: TableRow, key: str) -> Sequence[float]:
    """Return the numbers that a row takes for a key: none, one, or one for each scale."""
    wanted: Any = row.match.get(key)
    several = [wanted]
    if isinstance(wanted, Mapping):
        several = wanted["any"]
    return [float(value) for value in several if _is_number(value)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _place_of_runs(report: Report, key: str, choices: Mapping[str, Sequence[float]]) -> int:
    """Return which of several scales our runs have; the first without runs."""
    for line in report.table.lines:
        numbers = choices[line.row.key]
        if line.runs and line.runs[0].config.get(key) in numbers:
            return [*numbers].index(line.runs[0].config[key])
    return 0


def _printed_names(report: Report, values: Mapping[str, float]) -> dict[str, str]:
    """Return how the paper names each value: the number that begins its label, if all have one."""
    labels = facts.labels_of(report)
    names: dict[str, str] = {}
    for row in values:
        match = _LEADING_NUMBER.match(labels[row])
        if match is None:
            return {row: digits(value) for row, value in values.items()}
        names[row] = match.group()
    return names


@dataclass(frozen=True)
class Scale:
    """Where values stand on an axis.

    Attributes:
        places: value → place.
        breaks: places where the axis is broken, before a value that a logarithm cannot reach.
        words: what is to be said of the spacing; empty for none.
    """

    places: Mapping[float, float]
    breaks: Sequence[float] = ()
    words: str = ""


def scale_of(axis: Axis, width: float, least_gap: float) -> Scale:
    """Return where the values of an axis stand.

    τ is spaced by its distance from 1, numbers of several sizes by their logarithm; 0, or τ = 1,
    stands beyond a break. Values that would stand too close are spaced equally.

    Args:
        axis: whose values.
        width: of the axis, in inches.
        least_gap: that two values need, in inches.
    """
    scale = _scale(axis)
    places = sorted(scale.places.values())
    span = places[-1] - places[0]
    gap = min(after - before for before, after in itertools.pairwise(places))
    if gap * width >= least_gap * span:
        return scale
    equal = {value: float(number) for number, value in enumerate(axis.steps)}
    return Scale(equal, words="equally spaced")


def _scale(axis: Axis) -> Scale:
    steps = axis.steps
    if axis.key.endswith("tau_base"):
        return _broken_at_end({step: -math.log10(1 - step) for step in steps if step < 1}, steps)
    positive = [step for step in steps if step > 0]
    is_plain = len(positive) < len(steps) - 1 or positive[-1] < _LOG_FROM * positive[0]
    if is_plain:
        return Scale({step: step for step in steps})
    return _broken_at_start({step: math.log10(step) for step in positive}, steps)


def _broken_at_end(places: Mapping[float, float], steps: Sequence[float]) -> Scale:
    """Return a scale whose last value, if it has no place, stands beyond a break."""
    if len(places) == len(steps):
        return Scale(places, words="spaced by 1 − τ")
    last = max(places.values())
    step = max(0.6, 0.25 * (last - min(places.values())))
    return Scale({**places, steps[-1]: last + step}, [last + step / 2], "spaced by 1 − τ")


def _broken_at_start(places: Mapping[float, float], steps: Sequence[float]) -> Scale:
    """Return a scale whose first value, if it has no place, stands before a break."""
    if len(places) == len(steps):
        return Scale(places, words="logarithmic")
    first = min(places.values())
    step = 0.25 * (max(places.values()) - first)
    return Scale({steps[0]: first - step, **places}, [first - step / 2], "logarithmic")
