"""Draws the marks over an axis: lines with bands and seeds, levels, and places without a value."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.figures.standing import SHAPES, Standing, empty_look
from analysis.figures.style import SMALL_SIZE, SeriesStyle, Theme

_BAND = 0.16


@dataclass(frozen=True)
class Point:
    """A value over an axis, with its interval and its seeds, as drawn."""

    value: float
    interval: Sequence[float] | None = None
    seeds: Sequence[float] = ()
    standing: Standing = Standing.DONE

    def extent(self) -> list[float]:
        """Return all values that it shows."""
        return [self.value, *(self.interval or ()), *self.seeds]


def paint_group(
    axes: Any,
    places: Sequence[float],
    points: Sequence[Point | None],
    style: SeriesStyle,
    theme: Theme,
    breaks: Sequence[float] = (),
    *,
    band: bool = True,
) -> None:
    """Draw the line of a group.

    Args:
        axes: of the panel.
        places: of its points.
        points: its means; None where a row has none.
        style: of the line.
        theme: the colours of what stands back.
        breaks: places that the line crosses dotted, as it does missing points.
        band: whether to fill what lies between the intervals.
    """
    present = [(x, point) for x, point in zip(places, points, strict=True) if point is not None]
    if band:
        _paint_band(axes, present, style)
    missing = [x for x, point in zip(places, points, strict=True) if point is None]
    for (x, point), (next_x, next_point) in itertools.pairwise(present):
        stroke = {"linestyle": style.line, "linewidth": 1.6}
        if any(x < place < next_x for place in (*breaks, *missing)):
            stroke = {"linestyle": ":", "linewidth": 1.0}
        axes.plot(
            [x, next_x],
            [point.value, next_point.value],
            color=style.colour,
            **stroke,
        )
    for x, point in present:
        _paint_point(axes, x, point, style, theme)


def _paint_band(axes: Any, present: Sequence[tuple[float, Point]], style: SeriesStyle) -> None:
    """Draw the band of the intervals; a value without one interrupts it."""
    ends = [point.interval or (math.nan, math.nan) for _, point in present]
    places = [x for x, _ in present]
    lows = [low for low, _ in ends]
    highs = [high for _, high in ends]
    axes.fill_between(places, lows, highs, color=style.colour, alpha=_BAND, linewidth=0)
    for edge in (lows, highs):
        axes.plot(places, edge, color=style.colour, linewidth=0.6, alpha=0.7, gid="band")


def _paint_point(axes: Any, x: float, point: Point, style: SeriesStyle, theme: Theme) -> None:
    """Draw a mean as its row stands, with its interval and its seeds."""
    shape = SHAPES[point.standing]
    marker = style.marker
    if point.standing in (Standing.COLLAPSED, Standing.SPLIT):
        marker = shape.marker
    colour = shape.colour(theme, style.colour)
    if point.interval is not None:
        axes.plot([x, x], point.interval, color=colour, linewidth=1.2, gid="interval")
    axes.plot([x] * len(point.seeds), point.seeds, ".", color=colour, markersize=3.5, gid="seeds")
    axes.plot(
        [x],
        [point.value],
        color=colour,
        marker=marker,
        markersize=6.5,
        markerfacecolor=shape.face(theme, style.colour),
        gid="mean",
    )


def paint_level(axes: Any, point: Point, style: SeriesStyle) -> None:
    """Draw a row that has no place on the axis: its mean over the whole axis, with its interval."""
    axes.axhline(point.value, color=style.colour, linestyle=style.line, linewidth=1.2, gid="level")
    if point.interval is not None:
        axes.axhspan(*point.interval, color=style.colour, alpha=0.1, linewidth=0)


def paint_missing(axes: Any, place: float, words: str, half_width: float, theme: Theme) -> None:
    """Draw the place of a row without a value, with the words that say why."""
    axes.axvspan(
        place - half_width,
        place + half_width,
        **empty_look(theme),
    )
    axes.text(
        place,
        0.05,
        words,
        transform=axes.get_xaxis_transform(),
        rotation=90,
        ha="center",
        va="bottom",
        fontsize=SMALL_SIZE,
        color=theme.muted,
    )
