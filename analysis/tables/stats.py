"""Computes statistics over seeds, which are few.

So intervals come from the t distribution, standard deviations have n − 1, and there are no stars.
Every formula, what it assumes and where it fails stands in docs/statistics.md.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import special  # not scipy.stats, which takes a second to load

LEVEL = 0.95
"""The level of every interval."""
LEAST_PAIRS_FOR_P = 3
"""Two differences can agree to the last digit by chance, so that p of two pairs says nothing."""
_NOISE = 1e-12
"""A spread below this part of the values is an error of their last binary digits."""


@dataclass(frozen=True)
class Summary:
    """The summary of n values; spread and interval are None below two values.

    Attributes:
        n: how many values there are, also those that are not finite.
        mean: None where a value is not finite, and so are the others then.
        std: as measured, with n − 1.
        half_range: (best − worst)/2, what the BYOL paper prints as ± for its three seeds; None for
            any other n, because it grows with n.
        ci95: t-interval of the mean; None too where the values have no spread and no rounding is
            known.
        not_finite: how many values are not finite.
    """

    n: int
    mean: float | None
    std: float | None
    half_range: float | None
    ci95: tuple[float, float] | None
    not_finite: int = 0


def summarize(values: Sequence[float], rounding: float = 0.0) -> Summary:
    """Return the summary of some values; all None for none.

    An accuracy is a count of images over their number N, so it moves in steps of 1/N. Values of
    few seeds often fall on the same step and then show a spread of zero, which is not the spread
    of the training. A value rounded to steps of h has an error of variance h²/12, that of a
    uniform distribution over one step; no spread below it can be measured. The interval uses the
    larger of the two, the measured variance and this floor; `std` stays the measured one.

    Args:
        values: of one row, one per seed.
        rounding: the step of the metric: 1/number of test images, 0 for a metric without steps.
    """
    return _summary(values, rounding**2 / 12, scale=max(map(abs, values), default=0.0))


def _summary(values: Sequence[float], least_variance: float, scale: float) -> Summary:
    """Summarize values that were computed from numbers of the size `scale`."""
    n = len(values)
    not_finite = sum(not math.isfinite(value) for value in values)
    if n == 0 or not_finite:
        return Summary(n, None, None, None, None, not_finite)
    # Computed exactly: a sum of floats divided by n can miss the mean of n equal values.
    mean = float(statistics.mean(values))
    if n == 1:
        return Summary(1, mean, None, None, None)

    # hypot is the root of the sum of squares, and has no overflow on the way.
    std = math.hypot(*[value - mean for value in values]) / math.sqrt(n - 1)
    half_range = (max(values) - min(values)) / 2 if n == 3 else None

    # Values without any spread say nothing of how wide their interval is.
    spread = max(std, math.sqrt(least_variance))
    if spread <= _NOISE * scale:
        return Summary(n, mean, std, half_range, None)
    reach = interval_reach(spread, n)
    return Summary(n, mean, std, half_range, (mean - reach, mean + reach))


def interval_reach(std: float, n: int) -> float:
    """Return half the width of the t-interval of a mean of n values."""
    quantile = float(special.stdtrit(n - 1, 0.5 + LEVEL / 2))
    return quantile * std / math.sqrt(n)


@dataclass(frozen=True)
class Difference:
    """The mean difference of two rows over the seeds that they share.

    Attributes:
        n_pairs: over how many seeds.
        delta: mean of (value − baseline's value).
        ci95: t-interval of delta; None below two pairs.
        p: of a two-sided paired t-test; None below three pairs.
        std: of the differences, as measured; None below two pairs.
        not_finite: shared seeds that are left out because the baseline's value is not finite.
    """

    n_pairs: int
    delta: float
    ci95: tuple[float, float] | None
    p: float | None
    std: float | None = None
    not_finite: int = 0


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float], rounding: float = 0.0
) -> Difference | None:
    """Compare two rows seed by seed.

    The variance has a floor as in `summarize`, here twice as high: a difference holds the rounding
    errors of both values, each of variance h²/12. Where all differences are equal and there is no
    floor, t is not defined, and there is neither an interval nor a p.

    Args:
        values: seed → value.
        baseline: the same of the row compared with.
        rounding: the step of the metric, as in `summarize`.

    Returns:
        None where no seed is shared, or where a value of the row itself is not finite. A value of
        the baseline that is not finite leaves out its own seed alone, in every comparison.
    """
    shared = sorted(values.keys() & baseline.keys())
    if not all(math.isfinite(values[seed]) for seed in shared):
        return None
    seeds = [seed for seed in shared if math.isfinite(baseline[seed])]
    if not seeds:
        return None

    differences = [values[seed] - baseline[seed] for seed in seeds]
    scale = max(abs(values[seed]) + abs(baseline[seed]) for seed in seeds)
    least_variance = 2 * rounding**2 / 12
    summary = _summary(differences, least_variance, scale)
    if summary.mean is None:
        return None
    return Difference(
        n_pairs=len(seeds),
        delta=summary.mean,
        ci95=summary.ci95,
        p=_p_value(summary, least_variance),
        std=summary.std,
        not_finite=len(shared) - len(seeds),
    )


def _p_value(differences: Summary, least_variance: float) -> float | None:
    """Return the two-sided p of a paired t-test; None where there is too little to test."""
    if differences.n < LEAST_PAIRS_FOR_P or differences.ci95 is None:
        return None
    assert differences.mean is not None and differences.std is not None, "a ci95 needs both"
    spread = max(differences.std, math.sqrt(least_variance))
    t = differences.mean / (spread / math.sqrt(differences.n))
    return float(2 * special.stdtr(differences.n - 1, -abs(t)))


def holm(p_values: Mapping[str, float], planned: int | None = None) -> dict[str, float]:
    """Return p-values adjusted by Holm's step-down method.

    The chance of any false alarm in the table stays below the level at which they are read.

    Args:
        p_values: of the comparisons that could be tested; one that is not finite is in no result.
        planned: how many comparisons the table plans, done or not: one that is missing counts like
            one with p = 1, so that a half-done table is no easier on its rows than a whole one.
    """
    comparisons = max(planned or 0, len(p_values))
    finite = [(key, p) for key, p in p_values.items() if math.isfinite(p)]
    smallest_first = sorted(finite, key=lambda item: item[1])

    # Each p counts against the comparisons that are left, and never less than a smaller p did.
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, (key, p) in enumerate(smallest_first):
        largest = max(largest, min(1.0, (comparisons - rank) * p))
        adjusted[key] = largest
    return adjusted


def collapse_interval(k: int, n: int) -> tuple[float, float]:
    """Return Clopper and Pearson's interval of a rate of which k of n runs were seen.

    It is exact, so it covers at least 95 %; (0, 1) for no runs.
    """
    _check_count(k, n)
    tail = (1 - LEVEL) / 2
    low = float(special.betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    high = float(special.betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return low, high


def fisher(k1: int, n1: int, k2: int, n2: int) -> float:
    """Return the two-sided p of Fisher's exact test for k1 of n1 runs against k2 of n2.

    It adds up all tables with the same margins that are no more likely than the one seen.
    """
    _check_count(k1, n1)
    _check_count(k2, n2)
    both = k1 + k2

    # Whole numbers, so that equally likely tables are equal to the last digit.
    ways = [
        math.comb(n1, first) * math.comb(n2, both - first)
        for first in range(max(0, both - n2), min(n1, both) + 1)
    ]
    seen = math.comb(n1, k1) * math.comb(n2, k2)
    return sum(count for count in ways if count <= seen) / math.comb(n1 + n2, both)


def _check_count(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} runs: the first must be from 0 to the second")
