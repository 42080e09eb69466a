"""Draws a table over the numbers that its rows differ in: one panel for each side.

Rows that agree in all else are joined; a row beside them is a level over the whole axis.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.figures import facts
from analysis.figures.by_row.marks import CHANCE_LINE, standing_of_printed
from analysis.figures.fit import fitted, text_width
from analysis.figures.over_axis.groups import Group, groups_of
from analysis.figures.over_axis.legend import LEVELS, legend_of, styles_of
from analysis.figures.over_axis.marks import Point, paint_group, paint_level, paint_missing
from analysis.figures.over_axis.values import LEAST_VALUES, Axis, Scale, axes_of, scale_of
from analysis.figures.page import Box, Page, columns_for, new_page, panel_title
from analysis.figures.standing import Standing, standing_of, state_words
from analysis.figures.style import SMALL_SIZE, Look, SeriesStyle
from analysis.papers.printed import digits
from analysis.tables.line import Line
from analysis.tables.tidy import Report

_PANEL_HEIGHT = 2.6
_ABOVE = 0.28
_BELOW = 0.62
_LEFT = 0.56
_GAP = 0.2
_FLAT = 0.25
"""Where values cover less than this part of the way from chance, an axis does not go down to it."""
_LEAST_SPAN = 4.0


@dataclass(frozen=True)
class _Side:
    """One side of a table: what its panel shows.

    Attributes:
        title: of the panel.
        metric: at the upright axis.
        chance: in percent.
        point: makes the point of a row; None where it has none.
        words: what is said of a row without a point; empty for nothing.
        names: row → the name of its value.
        style: of a line that is the only one.
        has_band: whether its intervals make a band.
        is_accuracy: whether its numbers lie between 0 and 100.
    """

    title: str
    metric: str
    chance: float | None
    point: Callable[[Line], Point | None]
    words: Callable[[Line], str]
    names: dict[str, str]
    style: SeriesStyle
    has_band: bool
    is_accuracy: bool = True


def is_possible(report: Report) -> bool:
    """Tell whether the rows differ in a number."""
    return _axis(report) is not None


def _axis(report: Report) -> Axis | None:
    """Return the axis with most values over which rows agree in all else; None without one."""
    for axis in axes_of(report):
        lines = [len(group.lines) for group in groups_of(report, axis)]
        if max(lines) >= LEAST_VALUES:
            return axis
    return None


def figure(report: Report, look: Look) -> Any:
    """Return the figure of a table over its axis; its rows differ in a number (`is_possible`)."""
    axis = _axis(report)
    if axis is None:
        raise ValueError("the rows differ in no number: see is_possible")
    groups, left_out = _drawn_groups(report, axis)
    sides: list[_Side] = []
    if facts.has_ours(report):
        sides.append(_ours(report, axis, look))
    if facts.has_published(report) or not sides:
        sides.append(_published(report, axis, look))

    # Panels stand side by side where there is room.
    columns = columns_for(look, len(sides))
    storeys = -(-len(sides) // columns)
    footers = facts.footers(report, "mean, band of 95% t-intervals, a dot per seed")
    if left_out:
        footers.append(f"Not drawn, since they stand beside the axis: {'; '.join(left_out)}.")
    storey = _ABOVE + _PANEL_HEIGHT + _BELOW
    title = report.table.rows.title
    page = new_page(look, title, storeys * storey, legend_of(report, groups, look), footers)

    for side, room in zip(sides, page.rooms(len(sides), columns, storey), strict=True):
        width = room.width - _LEFT - _GAP
        box = Box(room.left + _LEFT, room.top + _ABOVE, width, _PANEL_HEIGHT)
        _draw_side(page, box, side, axis, groups)
    return page.figure


def _drawn_groups(report: Report, axis: Axis) -> tuple[list[Group], list[str]]:
    """Return the lines with as many levels as can be told apart, and the labels of the others."""
    groups = groups_of(report, axis)
    lines = [group for group in groups if not group.is_level]
    levels = [group for group in groups if group.is_level]
    left_out = [group.label for group in levels[len(LEVELS) :]]
    return [*lines, *levels[: len(LEVELS)]], left_out


def _ours(report: Report, axis: Axis, look: Look) -> _Side:
    def point(line: Line) -> Point | None:
        if line.summary.mean is None:
            return None
        point = Point(
            value=facts.PERCENT * line.summary.mean,
            interval=facts.interval_of(line.summary.ci95),
            seeds=facts.in_percent([*line.values.values()]),
            standing=standing_of(line),
        )
        if point.standing == Standing.SPLIT:
            return replace(point, interval=None)
        return point

    return _Side(
        title=facts.ours_name(report),
        metric=facts.ours_metric(report),
        chance=facts.chance_of_ours(report),
        point=point,
        words=state_words,
        names={row: digits(value) for row, value in axis.values.items()},
        style=replace(look.series(0), colour=look.theme.ours),
        has_band=True,
    )


def _published(report: Report, axis: Axis, look: Look) -> _Side:
    factor = facts.published_factor(report)

    def point(line: Line) -> Point | None:
        printed = line.row.published
        if printed.value is None:
            return None
        point = Point(factor * printed.value, standing=standing_of_printed(printed))
        if printed.pm is None:
            return point
        ends = [printed.value - printed.pm, printed.value + printed.pm]
        return replace(point, interval=facts.interval_of(ends, factor))

    return _Side(
        title=facts.published_name(report),
        metric=facts.published_metric(report),
        chance=facts.chance_of_published(report),
        point=point,
        words=lambda line: line.row.published.text or "not printed",
        names=dict(axis.printed),
        style=replace(look.series(0), colour=look.theme.published, marker="D"),
        has_band=False,
        is_accuracy=factor == facts.PERCENT,
    )


def _draw_side(page: Page, box: Box, side: _Side, axis: Axis, groups: Sequence[Group]) -> None:
    """Draw one panel."""
    axes = page.axes(box)
    names = {axis.values[row]: name for row, name in side.names.items()}
    widest = max(text_width(name, SMALL_SIZE) for name in names.values())
    scale = scale_of(axis, 0.9 * box.width, widest + 0.06)
    points = {line.row.key: side.point(line) for group in groups for line in group.lines}
    is_seen = _set_limits(axes, [point for point in points.values() if point], side)
    if side.chance is not None and is_seen:
        ink = page.look.theme.muted
        axes.axhline(side.chance, color=ink, linestyle=CHANCE_LINE, linewidth=1.1, gid="chance")
    _set_labels(axes, box, side, axis, scale)

    for group, style in zip(groups, styles_of(groups, page.look, side.style), strict=True):
        own = [points[line.row.key] for line in group.lines]
        if group.is_level and own[0] is not None:
            paint_level(axes, own[0], style)
        elif not group.is_level:
            places = [scale.places[axis.values[line.row.key]] for line in group.lines]
            breaks = scale.breaks
            paint_group(axes, places, own, style, page.look.theme, breaks, band=side.has_band)

    for step, words in _missing(axis, groups, points, side).items():
        text = fitted(words, 0.8 * box.height, SMALL_SIZE, 1)
        paint_missing(axes, scale.places[step], text, _band(scale), page.look.theme)


def _missing(
    axis: Axis, groups: Sequence[Group], points: Mapping[str, Point | None], side: _Side
) -> dict[float, str]:
    """Return the values at which no line has a point, with the words that say why."""
    words: dict[float, list[str]] = {}
    taken: set[float] = set()
    for group in groups:
        if group.is_level:
            continue
        for line in group.lines:
            step = axis.values[line.row.key]
            words.setdefault(step, []).append(side.words(line))
            if points[line.row.key] is not None:
                taken.add(step)
    return {
        step: ", ".join(dict.fromkeys(of_step))
        for step, of_step in words.items()
        if step not in taken
    }


def _set_labels(axes: Any, box: Box, side: _Side, axis: Axis, scale: Scale) -> None:
    """Set where values stand, and say what the axes are, once their limits are set."""
    names = {axis.values[row]: name for row, name in side.names.items()}
    axes.set_xticks([scale.places[step] for step in axis.steps], [names[s] for s in axis.steps])
    places = [*scale.places.values()]
    room = 0.05 * (max(places) - min(places))
    axes.set_xlim(min(places) - room, max(places) + room)
    axes.grid(axis="y")
    for place in scale.breaks:
        below = axes.get_xaxis_transform()
        axes.text(place, 0, "//", transform=below, ha="center", va="center", fontsize=SMALL_SIZE)

    name = axis.name
    if scale.words:
        name += f" ({scale.words})"
    if side.chance is not None and side.chance < axes.get_ylim()[0]:
        name += f". Chance, {side.chance:g}, lies below this axis"
    axes.set_xlabel(fitted(name, box.width, SMALL_SIZE, 2), loc="left")
    axes.set_ylabel(fitted(side.metric, box.height, SMALL_SIZE, 1))
    panel_title(axes, side.title, box.width, lines=1)


def _set_limits(axes: Any, points: Sequence[Point], side: _Side) -> bool:
    """Set the limits of the upright axis, and tell whether it shows chance."""
    chance = side.chance
    values = [value for point in points for value in point.extent()] or [0.0, facts.PERCENT]
    if side.is_accuracy:
        values = facts.within_percent(values)
    low, high = min(values), max(values)
    is_seen = chance is not None and high - low >= _FLAT * (high - chance)
    if chance is not None and is_seen:
        low, high = min(low, chance), max(high, chance)

    # Equal values do not fill an axis with their last digits.
    lacking = max(0.0, _LEAST_SPAN - (high - low)) / 2
    room = 0.06 * (high - low) + lacking
    axes.set_ylim(low - room, high + room)
    return is_seen


def _band(scale: Scale) -> float:
    """Return how wide the band of a missing value is."""
    places = [*scale.places.values()]
    return 0.035 * (max(places) - min(places))
