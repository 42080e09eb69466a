"""Simulates how often the statistics of a table are right: ``python benchmarks/intervals.py``.

    python benchmarks/intervals.py [--seed 0] [--rows 4000] [--tables 1500]

Draws rows and tables whose truth is known, and counts how often an interval covers it, how often a
table shows a difference where there is none, and how often a claim is decided wrongly. It calls
the functions that a report calls; docs/statistics.md shows what it prints. "Textbook" is the same
statistic without a floor at the rounding.
"""

import argparse
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

import numpy as np
from scipy import special

from analysis.papers.claims import Claim
from analysis.tables.reproduces import RowEvidence, Verdict, judge
from analysis.tables.stats import collapse_interval, holm, paired_difference, summarize

SPREADS = (0.001, 0.0025, 0.005)
"""Standard deviations of seeds: .1 to .5 points."""
ROUNDINGS = {"1/360": 1 / 360, "1/10000": 1 / 10_000}
"""Test images of digits and of CIFAR-10."""


def covered_by(interval: tuple[float, float] | None, truth: float) -> bool:
    return interval is not None and interval[0] <= truth <= interval[1]


def rounded_to(values: np.ndarray, step: float) -> np.ndarray:
    """Return accuracies as a test set of 1/step images gives them."""
    return np.round(values / step) * step


def mean_of_rounded(mean: float, std: float, step: float) -> float:
    """Return the mean of normal values that are rounded: what their interval should cover."""
    steps = np.arange(np.floor((mean - 8 * std) / step), np.ceil((mean + 8 * std) / step) + 1)
    upper = special.ndtr(((steps + 0.5) * step - mean) / std)
    lower = special.ndtr(((steps - 0.5) * step - mean) / std)
    return float(((upper - lower) * steps * step).sum())


# Coverage


def coverage_of_normal_seeds(random: np.random.Generator, n: int, count: int) -> float:
    """Return how often the interval covers the mean of normal seeds."""
    values = random.normal(0.8, 0.005, (count, n)).tolist()
    return float(np.mean([covered_by(summarize(row).ci95, 0.8) for row in values]))


def coverage_of_rounded_seeds(
    random: np.random.Generator, n: int, std: float, step: float, count: int
) -> tuple[float, float]:
    """Return the coverage without and with the floor.

    The mean lies anywhere between two steps, because the floor matters more at some places.
    """
    textbook, ours = 0, 0
    for mean in random.uniform(0.8, 0.8 + step, count // 20):
        truth = mean_of_rounded(mean, std, step)
        for values in rounded_to(random.normal(mean, std, (20, n)), step).tolist():
            textbook += covered_by(summarize(values).ci95, truth)
            ours += covered_by(summarize(values, step).ci95, truth)
    drawn = count // 20 * 20
    return textbook / drawn, ours / drawn


def coverage_of_split_rows(random: np.random.Generator, n: int, count: int) -> float:
    """Return the coverage of a row in which 30 % of the seeds collapse from .90 to .35."""
    collapsed = random.random((count, n)) < 0.3
    values = np.where(collapsed, 0.35, 0.90) + random.normal(0, 0.01, (count, n))
    truth = 0.3 * 0.35 + 0.7 * 0.90
    return float(np.mean([covered_by(summarize(row).ci95, truth) for row in values.tolist()]))


def coverage_of_collapse_rates(
    random: np.random.Generator, n: int, rate: float, count: int
) -> float:
    """Return how often Clopper and Pearson's interval covers the rate of collapse."""
    collapsed = random.binomial(n, rate, count).tolist()
    return float(np.mean([covered_by(collapse_interval(k, n), rate) for k in collapsed]))


def stop_when_narrow(
    random: np.random.Generator, reach: float, count: int
) -> tuple[float, float, float]:
    """Return coverage and seeds of rows that add seeds until the interval is narrow enough.

    Seeds have a spread of one point; they start at three and end at twenty. The third number is the
    coverage of rows of as many seeds that were fixed before.
    """
    std, covered, covered_when_fixed, seeds_used = 0.01, 0, 0, 0
    for values in random.normal(0.8, std, (count, 20)).tolist():
        n = 3
        while n < 20 and half_width(values[:n]) > reach:
            n += 1
        covered += covered_by(summarize(values[:n]).ci95, 0.8)
        seeds_used += n
        fresh = random.normal(0.8, std, n).tolist()
        covered_when_fixed += covered_by(summarize(fresh).ci95, 0.8)
    return covered / count, seeds_used / count, covered_when_fixed / count


def half_width(values: Sequence[float]) -> float:
    low, high = summarize(values).ci95
    return (high - low) / 2


# False alarms


def false_alarms(
    random: np.random.Generator, rows: int, n: int, std: float, step: float, count: int
) -> tuple[float, float]:
    """Return how many tables without any difference show one, without and with the floor."""
    textbook, ours = 0, 0
    for mean in random.uniform(0.8, 0.8 + step, count):
        steps = np.round(random.normal(mean, std, (rows + 1, n)) / step)
        textbook += shows_difference(textbook_p_values(steps), rows)
        ours += shows_difference(our_p_values(steps * step, step), rows)
    return textbook / count, ours / count


def shows_difference(p_values: dict[str, float], rows: int) -> bool:
    return min(holm(p_values, planned=rows).values(), default=1.0) < 0.05


def textbook_p_values(steps: np.ndarray) -> dict[str, float]:
    """Return p of each row against the last one; 0 where all differences are equal."""
    differences = steps[:-1] - steps[-1]
    n = differences.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / np.sqrt(n))
    # Where all differences are zero, t is zero divided by zero.
    t = np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf)
    return dict(enumerate((2 * special.stdtr(n - 1, -np.abs(t))).tolist()))


def our_p_values(values: np.ndarray, step: float) -> dict[str, float]:
    baseline = dict(enumerate(values[-1].tolist()))
    p_values = {}
    for row, row_values in enumerate(values[:-1].tolist()):
        difference = paired_difference(dict(enumerate(row_values)), baseline, step)
        if difference.p is not None:
            p_values[row] = difference.p
    return p_values


# Claims

ABOVE = Claim("above", ("first", "second"))
COMPARABLE = Claim("comparable", ("first", "second"), 0.01)


def verdict(claim: Claim, values: np.ndarray, collapsed: np.ndarray | None = None) -> Verdict:
    """Judge two rows; `collapsed` tells for each value whether its run collapsed."""
    evidence = {}
    for place, key in enumerate(("first", "second")):
        row = dict(enumerate(values[place].tolist()))
        count = 0 if collapsed is None else int(collapsed[place].sum())
        evidence[key] = RowEvidence(row, (count, len(row)))
    (judged,) = judge([claim], evidence, 1 / 10_000, {})
    return judged


def wrong_orders(random: np.random.Generator, n: int, count: int) -> float:
    """Return how often an order of two equal rows is decided, either way."""
    values = random.normal(0.8, 0.005, (count, 2, n))
    return float(np.mean([verdict(ABOVE, pair).outcome != "undecided" for pair in values]))


def wrong_orders_of_split_rows(random: np.random.Generator, n: int, count: int) -> float:
    """Return the same of rows in which 30 % of the seeds collapse from .90 to .35."""
    collapsed = random.random((count, 2, n)) < 0.3
    values = np.where(collapsed, 0.35, 0.90) + random.normal(0, 0.01, (count, 2, n))
    verdicts = [verdict(ABOVE, *rows) for rows in zip(values, collapsed, strict=True)]
    return float(np.mean([judged.outcome != "undecided" for judged in verdicts]))


def comparable_at_a_distance(
    random: np.random.Generator, n: int, distance: float, count: int
) -> dict[str, float]:
    """Return how often rows at a distance are held or contradicted to be within one point."""
    means = np.array([[0.8 + distance], [0.8]])
    outcomes = [
        verdict(COMPARABLE, pair).outcome for pair in random.normal(means, 0.003, (count, 2, n))
    ]
    return {word: outcomes.count(word) / count for word in ("held", "contradicted")}


def decided_with_needed_seeds(random: np.random.Generator, count: int) -> float:
    """Return how many orders that five seeds leave undecided are decided by the seeds they need.

    Rows are .5 to 1.5 points apart, seeds have a spread of one point, and 50 seeds are the most.
    """
    undecided, decided = 0, 0
    for distance in random.uniform(0.005, 0.015, count):
        values = random.normal([[0.8 + distance], [0.8]], 0.01, (2, 50))
        needs = verdict(ABOVE, values[:, :5]).needs
        if needs is not None and needs <= 50:
            undecided += 1
            decided += verdict(ABOVE, values[:, :needs]).outcome != "undecided"
    return decided / undecided


# What is printed


def show(title: str, heading: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    print(f"\n{title}\n")
    print("| " + " | ".join(heading) + " |")
    print("|" + "---|" * len(heading))
    for line in lines:
        print("| " + " | ".join(line) + " |")


def percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def show_coverage(random: np.random.Generator, count: int) -> None:
    seeds = (3, 5, 10)
    normal = [percent(coverage_of_normal_seeds(random, n, count)) for n in seeds]
    show("Normal seeds: coverage", [f"n = {n}" for n in seeds], [normal])

    lines = []
    for name, step in ROUNDINGS.items():
        for std in SPREADS:
            cells = [name, f"{100 * std:g}"]
            for n in seeds:
                textbook, ours = coverage_of_rounded_seeds(random, n, std, step, count)
                cells.append(f"{percent(textbook)} → {percent(ours)}")
            lines.append(cells)
    heading = ["step", "sd, points", *[f"n = {n}" for n in seeds]]
    show("Rounded accuracies: coverage, textbook → with the floor", heading, lines)

    split = [percent(coverage_of_split_rows(random, n, count)) for n in seeds]
    show("30 % of the seeds collapsed: coverage", [f"n = {n}" for n in seeds], [split])

    lines = []
    for rate in (0.05, 0.3, 0.5):
        coverages = [coverage_of_collapse_rates(random, n, rate, count) for n in seeds]
        lines.append([percent(rate), *map(percent, coverages)])
    show("Clopper and Pearson: coverage", ["rate", *[f"n = {n}" for n in seeds]], lines)

    lines = []
    for reach in (0.02, 0.01, 0.007):
        covered, seeds_used, fixed = stop_when_narrow(random, reach, count)
        lines.append([f"{100 * reach:g}", f"{seeds_used:.1f}", percent(covered), percent(fixed)])
    heading = ["± wanted, points", "seeds, mean", "coverage", "fresh seeds, as many"]
    show("Seeds added until the interval is narrow (sd 1 point)", heading, lines)


def show_false_alarms(random: np.random.Generator, count: int) -> None:
    seeds = (2, 3, 5)
    lines = []
    for rows in (7, 14):
        for name, step in ROUNDINGS.items():
            for std in SPREADS:
                cells = [str(rows), name, f"{100 * std:g}"]
                for n in seeds:
                    textbook, ours = false_alarms(random, rows, n, std, step, count)
                    cells.append(f"{percent(textbook)} → {percent(ours)}")
                lines.append(cells)
    heading = ["rows", "step", "sd, points", *[f"n = {n}" for n in seeds]]
    show("Tables with a false alarm under Holm, textbook → ours", heading, lines)


def show_claims(random: np.random.Generator, count: int) -> None:
    seeds = (3, 5, 10)
    lines = [
        ["equal rows", *[percent(wrong_orders(random, n, count)) for n in seeds]],
        [
            "the same, 30 % collapsed",
            *[percent(wrong_orders_of_split_rows(random, n, count)) for n in seeds],
        ],
    ]
    heading = ["rows", *[f"n = {n}" for n in seeds]]
    show('"Above" decided without a difference', heading, lines)

    lines = []
    for distance in (0, 0.005, 0.01, 0.015, 0.02):
        shares = [comparable_at_a_distance(random, n, distance, count) for n in seeds]
        cells = [f"{percent(share['held'])} / {percent(share['contradicted'])}" for share in shares]
        lines.append([f"{100 * distance:g}", *cells])
    heading = ["distance, points", *[f"n = {n}" for n in seeds]]
    show('"Comparable within 1 point" (sd .3 points): held / contradicted', heading, lines)
    share = percent(decided_with_needed_seeds(random, count))
    print(f"\nOrders undecided at five seeds, decided by the seeds that they need: {share}")


def timed(work: Callable[[], None]) -> None:
    start = time.perf_counter()
    work()
    print(f"\n{time.perf_counter() - start:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=4000, help="rows for each coverage")
    parser.add_argument("--tables", type=int, default=1500, help="tables for each rate of alarms")
    options = parser.parse_args()

    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy"))
    print(f"seed {options.seed}; Python {platform.python_version()}, {libraries}")
    print(f"{options.rows} rows for each coverage, {options.tables} tables for each rate of alarms")

    random = np.random.default_rng(options.seed)
    timed(lambda: show_coverage(random, options.rows))
    timed(lambda: show_false_alarms(random, options.tables))
    timed(lambda: show_claims(random, options.rows))


if __name__ == "__main__":
    main()
