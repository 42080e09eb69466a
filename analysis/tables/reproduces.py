"""Judges whether a table's claims held in our runs: held, contradicted, or undecided.

A claim is decided by the interval that the table prints, or by counts of collapsed runs; what too
few runs cannot decide stays undecided. The rules and their reasons stand in docs/statistics.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from analysis.papers.claims import Claim
from analysis.tables.stats import (
    LEAST_PAIRS_FOR_P,
    Difference,
    collapse_interval,
    interval_reach,
    paired_difference,
    summarize,
)

LEAST_RUNS = 5
"""The least number of runs that can say whether a row collapses. If half of all seeds did so, five
runs of five would in 3 % of all cases, and four of four in 6 %.
"""
_MOST_SEEDS = 1000
"""A claim that needs more is out of reach at this spread."""


class Outcome(StrEnum):
    """What became of a claim."""

    HELD = "held"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class RowEvidence:
    """What is known of a row.

    Attributes:
        values: seed → accuracy.
        collapsed: (runs that collapsed, runs that could), None where no run says.
        untrained: seed → accuracy of the matched untrained control; None without one.
        chance: accuracy of guessing; None where it is not known.
        usable: whether the row has numbers that may be compared.
        why_not: why it has none: confounded, partial, absent.
    """

    values: Mapping[int, float]
    collapsed: tuple[int, int] | None = None
    untrained: Mapping[int, float] | None = None
    chance: float | None = None
    usable: bool = True
    why_not: str = ""

    @property
    def is_split(self) -> bool:
        """Whether some runs collapsed and some did not, so that their mean has no t-interval."""
        return self.collapsed is not None and 0 < self.collapsed[0] < self.collapsed[1]


@dataclass(frozen=True)
class Verdict:
    """What became of one claim.

    Attributes:
        claim: the claim.
        outcome: held, contradicted or undecided.
        numbers: what it rests on, with its n; empty where there is nothing.
        needs: how many seeds in all would decide it, should difference and spread stay as they
            are; None where that is not known, out of reach, or not needed any more.
        reason: why the outcome follows from the numbers.
    """

    claim: Claim
    outcome: Outcome
    numbers: str
    needs: int | None
    reason: str


def judge(
    claims: Sequence[Claim],
    evidence: Mapping[str, RowEvidence],
    rounding: float,
    published: Mapping[str, float | None],
) -> list[Verdict]:
    """Return a verdict on each claim, in their order.

    Args:
        claims: of one table.
        evidence: of its rows, by their keys; a row that is not in it has no runs.
        rounding: the step of the metric: 1/number of test images, 0 for a metric without steps.
        published: row → printed accuracy, shown beside ours.
    """
    return [_judge(claim, evidence, rounding, published) for claim in claims]


def _judge(
    claim: Claim,
    evidence: Mapping[str, RowEvidence],
    rounding: float,
    published: Mapping[str, float | None],
) -> Verdict:
    obstacle = _obstacle(claim.rows, evidence)
    if obstacle:
        return _undecided(claim, "", None, obstacle)

    rows = [evidence[key] for key in claim.rows]
    if claim.kind == "collapses":
        return _judge_collapse(claim, rows[0])
    if claim.kind == "learns":
        return _judge_learning(claim, rows[0], rounding)

    # What is printed of the same two rows stands beside ours.
    first, second = claim.rows
    in_print = _published_difference(published.get(first), published.get(second))
    if any(row.is_split for row in rows):
        return _judge_split_pair(claim, rows[0], rows[1], in_print)
    difference = paired_difference(rows[0].values, rows[1].values, rounding)
    if difference is None:
        return _undecided(claim, "", None, "the two rows share no seed")
    return _judge_difference(claim, difference, "", in_print)


def _obstacle(keys: Sequence[str], evidence: Mapping[str, RowEvidence]) -> str:
    """Return why these rows cannot be judged; empty where they can."""
    for key in keys:
        if key not in evidence:
            return f"{key}: no runs"
        if not evidence[key].usable:
            return f"{key}: {evidence[key].why_not or 'no number that may be compared'}"
        if not all(math.isfinite(value) for value in evidence[key].values.values()):
            return f"{key}: a value is not finite"
    return ""


# Differences


def _judge_difference(
    claim: Claim, difference: Difference, against: str, in_print: str = ""
) -> Verdict:
    """Judge by the interval of a difference, the one that the table prints.

    Args:
        claim: of any kind that speaks of a difference.
        difference: its first row minus what it is compared with.
        against: what that is, where it is no row of the claim.
        in_print: the printed difference, as it stands behind ours.
    """
    margin = claim.margin or 0.0
    needs = _seeds_needed(difference, margin)
    numbers = f"{_difference_text(difference)}{against}{in_print}"
    if difference.n_pairs < LEAST_PAIRS_FOR_P:
        return _undecided(claim, numbers, needs, f"needs {LEAST_PAIRS_FOR_P} pairs or more")
    if difference.ci95 is None:
        return _undecided(claim, numbers, None, "the differences show no spread to judge by")

    # An interval inside ± margin is a test of equivalence, one outside a test of difference.
    low, high = difference.ci95
    if claim.kind == "comparable":
        band = f"±{100 * margin:.1f} points"
        if -margin <= low and high <= margin:
            return Verdict(claim, Outcome.HELD, numbers, None, f"the interval lies within {band}")
        if low > margin or high < -margin:
            reason = f"the interval lies outside {band}"
            return Verdict(claim, Outcome.CONTRADICTED, numbers, None, reason)
        return _undecided(claim, numbers, needs, f"the interval reaches over the end of {band}")

    if low > 0:
        return Verdict(claim, Outcome.HELD, numbers, None, "the interval lies above 0")
    if high < 0:
        return Verdict(claim, Outcome.CONTRADICTED, numbers, None, "the interval lies below 0")
    return _undecided(claim, numbers, needs, "the interval holds 0")


def _seeds_needed(difference: Difference, margin: float) -> int | None:
    """Return for how many seeds the interval would leave the nearest end of ± margin, or 0."""
    if difference.ci95 is None:
        return None
    low, high = difference.ci95
    spread = (high - low) / 2 / interval_reach(1.0, difference.n_pairs)
    room = abs(abs(difference.delta) - margin)
    for n in range(LEAST_PAIRS_FOR_P, _MOST_SEEDS + 1):
        if interval_reach(spread, n) < room:
            return n
    return None


def _judge_split_pair(
    claim: Claim, first: RowEvidence, second: RowEvidence, in_print: str
) -> Verdict:
    """Judge two rows of which some seeds collapsed and some did not, by who wins each seed.

    Their means have no t-interval. In how many pairs the first row wins needs none; below six pairs
    nothing follows from it.
    """
    seeds = sorted(first.values.keys() & second.values.keys())
    n = len(seeds)
    won = sum(first.values[seed] > second.values[seed] for seed in seeds)
    lost = sum(first.values[seed] < second.values[seed] for seed in seeds)
    numbers = f"first row better in {won} of {n} pairs, worse in {lost}{in_print}"

    split = "some seeds collapsed and some did not, so the means have no interval"
    if claim.kind == "comparable":
        return _undecided(claim, numbers, None, split)
    if collapse_interval(won, n)[0] > 0.5:
        return Verdict(claim, Outcome.HELD, numbers, None, "it is better in more than half")
    if collapse_interval(lost, n)[0] > 0.5:
        return Verdict(claim, Outcome.CONTRADICTED, numbers, None, "it is worse in more than half")
    needs = 6 if 0 < n < 6 and n in (won, lost) else None
    return _undecided(claim, numbers, needs, f"{split}, and too few pairs agree")


# Collapse


def _judge_collapse(claim: Claim, row: RowEvidence) -> Verdict:
    """Judge whether every run collapses; that most do not contradicts it."""
    if row.collapsed is None:
        return _undecided(claim, "", None, "no run says whether it collapsed")
    k, n = row.collapsed
    numbers = _count_text(k, n)
    if n < LEAST_RUNS:
        return _undecided(claim, numbers, LEAST_RUNS, f"needs {LEAST_RUNS} runs")
    if k == n:
        return Verdict(claim, Outcome.HELD, numbers, None, "every run collapsed")
    if 2 * k < n:
        return Verdict(claim, Outcome.CONTRADICTED, numbers, None, "most runs did not collapse")
    return _undecided(claim, numbers, None, "some runs collapsed and some did not")


def _judge_learning(claim: Claim, row: RowEvidence, rounding: float) -> Verdict:
    """Judge whether no run collapses and the row is better than without training."""
    if row.collapsed is None:
        return _undecided(claim, "", None, "no run says whether it collapsed")
    k, n = row.collapsed
    numbers = _count_text(k, n)
    if n < LEAST_RUNS:
        return _undecided(claim, numbers, LEAST_RUNS, f"needs {LEAST_RUNS} runs")
    if 2 * k > n:
        return Verdict(claim, Outcome.CONTRADICTED, numbers, None, "most runs collapsed")
    if k > 0:
        return _undecided(claim, numbers, None, "some runs collapsed and some did not")

    # An untrained encoder is already far better than chance, so the control is the harder test.
    if row.untrained is not None:
        against = " over untrained"
        difference = _over_control(row, row.untrained, rounding)
    elif row.chance is not None:
        against = " over chance, no untrained control"
        difference = _over_chance(row, row.chance, rounding)
    else:
        return _undecided(claim, numbers, None, "neither an untrained control nor chance is known")
    if difference is None:
        return _undecided(claim, numbers, None, "no seed that could be compared")
    return _judge_difference(claim, difference, f"{against}; {numbers}")


def _over_control(
    row: RowEvidence, untrained: Mapping[int, float], rounding: float
) -> Difference | None:
    """Return the paired difference from the untrained control, which must be finite too."""
    if not all(math.isfinite(value) for value in untrained.values()):
        return None
    return paired_difference(row.values, untrained, rounding)


def _over_chance(row: RowEvidence, chance: float, rounding: float) -> Difference | None:
    """Return how far the mean lies above chance, with its interval."""
    summary = summarize([*row.values.values()], rounding)
    if summary.mean is None:
        return None
    ci95 = None
    if summary.ci95 is not None:
        ci95 = (summary.ci95[0] - chance, summary.ci95[1] - chance)
    return Difference(summary.n, summary.mean - chance, ci95, None, summary.std)


# Texts


def _undecided(claim: Claim, numbers: str, needs: int | None, reason: str) -> Verdict:
    return Verdict(claim, Outcome.UNDECIDED, numbers, needs, reason)


def _difference_text(difference: Difference) -> str:
    """Return a difference with its interval and n: `-6.4 [-9.1, -3.6] points, n 5`."""
    interval = ""
    if difference.ci95 is not None:
        low, high = difference.ci95
        interval = f" [{points(low)}, {points(high)}]"
    return f"{points(difference.delta)}{interval} points, n {difference.n_pairs}"


def _count_text(k: int, n: int) -> str:
    """Return a count of collapsed runs with the interval of its rate."""
    low, high = collapse_interval(k, n)
    return f"{k}/{n} collapsed [{100 * low:.0f} %, {100 * high:.0f} %]"


def _published_difference(first: float | None, second: float | None) -> str:
    if first is None or second is None:
        return ""
    return f"; published {points(first - second)}"


def points(fraction: float) -> str:
    """Return a difference in points, with a second digit where one would print it as zero."""
    for digits in (1, 2):
        text = f"{100 * fraction:+.{digits}f}"
        if float(text) != 0:
            return text
    return "0.0"
