"""Holds what a table claims of its rows, so that a report can say whether ours agree.

A table's file lists its claims; here they are read and checked.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.errors import AnalysisError
from analysis.papers.nearest import nearest

_ROWS = {"above": 2, "comparable": 2, "collapses": 1, "learns": 1}
"""Kind of a claim → how many rows it speaks of."""


class ClaimError(AnalysisError):
    """A claim in a table's file that says nothing."""


@dataclass(frozen=True)
class Claim:
    """One statement about rows of a table.

    Attributes:
        kind: above (the first row is better than the second), comparable (they differ by at most
            the margin), collapses, or learns (better than an untrained encoder, not collapsed).
        rows: keys of the rows that it speaks of.
        margin: in [0, 1], of a claim that rows are comparable.
    """

    kind: str
    rows: tuple[str, ...]
    margin: float | None = None


def read_claims(entries: Sequence[Any], rows: Collection[str]) -> tuple[Claim, ...]:
    """Return the claims of a table's file; rows in a list are a claim for each, or for each pair.

    `above: [a, b, c]` says that a is above b, and b above c.

    Raises:
        ClaimError: a claim of another kind, or of rows that are not there.
    """
    claims: list[Claim] = []
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise ClaimError(f"claim {entry!r} is no mapping such as `learns: [rows]`")
        kinds = _ROWS.keys() & entry.keys()
        if len(kinds) != 1 or entry.keys() - kinds - {"margin"}:
            raise ClaimError(f"claim {dict(entry)} is none of {', '.join(_ROWS)}")
        (kind,) = kinds
        claims += _claims(kind, entry[kind], entry.get("margin"), rows)
    return tuple(claims)


def _claims(kind: str, keys: Any, margin: Any, rows: Collection[str]) -> list[Claim]:
    """Return one claim for each row, or for each pair of neighbours."""
    if not isinstance(keys, list):
        raise ClaimError(f"claim {kind} {keys!r}: it names no list of rows")
    unknown = [key for key in keys if key not in [*rows]]
    if unknown:
        hint = nearest(str(unknown[0]), rows, "rows")
        raise ClaimError(f"claim {kind} {keys}: no row is called {unknown[0]!r}; {hint}")
    if (margin is not None) != (kind == "comparable"):
        raise ClaimError(
            f"claim {kind} {list(keys)}: a margin belongs to comparable, and to it alone"
        )
    if margin is not None and not _is_fraction(margin):
        raise ClaimError(f"claim {kind} {keys}: margin {margin!r} is no number between 0 and 1")

    count = _ROWS[kind]
    if len(keys) < count:
        raise ClaimError(f"claim {kind} {list(keys)}: it speaks of {count} rows or more")
    starts = range(len(keys) - count + 1)
    return [Claim(kind, tuple(keys[start : start + count]), margin) for start in starts]


def _is_fraction(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < value < 1
