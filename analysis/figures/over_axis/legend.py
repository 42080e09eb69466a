"""Gives the lines over an axis their styles, and explains them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from analysis.figures import facts
from analysis.figures.by_row import legend as row_legend
from analysis.figures.by_row.marks import CONTROL_LINE
from analysis.figures.over_axis.groups import Group
from analysis.figures.standing import SHAPES, Standing, standing_of
from analysis.figures.style import Look, SeriesStyle
from analysis.tables.tidy import Report

LEVELS = (CONTROL_LINE, (0, (9, 3)), (0, (5, 2, 1, 2)), (0, (1, 4)))
"""The lines of rows beside the axis, of which no more are drawn; that of chance is another."""


def styles_of(groups: Sequence[Group], look: Look, only: SeriesStyle) -> list[SeriesStyle]:
    """Return how each group looks.

    Args:
        groups: the lines, then the levels.
        look: the variant of the figure.
        only: how a line looks that is the only one.
    """
    lines = [group for group in groups if not group.is_level]
    styles = [look.series(number) for number in range(len(lines))]
    if len(lines) == 1:
        styles = [only]
    level = SeriesStyle(look.theme.ink, "", "-", "")
    for number in range(len(groups) - len(lines)):
        styles.append(replace(level, line=LEVELS[number % len(LEVELS)]))
    return styles


def legend_of(report: Report, groups: Sequence[Group], look: Look) -> list[Any]:
    """Return the handles: of the lines where there are several, of levels, and of marks."""
    from matplotlib.lines import Line2D

    is_single = sum(not group.is_level for group in groups) == 1
    handles: list[Any] = []
    for group, style in zip(groups, styles_of(groups, look, look.series(0)), strict=True):
        if group.is_level or not is_single:
            handles.append(
                Line2D(
                    [],
                    [],
                    color=style.colour,
                    linestyle=style.line,
                    marker=style.marker,
                    label=_words(group),
                )
            )
    if is_single:
        # A printed number that is a level has no diamond.
        printed = [
            line.row.published for group in groups for line in group.lines if not group.is_level
        ]
        marks = row_legend.legend_of(report, look, printed, with_control=False)
        return [*marks, *handles]
    return [*handles, *_standings(report, look), *row_legend.chance_handles(report, look.theme)]


def _words(group: Group) -> str:
    """Return what a group is; the interval of a level is a band over the whole axis."""
    has_band = group.is_level and any(line.summary.ci95 is not None for line in group.lines)
    return f"{group.label}, band: its 95% interval" if has_band else group.label


def _standings(report: Report, look: Look) -> list[Any]:
    """Return the handles of rows that are not simply done, in no line's colour."""
    theme = replace(look.theme, ours=look.theme.muted)
    standings = {standing_of(line) for line in report.table.lines}
    handles = [
        row_legend.standing_handle(standing, theme)
        for standing in SHAPES
        if standing in standings and standing != Standing.DONE
    ]
    if facts.has_ours(report) and Standing.EMPTY in standings:
        handles.append(row_legend.empty_handle(theme))
    return handles
