"""Draws metrics over training: the mean of a variant's seeds, and a band from the lowest to the highest.

A line of few points shows each of them; one of very many is drawn from means over short stretches.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.figures.style import SeriesStyle

Points = Mapping[int, float]
"""Step → value, of one run."""
FEW = 12
"""With fewer points than this a line is marked as one of few."""
_MOST = 240
_MARKED = 7
_BAND = 0.18


@dataclass(frozen=True)
class Curve:
    """A metric of one variant over training.

    Attributes:
        label: for the legend.
        steps: of training.
        means: over the runs that have a finite value there.
        lows: the lowest of those.
        highs: the highest.
        runs: how many there are.
        points: how many steps were logged.
        ends: (step, value) of the last finite values of runs that went on without.
        row: the key of its row; empty for a run by itself.
    """

    label: str
    steps: Sequence[float]
    means: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]
    runs: int
    points: int
    ends: Sequence[tuple[float, float]] = ()
    row: str = ""


def curve_of(label: str, of_runs: Sequence[Points]) -> Curve | None:
    """Return the curve of a variant from the points of its runs; None where none is finite."""
    logged = sorted(set[int]().union(*of_runs))
    stretch = max(1, math.ceil(len(logged) / _MOST))
    place_of = {step: number // stretch for number, step in enumerate(logged)}

    by_place: dict[int, list[float]] = {}
    for points in of_runs:
        for place, mean in _means(points, place_of).items():
            by_place.setdefault(place, []).append(mean)
    if not by_place:
        return None

    places = sorted(by_place)
    stretches = [logged[place * stretch : (place + 1) * stretch] for place in places]
    values = [by_place[place] for place in places]
    return Curve(
        label=label,
        steps=[sum(steps) / len(steps) for steps in stretches],
        means=[math.fsum(each) / len(each) for each in values],
        lows=[min(each) for each in values],
        highs=[max(each) for each in values],
        runs=len(of_runs),
        points=len(logged),
        ends=[*_ends(of_runs)],
    )


def _means(points: Points, place_of: Mapping[int, int]) -> dict[int, float]:
    """Return the mean of a run's finite values at each place."""
    values: dict[int, list[float]] = {}
    for step, value in points.items():
        if math.isfinite(value):
            values.setdefault(place_of[step], []).append(value)
    return {place: math.fsum(each) / len(each) for place, each in values.items()}


def _ends(of_runs: Sequence[Points]) -> Iterator[tuple[float, float]]:
    """Yield the last finite point of each run whose values stop being finite."""
    for points in of_runs:
        steps = sorted(points)
        finite = [step for step in steps if math.isfinite(points[step])]
        if finite and finite[-1] != steps[-1]:
            yield finite[-1], points[finite[-1]]


def curve_label(curve: Curve) -> str:
    """Return a curve's label, which says where it has few points."""
    if curve.points >= FEW:
        return curve.label
    return f"{curve.label} ({curve.points} points)".replace("(1 points)", "(1 point)")


def paint_curve(axes: Any, curve: Curve, style: SeriesStyle, number: int = 0) -> None:
    """Draw a curve with its band; the markers of neighbours in number do not cover each other."""
    if curve.runs > 1:
        axes.fill_between(
            curve.steps, curve.lows, curve.highs, color=style.colour, alpha=_BAND, linewidth=0
        )
        for edge in (curve.lows, curve.highs):
            axes.plot(curve.steps, edge, color=style.colour, linewidth=0.5, alpha=0.7, gid="band")

    # Markers tell lines apart in grey; a line of few points has one at each.
    every = 1
    if curve.points >= FEW:
        every = max(1, len(curve.steps) // _MARKED)
    first = number * every // _MARKED
    axes.plot(
        curve.steps,
        curve.means,
        color=style.colour,
        linestyle=style.line,
        linewidth=1.5,
        marker=style.marker,
        markersize=4.5,
        markevery=(first, every),
        gid="curve",
    )
    for step, value in curve.ends:
        axes.plot([step], [value], "x", color=style.colour, markersize=9, gid="end")


def curve_handle(curve: Curve, style: SeriesStyle, label: str) -> Any:
    """Return the handle of a curve in a legend."""
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        color=style.colour,
        linestyle=style.line,
        marker=style.marker,
        markersize=4.5,
        label=label,
    )
