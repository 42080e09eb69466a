"""Does it reproduce? Claims against constructed evidence, for each outcome; our order and numbers
beside the printed ones.
"""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from analysis.papers.claims import Claim
from analysis.tables.agreement import compare_with_published, rank_agreement
from analysis.tables.reproduces import RowEvidence, judge, points
from analysis.tables.stats import paired_difference, summarize

STEP = 1 / 1000
ABOVE = Claim("above", ("a", "b"))
COLLAPSES = Claim("collapses", ("a",))
LEARNS = Claim("learns", ("a",))
WOBBLE = [0.000, 0.004, -0.003, 0.002, -0.004, 0.001, 0.003, -0.002]


def comparable(margin):
    return Claim("comparable", ("a", "b"), margin)


def row(mean, n=5, shift=0, **facts):
    """A row that learns around a mean; rows of other shifts do not wobble alike."""
    values = {seed: mean + WOBBLE[(seed * (shift + 1) + shift) % 8] for seed in range(n)}
    return RowEvidence(values, **{"collapsed": (0, n), "chance": 0.1, **facts})


def verdict(claim, published=None, **evidence):
    (judged,) = judge([claim], evidence, STEP, published or {})
    assert judged.claim is claim
    return judged


# Order


@pytest.mark.parametrize(
    ("second", "outcome", "reason"),
    [
        (0.80, "held", "the interval lies above 0"),
        (0.97, "contradicted", "the interval lies below 0"),
        (0.90, "undecided", "the interval holds 0"),
    ],
)
def test_an_order_follows_the_interval_of_the_paired_difference(second, outcome, reason):
    first, other = row(0.9), row(second, shift=2)
    judged = verdict(ABOVE, a=first, b=other)
    assert (judged.outcome, judged.reason) == (outcome, reason)
    low, high = paired_difference(first.values, other.values, STEP).ci95
    assert f"[{points(low)}, {points(high)}] points, n 5" in judged.numbers


def test_the_seeds_an_order_needs_are_the_first_whose_interval_leaves_zero():
    first, other = row(0.9), row(0.898, shift=2)
    needs = verdict(ABOVE, a=first, b=other).needs
    difference = paired_difference(first.values, other.values, STEP)
    t = [difference.delta / difference.std * math.sqrt(n) for n in (needs - 1, needs)]
    limits = scipy_stats.t.ppf(0.975, [needs - 2, needs - 1])
    assert needs > 5 and abs(t[0]) <= limits[0] and abs(t[1]) > limits[1]


def test_what_is_decided_or_out_of_reach_needs_no_seeds():
    assert verdict(ABOVE, a=row(0.9), b=row(0.8, shift=2)).needs is None
    equal = verdict(ABOVE, a=row(0.9), b=row(0.9))
    assert (equal.outcome, equal.needs) == ("undecided", None)


def test_published_numbers_stand_beside_ours():
    judged = verdict(ABOVE, {"a": 0.743, "b": 0.739}, a=row(0.9), b=row(0.8, shift=2))
    assert judged.numbers.endswith("points, n 5; published +0.4")
    assert (
        "published" not in verdict(ABOVE, {"a": 0.743, "b": None}, a=row(0.9), b=row(0.8)).numbers
    )


# Equivalence


@pytest.mark.parametrize(
    ("second", "margin", "outcome"),
    [
        (0.90, 0.02, "held"),
        (0.84, 0.02, "contradicted"),
        (0.96, 0.02, "contradicted"),
        (0.90, 0.001, "undecided"),
        (0.88, 0.02, "undecided"),
    ],
)
def test_rows_are_comparable_where_the_whole_interval_lies_within_the_margin(
    second, margin, outcome
):
    assert verdict(comparable(margin), a=row(0.9), b=row(second, shift=2)).outcome == outcome


def test_a_difference_that_is_not_significant_is_not_comparability():
    # Five noisy seeds: no p below .05, and still no word on whether they differ by a point.
    noisy = RowEvidence({seed: 0.9 + 20 * WOBBLE[seed] for seed in range(5)}, (0, 5))
    judged = verdict(comparable(0.01), a=row(0.9), b=noisy)
    assert paired_difference(row(0.9).values, noisy.values, STEP).p > 0.05
    assert judged.outcome == "undecided"


def test_equivalence_is_two_one_sided_tests_at_two_and_a_half_percent():
    random = np.random.default_rng(0)
    for _ in range(50):
        values, baseline = random.normal(0.9, 0.01, (2, 5)).tolist()
        difference = np.subtract(values, baseline)
        lower = scipy_stats.ttest_1samp(difference, -0.015, alternative="greater").pvalue
        upper = scipy_stats.ttest_1samp(difference, 0.015, alternative="less").pvalue
        evidence = [RowEvidence(dict(enumerate(some)), (0, 5)) for some in (values, baseline)]
        judged = verdict(comparable(0.015), a=evidence[0], b=evidence[1])
        assert (judged.outcome == "held") == (max(lower, upper) < 0.025)


# Few seeds, and evidence that cannot be used


@pytest.mark.parametrize("n", [1, 2])
def test_a_table_of_too_few_seeds_decides_nothing(n):
    claims = [ABOVE, comparable(0.5), COLLAPSES, LEARNS]
    evidence = {"a": row(0.9, n), "b": row(0.2, n, shift=2)}
    verdicts = judge(claims, evidence, STEP, {})
    assert {one.outcome for one in verdicts} == {"undecided"}
    assert [one.needs for one in verdicts[2:]] == [5, 5]


def test_two_seeds_say_how_many_would_do():
    judged = verdict(ABOVE, a=row(0.9, 2), b=row(0.8, 2, shift=2))
    assert judged.reason == "needs 3 pairs or more" and judged.needs == 3
    assert verdict(ABOVE, a=row(0.9, 1), b=row(0.8, 1)).needs is None


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (None, "b: no runs"),
        (RowEvidence({}, usable=False, why_not="confounded: lr 0.1 | 0.2"), "b: confounded"),
        (RowEvidence({}, usable=False), "b: no number that may be compared"),
        (RowEvidence({0: 0.5, 1: math.nan}), "b: a value is not finite"),
        (RowEvidence({7: 0.5, 8: 0.6, 9: 0.7}), "the two rows share no seed"),
        (RowEvidence({}), "the two rows share no seed"),
    ],
)
def test_what_cannot_be_compared_is_undecided_with_its_reason(other, reason):
    evidence = {"a": row(0.9)} | ({} if other is None else {"b": other})
    for claim in (ABOVE, comparable(0.5)):
        (judged,) = judge([claim], evidence, STEP, {"a": 0.9, "b": 0.8})
        assert judged.outcome == "undecided" and judged.needs is None
        assert judged.reason.startswith(reason)


def test_an_unusable_row_leaves_other_claims_alone():
    claims = [ABOVE, Claim("above", ("a", "c"))]
    evidence = {
        "a": row(0.9),
        "b": RowEvidence({0: math.nan}),
        "c": row(0.8, shift=2),
    }
    assert [one.outcome for one in judge(claims, evidence, STEP, {})] == ["undecided", "held"]


def test_equal_differences_of_a_metric_without_steps_decide_nothing():
    (judged,) = judge([ABOVE], {"a": row(0.9), "b": row(0.8)}, 0.0, {})
    assert judged.outcome == "undecided" and "no spread" in judged.reason


# Split rows


def split(values, collapsed):
    return RowEvidence(dict(enumerate(values)), (collapsed, len(values)))


def test_a_row_with_some_collapsed_seeds_is_judged_by_pairs():
    # The t-interval of these six differences holds 0; that all six agree does not hang on it.
    some = split([0.3, 0.3, 0.88, 0.87, 0.86, 0.85], 2)
    judged = verdict(ABOVE, a=row(0.9, 6), b=some)
    low, high = paired_difference(row(0.9, 6).values, some.values, STEP).ci95
    assert low < 0 < high and judged.outcome == "held"
    assert judged.numbers == "first row better in 6 of 6 pairs, worse in 0"
    assert verdict(ABOVE, a=some, b=row(0.9, 6)).outcome == "contradicted"


def test_five_pairs_of_a_split_row_decide_nothing_and_six_would():
    some = split([0.3, 0.3, 0.88, 0.87, 0.86], 2)
    judged = verdict(ABOVE, a=row(0.9), b=some)
    assert (judged.outcome, judged.needs) == ("undecided", 6)
    mixed = split([0.3, 0.3, 0.95, 0.95, 0.3], 3)
    assert verdict(ABOVE, a=row(0.9), b=mixed).needs is None


def test_a_split_row_is_comparable_with_nothing():
    some = split([0.899, 0.9, 0.901, 0.9, 0.9, 0.9], 1)
    assert verdict(comparable(0.1), a=row(0.9, 6), b=some).outcome == "undecided"


# Collapse


@pytest.mark.parametrize(
    ("collapsed", "outcome", "needs"),
    [
        ((5, 5), "held", None),
        ((20, 20), "held", None),
        ((0, 5), "contradicted", None),
        ((2, 5), "contradicted", None),
        ((3, 5), "undecided", None),
        ((4, 5), "undecided", None),
        ((5, 10), "undecided", None),
        ((4, 4), "undecided", 5),
        ((0, 4), "undecided", 5),
        ((0, 0), "undecided", 5),
        (None, "undecided", None),
    ],
)
def test_a_row_collapses_if_five_runs_and_all_of_them_do(collapsed, outcome, needs):
    judged = verdict(COLLAPSES, a=RowEvidence({}, collapsed))
    assert (judged.outcome, judged.needs) == (outcome, needs)


def test_a_collapse_shows_the_interval_of_its_rate():
    low = scipy_stats.binomtest(5, 5).proportion_ci(0.95, "exact").low
    judged = verdict(COLLAPSES, a=RowEvidence({}, (5, 5)))
    assert judged.numbers == f"5/5 collapsed [{100 * low:.0f} %, 100 %]"


# Learning

CONTROL = {seed: 0.35 + WOBBLE[-seed] for seed in range(5)}


@pytest.mark.parametrize(
    ("evidence", "outcome", "reason"),
    [
        (row(0.9, untrained=CONTROL), "held", "the interval lies above 0"),
        (row(0.2, untrained=CONTROL), "contradicted", "the interval lies below 0"),
        (row(0.35, shift=2, untrained=CONTROL), "undecided", "the interval holds 0"),
        (row(0.9), "held", "the interval lies above 0"),
        (row(0.1, shift=2), "undecided", "the interval holds 0"),
        (row(0.9, untrained=CONTROL, collapsed=(1, 5)), "undecided", "some runs collapsed"),
        (row(0.9, untrained=CONTROL, collapsed=(3, 5)), "contradicted", "most runs collapsed"),
        (row(0.9, untrained=CONTROL, collapsed=None), "undecided", "no run says"),
        (row(0.9, chance=None), "undecided", "neither an untrained control nor chance"),
        (row(0.9, untrained={}), "undecided", "no seed that could be compared"),
        (row(0.9, untrained={0: math.nan}), "undecided", "no seed that could be compared"),
        (row(0.9, untrained={0: 0.3}), "undecided", "needs 3 pairs or more"),
        (RowEvidence({}, (0, 5), chance=0.1), "undecided", "no seed that could be compared"),
    ],
)
def test_a_row_learns_if_no_run_collapses_and_it_beats_its_untrained_control(
    evidence, outcome, reason
):
    judged = verdict(LEARNS, a=evidence)
    assert judged.outcome == outcome and judged.reason.startswith(reason)


def test_below_five_runs_nothing_is_known_to_learn():
    judged = verdict(LEARNS, a=row(0.9, 4, untrained=CONTROL))
    assert (judged.outcome, judged.needs, judged.reason) == ("undecided", 5, "needs 5 runs")


def test_learning_says_what_it_is_measured_against():
    numbers = verdict(LEARNS, a=row(0.9, untrained=CONTROL)).numbers
    assert "n 5 over untrained; 0/5 collapsed [0 %, 52 %]" in numbers
    assert "over chance, no untrained control" in verdict(LEARNS, a=row(0.9)).numbers
    mean = np.mean([*row(0.9).values.values()])
    assert verdict(LEARNS, a=row(0.9)).numbers.startswith(points(mean - 0.1))


# Properties

OPPOSITE = {"held": "contradicted", "contradicted": "held", "undecided": "undecided"}


def random_pairs(count):
    """Pairs of rows of three to eight seeds, some far apart, some not, some split."""
    random = np.random.default_rng(1)
    for _ in range(count):
        n = int(random.integers(3, 9))
        distance = random.choice([0.0, 0.01, 0.05])
        rows = random.normal([[0.8], [0.8 + distance]], 0.01, (2, n)).tolist()
        collapsed = [(int(random.choice([0, 0, 0, 1])), n) for _ in rows]
        yield [
            RowEvidence(dict(enumerate(values)), k)
            for values, k in zip(rows, collapsed, strict=True)
        ]


def test_claims_are_symmetric():
    seen = set()
    for first, second in random_pairs(200):
        forwards = verdict(ABOVE, a=first, b=second)
        backwards = verdict(ABOVE, a=second, b=first)
        seen.add(forwards.outcome)
        assert backwards.outcome == OPPOSITE[forwards.outcome]
        assert backwards.needs == forwards.needs
        one_way, other_way = (
            verdict(comparable(0.02), a=first, b=second),
            verdict(comparable(0.02), a=second, b=first),
        )
        assert (one_way.outcome, one_way.needs) == (other_way.outcome, other_way.needs)
    assert len(seen) >= 2


def test_more_of_the_same_never_turns_a_claim_round():
    for first, second in random_pairs(100):
        longer = [
            RowEvidence(
                {**evidence.values, **{seed + 100: v for seed, v in evidence.values.items()}},
                (2 * evidence.collapsed[0], 2 * evidence.collapsed[1]),
            )
            for evidence in (first, second)
        ]
        for claim in (ABOVE, comparable(0.02), COLLAPSES, LEARNS):
            before = verdict(claim, a=first, b=second).outcome
            after = verdict(claim, a=longer[0], b=longer[1]).outcome
            assert before == "undecided" or after == before


def test_needed_seeds_decide_where_the_same_differences_go_on():
    differences = [0.004, 0.012, -0.004, 0.01, 0.000]
    for claim in (ABOVE, comparable(0.02)):
        flat = RowEvidence(dict.fromkeys(range(5), 0.5), (0, 5))
        first = RowEvidence({seed: 0.5 + d for seed, d in enumerate(differences)}, (0, 5))
        needs = judge([claim], {"a": first, "b": flat}, 0.0, {})[0].needs
        if needs is None:
            continue
        many = range(5 * math.ceil(needs / 5))
        first = RowEvidence({seed: 0.5 + differences[seed % 5] for seed in many}, (0, 5))
        flat = RowEvidence(dict.fromkeys(many, 0.5), (0, 5))
        assert judge([claim], {"a": first, "b": flat}, 0.0, {})[0].outcome == "held"


# The printed side


def test_rank_agreement_equals_scipys_tau_b():
    random = np.random.default_rng(2)
    for n in (3, 5, 9):
        ours = np.round(random.uniform(0, 1, n), 1)
        printed = random.permutation(n) / n
        agreement = rank_agreement(dict(enumerate(ours)), dict(enumerate(printed)))
        expected = scipy_stats.kendalltau(ours, printed).statistic
        if agreement is None:
            assert math.isnan(expected)
        else:
            assert agreement.tau == pytest.approx(expected) and agreement.n == n


def test_rows_that_are_tied_in_print_have_no_order():
    ours = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.2, "e": 0.1}
    published = {"a": 0.7, "b": 0.6, "c": 0.5, "d": 0.001, "e": 0.001}
    agreement = rank_agreement(ours, published)
    assert (agreement.tau, agreement.n, agreement.tied_in_print) == (1, 3, 2)
    assert rank_agreement({**ours, "e": None}, published).n == 4


@pytest.mark.parametrize(
    ("ours", "published"),
    [
        ({"a": 0.9, "b": 0.8}, {"a": 0.7, "b": 0.6}),
        ({"a": 0.9, "b": 0.8, "c": None}, {"a": 0.7, "b": 0.6, "c": 0.5}),
        ({"a": 0.9, "b": 0.8, "c": math.nan}, {"a": 0.7, "b": 0.6, "c": 0.5}),
        ({"a": 0.9, "b": 0.8, "c": 0.7}, {"a": 0.7, "b": 0.6, "c": None}),
        ({"a": 0.9, "b": 0.9, "c": 0.9}, {"a": 0.7, "b": 0.6, "c": 0.5}),
        ({}, {}),
    ],
)
def test_fewer_than_three_rows_have_no_rank_agreement(ours, published):
    assert rank_agreement(ours, published) is None


OURS = summarize([0.740, 0.743, 0.746])


@pytest.mark.parametrize(
    ("published", "place", "text"),
    [
        (0.743, "inside", "published 74.3 lies inside [73.6, 75.0], n 3"),
        (0.725, "outside", "published 72.5 lies 1.1 points below [73.6, 75.0], n 3"),
        (0.76, "outside", "published 76.0 lies 1.0 points above [73.6, 75.0], n 3"),
        ((0.72, 0.74), "inside", "published 72.0 to 74.0 lies inside [73.6, 75.0], n 3"),
        ((0.7, 0.72), "outside", "published 70.0 to 72.0 lies 1.6 points below"),
        (None, "not comparable", "nothing is printed"),
    ],
)
def test_a_printed_number_lies_inside_or_outside_our_interval(published, place, text):
    comparison = compare_with_published(OURS, published, same_setting=True)
    assert comparison.place == place and comparison.text.startswith(text)


def test_numbers_of_another_setting_are_not_compared():
    comparison = compare_with_published(OURS, 0.743, False, "epochs 30, printed at 300")
    assert (comparison.place, comparison.text) == ("not comparable", "epochs 30, printed at 300")
    alone = compare_with_published(summarize([0.743]), 0.743, True)
    assert (alone.place, alone.text) == ("not comparable", "ours has no interval, n 1")
    no_number = compare_with_published(summarize([math.nan, 0.7]), 0.743, True)
    assert no_number.place == "not comparable"


def test_points_never_print_a_difference_as_zero_that_two_digits_show():
    assert [points(value) for value in (0.0123, -0.0004, 0.00001, -1e-17, 0.0)] == [
        "+1.2",
        "-0.04",
        "0.0",
        "0.0",
        "0.0",
    ]
