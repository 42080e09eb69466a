"""Computes statistics over seeds, which are few.

So intervals come from the t distribution, standard deviations have n − 1, and there are no stars.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import special  # not scipy.stats, which takes a second to load

_LEVEL = 0.95


@dataclass(frozen=True)
class Summary:
    """The summary of n values; spread and interval are None below two values.

    Attributes:
        std: with n − 1.
        half_range: (best − worst)/2, what the BYOL paper prints as ±.
        ci95: t-interval of the mean.
    """

    n: int
    mean: float | None
    std: float | None
    half_range: float | None
    ci95: tuple[float, float] | None


def summarize(values: Sequence[float]) -> Summary:
    """Return the summary of some values; all None for none."""
    n = len(values)
    if n == 0:
        return Summary(0, None, None, None, None)
    mean = math.fsum(values) / n
    if n == 1:
        return Summary(1, mean, None, None, None)

    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half_range = (max(values) - min(values)) / 2

    # Half the t-interval: the quantile for n − 1 degrees of freedom × the standard error.
    reach = float(special.stdtrit(n - 1, 0.5 + _LEVEL / 2) * std / math.sqrt(n))
    return Summary(n, mean, std, half_range, (mean - reach, mean + reach))


@dataclass(frozen=True)
class Difference:
    """The mean difference of two rows over the seeds they share; p is two-sided."""

    n: int
    delta: float
    ci95: tuple[float, float] | None
    p: float | None


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float]
) -> Difference | None:
    """Compare seed by seed; None where no seed is shared.

    Args:
        values: seed → value.
        baseline: the same of the row compared with.
    """
    seeds = sorted(values.keys() & baseline.keys())
    if not seeds:
        return None
    summary = summarize([values[seed] - baseline[seed] for seed in seeds])
    assert summary.mean is not None, "differences of at least one seed have a mean"
    if summary.std is None:
        return Difference(len(seeds), summary.mean, None, None)
    return Difference(len(seeds), summary.mean, summary.ci95, _p_value(summary))


def _p_value(summary: Summary) -> float:
    """Return the two-sided p-value of a paired t-test."""
    assert summary.mean is not None and summary.std is not None, "a p-value needs a spread"
    if summary.std == 0:
        # All differences are equal, so t is not defined: either they are zero, or surely not.
        return 1.0 if summary.mean == 0 else 0.0
    t = summary.mean / (summary.std / math.sqrt(summary.n))
    return float(2 * special.stdtr(summary.n - 1, -abs(t)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted by Holm's step-down method.

    The chance of any false alarm in the table stays below each.
    """
    smallest_first = sorted(p_values.items(), key=lambda item: item[1])
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, (key, p) in enumerate(smallest_first):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p))
        adjusted[key] = largest
    return adjusted
