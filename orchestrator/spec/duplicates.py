"""Refuses rows that can never differ: two variants, or two values of one axis, of one meaning.

Such a pair is one run that is printed twice, as `0.001` and `1e-3`. Points of a product that mean
the same only here and there share a run: a key may have no effect on one row and matter on others.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestrator.errors import SpecError
from orchestrator.spec.load import Sweep
from orchestrator.spec.strict_yaml import Document

if TYPE_CHECKING:
    from orchestrator.spec.expand import Variant

Place = tuple[int, ...]
"""Where a variant stands: its row, its value on each axis of `grid`, its point of `zip`."""


def check_duplicates(sweep: Sweep, variants: Sequence[tuple[Place, "Variant"]]) -> None:
    """Refuse two rows of one meaning.

    Raises:
        SpecError: there are two; the text names file and line, and both as they are written.
    """
    meanings = {place: _meaning(variant) for place, variant in variants}
    pairs = {(axis, earlier[axis], later[axis]) for earlier, later, axis in _pairs(meanings)}
    for axis, value, other in sorted(pairs):
        if _always_equal(meanings, axis, value, other):
            raise SpecError(_explain(sweep, axis, value, other))


def _meaning(variant: "Variant") -> str:
    return json.dumps(variant.canonical(), sort_keys=True)


def _pairs(meanings: dict[Place, str]) -> Iterator[tuple[Place, Place, int]]:
    """Yield places of one meaning that differ on one axis alone, with that axis."""
    first: dict[str, Place] = {}
    for place, meaning in meanings.items():
        earlier = first.setdefault(meaning, place)
        apart = [axis for axis in range(len(place)) if place[axis] != earlier[axis]]
        if len(apart) == 1:
            yield earlier, place, apart[0]


def _always_equal(meanings: dict[Place, str], axis: int, value: int, other: int) -> bool:
    """Tell whether two values of an axis mean the same wherever both stand."""
    for place, meaning in meanings.items():
        if place[axis] == value:
            opposite = (*place[:axis], other, *place[axis + 1 :])
            if meanings.get(opposite, meaning) != meaning:
                return False
    return True


def _explain(sweep: Sweep, axis: int, value: int, other: int) -> str:
    """Name two values of an axis as they are written; the first axis is that of the rows."""
    spec = sweep.spec
    if axis == 0:
        rows = [*spec.variants]
        line = sweep.document.where(("variants", rows[other]))
        pair = f"variants: {rows[value]!r} and {rows[other]!r}"
    elif axis <= len(spec.grid):
        key = [*spec.grid][axis - 1]
        line = sweep.document.where(("grid", key, other))
        pair = f"grid: {key}: {_both(sweep.document, ('grid', key), value, other)}"
    else:
        line = sweep.document.where(("zip", next(iter(spec.zip)), other))
        points = [f"{key} {_both(sweep.document, ('zip', key), value, other)}" for key in spec.zip]
        pair = f"zip: points {value + 1} and {other + 1} ({', '.join(points)})"
    return f"{line}: {pair} mean the same in every run; keep one of them"


def _both(document: Document, axis: tuple[str, str], value: int, other: int) -> str:
    return f"{document.spelling((*axis, value))} and {document.spelling((*axis, other))}"
