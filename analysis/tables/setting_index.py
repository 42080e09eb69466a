"""Finds settings by their values, and says in which keys two disagree.

A key without a value, null, agrees with any. A sweep of a learning rate makes hundreds of settings,
and each group of runs would be compared with all. Between two shapes the keys that must be equal are
known, so settings of one shape lie in a dictionary for each other shape.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any

Values = Mapping[str, Any]
"""Dotted key → value of a setting; null where the key has no effect."""

_ABSENT = object()
_Shape = tuple[frozenset[str], frozenset[str]]
"""The keys that have a value, and those that are null."""
_Projection = tuple[Any, ...]
"""The values that must be equal for two settings to be compatible."""


class SettingIndex:
    """Holds values and finds those that are compatible with others."""

    def __init__(self, keys: AbstractSet[str] | None = None) -> None:
        """Hold nothing yet.

        Args:
            keys: those in which values may differ; all where None.
        """
        self._keys = keys
        self.all: list[Values] = []
        self._hashable: list[Values] = []
        self._known: dict[_Shape, _Shape] = {}
        self._by_shapes: dict[tuple[_Shape, _Shape], dict[_Projection, list[int]]] = {}
        self._shapes: dict[_Shape, list[int]] = {}

    def add(self, values: Values) -> int:
        """Keep values, and return their number."""
        number = len(self.all)
        hashable = self._compared(values)
        shape = self._shape(hashable)
        self.all.append(values)
        self._hashable.append(hashable)
        self._shapes.setdefault(shape, []).append(number)

        # Indexes that were made before these came must hold them too.
        for (own, other), index in self._by_shapes.items():
            if own == shape:
                index.setdefault(_projection(hashable, own, other), []).append(number)
        return number

    def compatible_with(self, values: Values) -> list[int]:
        """Return the numbers of those that agree, in the order in which they were added."""
        hashable = self._compared(values)
        shape = self._shape(hashable)
        numbers: list[int] = []
        for own in self._shapes:
            index = self._index(own, shape)
            numbers += index.get(_projection(hashable, own, shape), ())
        return sorted(numbers)

    def _compared(self, values: Values) -> Values:
        """Return what may differ of values, so that a dictionary can hold it."""
        keys = values if self._keys is None else self._keys & values.keys()
        return {key: _hashable(values[key]) for key in keys}

    def _shape(self, values: Values) -> _Shape:
        """Return the shape of values, as one object for all of that shape: equal at a glance."""
        shape = _shape_of(values)
        return self._known.setdefault(shape, shape)

    def _index(self, own: _Shape, other: _Shape) -> dict[_Projection, list[int]]:
        """Return the values of one shape by those that another shape compares."""
        if (own, other) not in self._by_shapes:
            index: dict[_Projection, list[int]] = {}
            for number in self._shapes[own]:
                key = _projection(self._hashable[number], own, other)
                index.setdefault(key, []).append(number)
            self._by_shapes[own, other] = index
        return self._by_shapes[own, other]


def differing_keys(some: Sequence[Values]) -> set[str]:
    """Return the keys in which not all values are equal, or which some lack."""
    first = some[0] if some else {}
    differing: set[str] = set()
    for values in some:
        differing |= values.keys() ^ first.keys()
        differing |= {key for key, value in values.items() if first.get(key) != value}
    return differing


def unlike(values: Values, other: Values) -> dict[str, tuple[Any, Any]]:
    """Return the keys that two disagree on: key → (own, other's); another trainer comes first."""
    keys = sorted({**values, **other}, key=lambda key: (key != "semantics", key))
    return {
        key: (values.get(key), other.get(key))
        for key in keys
        if not _agrees(values.get(key, _ABSENT), other.get(key, _ABSENT))
    }


def agree(some: Values, values: Values) -> bool:
    """Tell whether values agree in the keys of some, wherever both have one."""
    # A loop: this is asked of every pair of a variant and a setting, in each of their keys.
    for key, value in some.items():  # noqa: SIM110
        if not _agrees(value, values.get(key)):
            return False
    return True


def _agrees(value: Any, other: Any) -> bool:
    return value is None or other is None or bool(value == other)


def _shape_of(values: Values) -> _Shape:
    null = frozenset([key for key, value in values.items() if value is None])
    return frozenset(values) - null, null


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _projection(values: Values, shape: _Shape, other: _Shape) -> _Projection:
    """Return the values that two of these shapes must share.

    An absent key gives None, which is equal to nothing, since the other has a value.
    """
    return tuple(map(values.get, _compared(shape, other)))


@cache
def _compared(shape: _Shape, other: _Shape) -> list[str]:
    """Return the keys that one of two shapes has a value for, and none has as null."""
    valued, null = shape
    other_valued, other_null = other
    return sorted((valued | other_valued) - null - other_null)
