"""Draws the marks of rows: means with intervals and seeds, published values, and rows without a number."""

from collections.abc import Collection, Sequence
from typing import Any

from analysis.figures.facts import in_percent
from analysis.figures.standing import SHAPES, Standing, empty_look
from analysis.figures.style import Theme
from analysis.papers.printed import Published

_HALF_BAND = 0.09
_BELOW_MEAN = 0.09
_ARROW = 0.05
CHANCE_LINE = (0, (4, 3))
CONTROL_LINE = (0, (1, 1.5))


def paint_mean(
    axes: Any,
    height: float,
    standing: Standing,
    mean: float,
    interval: Sequence[float] | None,
    theme: Theme,
) -> None:
    """Draw a mean with its interval; a row that is split has neither."""
    shape = SHAPES[standing]
    colour = shape.colour(theme, theme.ours)
    if interval is not None:
        axes.plot(
            interval,
            [height, height],
            color=colour,
            linestyle=shape.line,
            linewidth=2.0,
            gid="interval",
        )
    axes.plot(
        [mean],
        [height],
        color=colour,
        marker=shape.marker,
        markersize=7,
        markerfacecolor=shape.face(theme, theme.ours),
        linestyle="none",
        clip_on=False,
        gid="mean",
    )


def paint_seeds(
    axes: Any, height: float, standing: Standing, values: Collection[float], theme: Theme
) -> None:
    """Draw the value of each seed: ticks below the mean, or of a split row its own markers."""
    shape = SHAPES[standing]
    colour = shape.colour(theme, theme.ours)
    marks = {"marker": "|", "markersize": 5, "linestyle": "none"}
    heights = [height + _BELOW_MEAN] * len(values)
    if standing == Standing.SPLIT:
        marks = {"marker": shape.marker, "markersize": 6, "linestyle": shape.line}
        heights = [height] * len(values)
    axes.plot(
        in_percent([*values]),
        heights,
        color=colour,
        markerfacecolor=theme.background,
        markeredgewidth=1.0,
        linewidth=0.8,
        clip_on=False,
        gid="seeds",
        **marks,
    )


def paint_empty(axes: Any, height: float, theme: Theme) -> None:
    """Draw the band of a row without a number."""
    axes.axhspan(
        height - _HALF_BAND,
        height + _HALF_BAND,
        **empty_look(theme),
    )


def paint_published(
    axes: Any, height: float, published: Published, factor: int, theme: Theme
) -> None:
    """Draw what is printed: a value with its ±, or a bound as an arrow or a bar."""
    if published.bound is not None:
        _paint_bound(axes, height, published, factor, theme)
    if published.value is None:
        return
    value = factor * published.value
    if published.pm is not None:
        ends = [value - factor * published.pm, value + factor * published.pm]
        axes.plot(ends, [height, height], color=theme.published, marker="|", markersize=5)
    axes.plot(
        [value],
        [height],
        color=theme.published,
        marker="D",
        markersize=6,
        markerfacecolor=SHAPES[standing_of_printed(published)].face(theme, theme.published),
        linestyle="none",
        clip_on=False,
        gid="published",
    )


def standing_of_printed(published: Published) -> Standing:
    """Return how a printed value looks: hollow where it was read off, or is of another source."""
    if published.approximate or published.source:
        return Standing.INCOMPLETE
    return Standing.DONE


def _paint_bound(axes: Any, height: float, published: Published, factor: int, theme: Theme) -> None:
    """Draw a bar between two bounds, or an arrow that begins at the one bound."""
    low = factor * (published.low or 0.0)
    left, right = axes.get_xlim()
    high = low + _ARROW * (right - left)
    marker = ">"
    if published.high is not None:
        high = factor * published.high
        marker = "|"
    axes.plot([low, high], [height, height], color=theme.published, linewidth=2, gid="bound")
    axes.plot([low], [height], color=theme.published, marker="|", markersize=9)
    axes.plot([high], [height], color=theme.published, marker=marker, clip_on=False)
