"""Statistics of a table: against SciPy, and by simulation with a fixed seed and wide bounds (at
length: ``benchmarks/intervals.py``).
"""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from analysis.tables.stats import (
    collapse_interval,
    fisher,
    holm,
    paired_difference,
    summarize,
)

VALUES, BASE = {0: 0.61, 1: 0.58, 2: 0.66}, {0: 0.70, 1: 0.71, 2: 0.69}
DIGITS = 1 / 360
NAN, INF = math.nan, math.inf


def by_seed(values):
    return dict(enumerate(values))


# One row


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_a_summary_equals_scipys_t_interval(n):
    values = np.random.default_rng(n).normal(0.8, 0.01, n).tolist()
    summary = summarize(values)
    interval = scipy_stats.t.interval(
        0.95, n - 1, loc=np.mean(values), scale=scipy_stats.sem(values)
    )
    assert summary.ci95 == pytest.approx(interval)
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.std == pytest.approx(np.std(values, ddof=1))


def test_half_the_range_is_the_papers_spread_of_three_seeds_alone():
    assert summarize([0.61, 0.58, 0.66]).half_range == pytest.approx(0.04)
    assert summarize([0.61, 0.58]).half_range is None
    assert summarize([0.61, 0.58, 0.66, 0.6]).half_range is None


def test_too_few_values_have_no_spread():
    assert summarize([0.5]).std is None and summarize([0.5]).ci95 is None
    assert summarize([]).mean is None and summarize([]).n == 0


@pytest.mark.parametrize("n", [2, 3, 10])
def test_equal_accuracies_have_the_interval_of_their_rounding(n):
    # Before, the interval of equal values had no width.
    summary = summarize([0.8] * n, DIGITS)
    reach = scipy_stats.t.ppf(0.975, n - 1) * DIGITS / math.sqrt(12 * n)
    assert (summary.mean, summary.std) == (0.8, 0)
    assert summary.ci95 == pytest.approx((0.8 - reach, 0.8 + reach))


def test_the_floor_changes_nothing_above_it():
    values = [0.61, 0.58, 0.66]
    assert summarize(values, DIGITS) == summarize(values)


def test_equal_values_of_a_metric_without_steps_have_no_interval():
    assert summarize([0.5, 0.5, 0.5]).ci95 is None
    assert summarize([0.1 + 0.2, 0.3, 0.3]).ci95 is None
    assert summarize([0.0, 0.0]).ci95 is None


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_value_that_is_not_finite_leaves_its_own_row_without_numbers(bad):
    summary = summarize([0.5, bad, 0.6], DIGITS)
    assert (summary.n, summary.not_finite) == (3, 1)
    assert (summary.mean, summary.std, summary.half_range, summary.ci95) == (None,) * 4
    assert summarize([bad]).mean is None


def test_values_whose_squares_overflow_are_summarized():
    assert summarize([1e200, 2e200, 3e200]).std == pytest.approx(1e200)


# Differences


@pytest.mark.parametrize("n", [3, 5, 30])
def test_a_paired_difference_equals_scipys_t_test(n):
    random = np.random.default_rng(n)
    values, baseline = random.normal(0.8, 0.01, (2, n)).tolist()
    difference = paired_difference(by_seed(values), by_seed(baseline))
    reference = scipy_stats.ttest_rel(values, baseline)
    assert difference.p == pytest.approx(reference.pvalue)
    assert difference.ci95 == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert difference.std == pytest.approx(np.std(np.subtract(values, baseline), ddof=1))


def test_pairs_are_made_by_seed_and_odd_seeds_left_out():
    difference = paired_difference({2: 0.5, 7: 0.9, 0: 0.4}, {0: 0.3, 2: 0.1})
    assert difference.n_pairs == 2 and difference.delta == pytest.approx(0.25)
    assert paired_difference({1: 0.5}, {2: 0.5}) is None


def test_two_pairs_have_an_interval_and_no_p_and_one_pair_has_neither():
    two = paired_difference({0: 0.5, 1: 0.6}, {0: 0.4, 1: 0.3}, DIGITS)
    assert two.p is None and two.ci95 is not None
    alone = paired_difference({0: 0.5}, {0: 0.4}, DIGITS)
    assert (alone.p, alone.ci95, alone.std) == (None, None, None)
    assert alone.delta == pytest.approx(0.1)


def test_equal_differences_are_no_certainty():
    # Before, p was 0. A difference of two rounded values has twice the variance of one.
    difference = paired_difference(by_seed([0.50, 0.60, 0.70]), by_seed([0.49, 0.59, 0.69]), DIGITS)
    t = 0.01 / (DIGITS * math.sqrt(2 / 12) / math.sqrt(3))
    assert difference.p == pytest.approx(2 * scipy_stats.t.sf(t, 2))
    reach = scipy_stats.t.ppf(0.975, 2) * DIGITS * math.sqrt(2 / 12 / 3)
    assert difference.ci95 == pytest.approx((0.01 - reach, 0.01 + reach))


def test_equal_differences_of_a_metric_without_steps_are_not_tested():
    difference = paired_difference(by_seed([0.3, 0.4, 0.5]), by_seed([0.2, 0.3, 0.4]))
    assert difference.delta == pytest.approx(0.1)
    assert (difference.ci95, difference.p) == (None, None)
    equal = paired_difference(by_seed([0.3, 0.3, 0.3]), by_seed([0.1 + 0.2, 0.3, 0.3]))
    assert (equal.ci95, equal.p) == (None, None)


def test_rows_that_are_equal_seed_by_seed_differ_in_nothing():
    assert paired_difference(BASE, BASE, DIGITS).p == pytest.approx(1)


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_value_that_is_not_finite_spreads_to_no_other_difference(bad):
    baseline = {**BASE, 3: bad}
    assert paired_difference({**VALUES, 3: bad}, BASE | {3: 0.7}) is None
    difference = paired_difference({**VALUES, 3: 0.6}, baseline)
    assert difference.not_finite == 1
    assert difference.ci95 == paired_difference(VALUES, BASE).ci95
    assert paired_difference({3: 0.6}, baseline) is None


# Many comparisons


def holm_by_hand(p_values, planned):
    """Return statsmodels' formula: the running maximum of (m − rank)·p, at most 1."""
    padded = np.sort(np.concatenate([p_values, np.ones(planned - len(p_values))]))
    adjusted = np.maximum.accumulate(padded * np.arange(planned, 0, -1))
    order = {p: min(value, 1.0) for p, value in zip(padded, adjusted, strict=True)}
    return [order[p] for p in p_values]


@pytest.mark.parametrize(("done", "planned"), [(1, 1), (4, 4), (14, 14), (3, 14), (13, 14)])
def test_holm_equals_its_formula_over_all_planned_comparisons(done, planned):
    p_values = np.random.default_rng(done).uniform(0, 0.2, done)
    named = {f"row {place}": p for place, p in enumerate(p_values)}
    adjusted = holm(named, planned)
    assert [adjusted[key] for key in named] == pytest.approx(holm_by_hand(p_values, planned))


def test_holm_equals_rs_p_adjust():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )


def test_a_missing_comparison_makes_no_row_easier():
    whole = holm({"a": 0.01, "b": 0.5, "c": 1.0})
    assert holm({"a": 0.01}, planned=3) == {"a": whole["a"]}
    assert holm({}, planned=3) == {}


def test_a_p_that_is_not_finite_is_in_no_result_and_still_counts():
    # Before, one NaN made every p of the table 1.
    assert holm({"a": 0.01, "b": NAN, "c": 0.02}) == pytest.approx({"a": 0.03, "c": 0.04})


# Counts of collapsed runs


def test_collapse_intervals_equal_scipys_exact_ones():
    for n in (1, 3, 5, 10, 40):
        for k in range(n + 1):
            interval = scipy_stats.binomtest(k, n).proportion_ci(0.95, "exact")
            assert collapse_interval(k, n) == pytest.approx((interval.low, interval.high))
    assert collapse_interval(0, 0) == (0.0, 1.0)


def test_fishers_test_equals_scipys():
    for n1, n2 in itertools.product((0, 1, 3, 5, 10), (1, 3, 5, 12)):
        for k1, k2 in itertools.product(range(n1 + 1), range(n2 + 1)):
            reference = scipy_stats.fisher_exact([[k1, n1 - k1], [k2, n2 - k2]]).pvalue
            assert fisher(k1, n1, k2, n2) == pytest.approx(reference), (k1, n1, k2, n2)


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="4 of 3 runs"):
        collapse_interval(4, 3)
    with pytest.raises(ValueError, match="-1 of 3 runs"):
        fisher(1, 3, -1, 3)


# Simulations


def accuracies(random, count, n, std):
    """Return rows of accuracies on 360 images whose true means lie anywhere between two steps."""
    means = random.uniform(0.8, 0.8 + DIGITS, (count, 1))
    return means, np.round(random.normal(means, std, (count, n)) / DIGITS) * DIGITS


@pytest.mark.parametrize(("n", "std"), [(3, 0.001), (3, 0.005), (5, 0.0025), (10, 0.005)])
def test_the_interval_covers_the_mean_of_rounded_accuracies(n, std):
    means, values = accuracies(np.random.default_rng(0), 1500, n, std)
    covered = 0
    for mean, row in zip(means[:, 0], values.tolist(), strict=True):
        low, high = summarize(row, DIGITS).ci95
        covered += low <= mean <= high
    assert covered / 1500 >= 0.93


@pytest.mark.parametrize(("rows", "n", "std"), [(14, 3, 0.0025), (14, 3, 0.005), (7, 5, 0.005)])
def test_tables_without_differences_rarely_show_one(rows, n, std):
    # A plain t-test gives 30 % of the tables of the first case a false alarm.
    random = np.random.default_rng(0)
    alarms = 0
    for _ in range(150):
        mean = random.uniform(0.8, 0.8 + DIGITS)
        values = np.round(random.normal(mean, std, (rows + 1, n)) / DIGITS) * DIGITS
        baseline, *others = [by_seed(row) for row in values.tolist()]
        p_values = {}
        for key, row in enumerate(others):
            p_values[key] = paired_difference(row, baseline, DIGITS).p
        alarms += min(holm(p_values, rows).values()) < 0.05
    assert alarms / 150 <= 0.1
