"""Compares our rows with the printed ones: their order, and each number with our interval."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from analysis.tables.stats import Summary

_LEAST_ROWS = 3


class Place(StrEnum):
    """Where a printed number lies."""

    INSIDE = "inside"
    OUTSIDE = "outside"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class RankAgreement:
    """How far our order of the rows is the printed one.

    Attributes:
        tau: Kendall's tau-b: 1 for the same order, −1 for the reverse, 0 for none in common.
        n: rows that were ordered.
        tied_in_print: rows left out because another row has the same printed number.
    """

    tau: float
    n: int
    tied_in_print: int


@dataclass(frozen=True)
class Comparison:
    """Where a printed number lies, with a text that says so.

    Attributes:
        place: inside our interval, outside, or not comparable.
        text: the same with the numbers.
        condition: what is not known, and would have to be so; empty where nothing is in doubt.
    """

    place: Place
    text: str
    condition: str = ""

    def __str__(self) -> str:
        """Return the place, never without its condition."""
        return "; ".join(filter(None, [self.place, self.condition]))


def rank_agreement(
    ours: Mapping[str, float | None], published: Mapping[str, float | None]
) -> RankAgreement | None:
    """Return Kendall's tau-b over the rows that have both numbers and are not tied in print.

    Rows with one printed number have no order that ours could agree with. Rows that are tied in
    ours stay: tau-b counts their pairs as neither agreeing nor contradicting.

    Args:
        ours: row → mean; None where it has none.
        published: row → printed value; None where nothing is printed.

    Returns:
        None below three rows, and where all of ours are equal.
    """
    both: dict[str, tuple[float, float]] = {}
    for key in ours.keys() & published.keys():
        mean, printed = ours[key], published[key]
        if mean is not None and printed is not None and math.isfinite(mean):
            both[key] = (mean, printed)

    times_printed = Counter(printed for _, printed in both.values())
    ordered = [pair for pair in both.values() if times_printed[pair[1]] == 1]
    tau = _tau_b(ordered) if len(ordered) >= _LEAST_ROWS else None
    if tau is None:
        return None
    return RankAgreement(tau, len(ordered), len(both) - len(ordered))


def _tau_b(rows: Sequence[tuple[float, float]]) -> float | None:
    """Return Kendall's tau-b of rows whose second numbers are not tied."""
    agreeing = 0
    untied = 0
    for (mean, printed), (other_mean, other_printed) in combinations(rows, 2):
        if mean != other_mean:
            untied += 1
            agreeing += 1 if (mean > other_mean) == (printed > other_printed) else -1
    if untied == 0:
        return None
    return agreeing / math.sqrt(untied * math.comb(len(rows), 2))


def compare_with_published(
    summary: Summary,
    published: float | tuple[float, float] | None,
    same_setting: bool,
    reason: str = "",
    condition: str = "",
) -> Comparison:
    """Say whether a printed number lies inside our interval.

    A number outside is no proof of a difference: the printed one has an error of its own, which is
    rarely printed (docs/statistics.md has how often equal rows lie outside).

    Args:
        summary: of our row.
        published: the printed number, or the lowest and the highest where sources disagree; such a
            band lies inside if any of it does.
        same_setting: whether ours is the setting of the printed number, as far as known.
        reason: in what the settings differ.
        condition: what is not known of our setting, and would make it another one.
    """
    if published is None:
        return Comparison(Place.NOT_COMPARABLE, "nothing is printed")
    if not same_setting:
        return Comparison(Place.NOT_COMPARABLE, reason or "another setting")
    if summary.mean is None or summary.ci95 is None:
        return Comparison(Place.NOT_COMPARABLE, f"ours has no interval, n {summary.n}")

    # Both are intervals now; a single number is one without width.
    low, high = summary.ci95
    lowest, highest = published if isinstance(published, tuple) else (published, published)
    printed = f"published {_percent(lowest)}"
    if highest != lowest:
        printed = f"published {_percent(lowest)} to {_percent(highest)}"
    interval = f"[{_percent(low)}, {_percent(high)}], n {summary.n}"
    if highest < low:
        text = f"{printed} lies {_percent(low - highest)} points below {interval}"
        return Comparison(Place.OUTSIDE, text, condition)
    if lowest > high:
        text = f"{printed} lies {_percent(lowest - high)} points above {interval}"
        return Comparison(Place.OUTSIDE, text, condition)
    return Comparison(Place.INSIDE, f"{printed} lies inside {interval}", condition)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
