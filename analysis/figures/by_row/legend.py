"""Explains the marks of rows: an entry for each kind of mark that a figure has, and for no other."""

from collections.abc import Sequence
from typing import Any

from analysis.figures import facts
from analysis.figures.by_row.marks import (
    CHANCE_LINE,
    CONTROL_LINE,
    standing_of_printed,
)
from analysis.figures.standing import EMPTY_HATCH, SHAPES, Standing, standing_of
from analysis.figures.style import Look, Theme
from analysis.papers.printed import Published
from analysis.tables.tidy import Report


def legend_of(
    report: Report,
    look: Look,
    printed: Sequence[Published] | None = None,
    *,
    with_references: bool = True,
    with_control: bool = True,
) -> list[Any]:
    """Return the handles of a figure with a table's rows.

    Args:
        report: what is drawn.
        look: its variant.
        printed: the published values that are drawn; all where None.
        with_references: whether it has lines of chance and of the untrained encoder.
        with_control: whether it has that of the untrained encoder, in its usual line.
    """
    handles: list[Any] = []
    if facts.has_ours(report):
        handles += _ours(report, look.theme)
    if printed is None:
        printed = [line.row.published for line in report.table.lines]
    handles += _published(printed, look.theme)
    if with_references:
        handles += chance_handles(report, look.theme)
    if with_references and with_control:
        handles += _control(report, look.theme)
    return handles


def _ours(report: Report, theme: Theme) -> list[Any]:
    standings = {standing_of(line) for line in report.table.lines}
    handles: list[Any] = []
    for standing in Standing:
        if standing in standings and standing in SHAPES:
            handles.append(standing_handle(standing, theme))
    if Standing.EMPTY in standings:
        handles.append(empty_handle(theme))
    return handles


def empty_handle(theme: Theme) -> Any:
    """Return the handle of rows without a number."""
    from matplotlib.patches import Patch

    return Patch(
        facecolor="none",
        edgecolor=theme.muted,
        hatch=EMPTY_HATCH,
        linewidth=0,
        label=f"ours, {Standing.EMPTY}",
    )


def standing_handle(standing: Standing, theme: Theme) -> Any:
    """Return the handle of rows that stand so."""
    from matplotlib.lines import Line2D

    shape = SHAPES[standing]
    return Line2D(
        [],
        [],
        color=shape.colour(theme, theme.ours),
        marker=shape.marker,
        markersize=6,
        markerfacecolor=shape.face(theme, theme.ours),
        linestyle=shape.line,
        label=f"ours, {standing}",
    )


def _published(printed: Sequence[Published], theme: Theme) -> list[Any]:
    looks = {standing_of_printed(each) for each in printed if each.value is not None}
    handles: list[Any] = []
    if Standing.DONE in looks:
        handles.append(_diamond(theme, theme.published, "published"))
    if Standing.INCOMPLETE in looks:
        words = "published, read off a figure or in another source"
        handles.append(_diamond(theme, theme.background, words))
    return handles


def _diamond(theme: Theme, face: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        color=theme.published,
        marker="D",
        markersize=5.5,
        markerfacecolor=face,
        linestyle="none",
        label=label,
    )


def chance_handles(report: Report, theme: Theme) -> list[Any]:
    """Return the handle of the lines of chance."""
    from matplotlib.lines import Line2D

    sides = {"ours": facts.chance_of_ours(report)}
    if facts.has_published(report):
        sides["published"] = facts.chance_of_published(report)
    chances = [f"{side} {value:g}%" for side, value in sides.items() if value is not None]
    if not chances:
        return []
    label = f"chance ({', '.join(chances)})"
    return [Line2D([], [], color=theme.muted, linestyle=CHANCE_LINE, label=label)]


def _control(report: Report, theme: Theme) -> list[Any]:
    """Return the handle of the line of the untrained encoder."""
    from matplotlib.lines import Line2D

    levels = (facts.control_of_ours(report), facts.control_of_published(report))
    if levels == (None, None) or (levels[0] is None and facts.is_comparable(report)):
        return []
    label = "untrained encoder"
    return [Line2D([], [], color=theme.muted, linestyle=CONTROL_LINE, label=label)]
