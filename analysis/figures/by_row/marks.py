"""Draws the marks of rows: means with intervals and seeds, published values, and rows without a number."""

from collections.abc import Collection, Sequence
from typing import Any

from analysis.figures.facts import in_percent
from analysis.figures.standing import SHAPES, Standing
from analysis.figures.style import Theme
from analysis.papers.printed import Published

EMPTY_HATCH = "//////"
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
    colour = theme.muted if shape.is_muted else theme.ours
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
        markerfacecolor=_face(theme) if shape.is_hollow else colour,
        linestyle="none",
        clip_on=False,
        gid="mean",
    )


def paint_seeds(
    axes: Any, height: float, standing: Standing, values: Collection[float], theme: Theme
) -> None:
    """Draw the value of each seed: ticks below the mean, or of a split row its own markers."""
    is_split = standing == Standing.SPLIT
    shape = SHAPES[standing]
    axes.plot(
        in_percent([*values]),
        [height if is_split else height + _BELOW_MEAN] * len(values),
        color=theme.muted if shape.is_muted else theme.ours,
        marker=shape.marker if is_split else "|",
        markersize=6 if is_split else 5,
        markerfacecolor=_face(theme),
        markeredgewidth=1.0,
        linestyle=shape.line if is_split else "none",
        linewidth=0.8,
        clip_on=False,
        gid="seeds",
    )


def paint_empty(axes: Any, height: float, theme: Theme) -> None:
    """Draw the band of a row without a number."""
    axes.axhspan(
        height - _HALF_BAND,
        height + _HALF_BAND,
        facecolor="none",
        edgecolor=theme.grid,
        hatch=EMPTY_HATCH,
        linewidth=0,
        gid="empty",
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
        markerfacecolor=_face(theme) if is_open(published) else theme.published,
        linestyle="none",
        clip_on=False,
        gid="published",
    )


def is_open(published: Published) -> bool:
    """Tell whether a printed value is not quite the table's own: read off, or of another source."""
    return published.approximate or bool(published.source)


def _paint_bound(axes: Any, height: float, published: Published, factor: int, theme: Theme) -> None:
    """Draw a bar between two bounds, or an arrow that begins at the one bound."""
    low = factor * (published.low or 0.0)
    left, right = axes.get_xlim()
    is_arrow = published.high is None
    high = low + _ARROW * (right - left)
    if published.high is not None:
        high = factor * published.high
    axes.plot([low, high], [height, height], color=theme.published, linewidth=2, gid="bound")
    axes.plot([low], [height], color=theme.published, marker="|", markersize=9)
    axes.plot(
        [high], [height], color=theme.published, marker=">" if is_arrow else "|", clip_on=False
    )


def _face(theme: Theme) -> str:
    """Return what fills a hollow marker: the background, so that no line shines through."""
    return theme.background
