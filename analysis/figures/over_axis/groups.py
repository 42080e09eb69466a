"""Sorts a table's rows into the lines of its axis, and the rows that stand beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from analysis.figures import facts
from analysis.figures.over_axis.values import LEAST_VALUES, NAMES, Axis
from analysis.papers.printed import digits
from analysis.tables.line import Line
from analysis.tables.tidy import Report

_SHOWN_KEYS = 3
_METHODS = {"byol": "BYOL", "simclr": "SimCLR", "moco": "MoCo"}
"""The methods as people write them."""


@dataclass(frozen=True)
class Group:
    """Rows that one line joins, or a row of its own.

    Attributes:
        label: for the legend.
        lines: in the order of the axis; a single one without a place is a level over the whole axis.
    """

    label: str
    lines: Sequence[Line]

    @property
    def is_level(self) -> bool:
        """Whether it is one row, which is drawn over the whole axis."""
        return len(self.lines) == 1


def groups_of(report: Report, axis: Axis) -> list[Group]:
    """Return the lines of an axis: rows that agree in all but it; then the rows beside it."""
    by_rest: dict[tuple[Any, ...], list[Line]] = {}
    beside: list[Line] = []
    for line in report.table.lines:
        if line.row.key in axis.values:
            by_rest.setdefault(_rest(line, axis), []).append(line)
        else:
            beside.append(line)

    groups = [group for group in by_rest.values() if len(group) > 1]
    for group in by_rest.values():
        if len(group) == 1 and not _joined(group[0], groups, axis):
            beside += group

    labels = facts.labels_of(report)
    names = _names(groups, axis)
    lines = [
        Group(name, sorted(group, key=lambda line: axis.values[line.row.key]))
        for name, group in zip(names, groups, strict=True)
    ]
    return [*lines, *[Group(labels[line.row.key], [line]) for line in beside]]


def _rest(line: Line, axis: Axis) -> tuple[Any, ...]:
    """Return the settings of a row beside those that move with the axis."""
    moving = {axis.key, *axis.twins}
    return tuple((key, repr(value)) for key, value in line.row.match.items() if key not in moving)


def _joined(line: Line, groups: Sequence[list[Line]], axis: Axis) -> bool:
    """Add a lone row to the only line of its method, if its value is free there."""
    of_method = [group for group in groups if group[0].row.method == line.row.method]
    if len(of_method) != 1 or len(of_method[0]) < LEAST_VALUES:
        return False
    taken = {axis.values[other.row.key] for other in of_method[0]}
    if axis.values[line.row.key] in taken:
        return False
    of_method[0].append(line)
    return True


def _names(groups: Sequence[Sequence[Line]], axis: Axis) -> list[str]:
    """Return what tells the lines apart: the settings that differ between them."""
    if len(groups) == 1:
        return [""]
    matches = [group[0].row.match for group in groups]
    if len({match.get("method") for match in matches}) == len(groups):
        return [_METHODS.get(match["method"], str(match["method"])) for match in matches]

    # Settings that tell the same lines apart are named by the first of them.
    key_of: dict[tuple[str, ...], str] = {}
    for key in dict.fromkeys(chain.from_iterable(matches)):
        values = tuple(repr(match.get(key)) for match in matches)
        if key not in (axis.key, *axis.twins) and len({*values}) > 1:
            key_of.setdefault(values, key)
    return [_name(match, [*key_of.values()][:_SHOWN_KEYS]) for match in matches]


def _name(match: Mapping[str, Any], keys: Sequence[str]) -> str:
    symbols = {key: NAMES.get(key, key).partition(",")[0] for key in keys}
    return ", ".join(f"{symbols[key]} = {digits(match.get(key))}" for key in keys)
