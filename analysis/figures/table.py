"""Draws a table's rows: our means with intervals and seeds, beside what is published.

Where our setting is another than the published, each side has an axis of its own with its own line
of chance: numbers of two data sets do not stand on one axis.
"""

from collections.abc import Sequence
from typing import Any

from analysis.figures import facts
from analysis.figures.by_row.frame import RowPanel, draw_rows, limits_of
from analysis.figures.by_row.legend import legend_of
from analysis.figures.by_row.marks import (
    CHANCE_LINE,
    CONTROL_LINE,
    paint_empty,
    paint_mean,
    paint_published,
    paint_seeds,
)
from analysis.figures.standing import (
    Standing,
    counts_of,
    standing_of,
    state_words,
    value_words,
)
from analysis.figures.style import Look
from analysis.tables.line import Line
from analysis.tables.tidy import Report


def figure(report: Report, look: Look) -> Any:
    """Return the figure of a table's rows, in the table's own order."""
    labels = facts.labels_of(report)
    panels: list[RowPanel] = []
    if facts.has_ours(report):
        panels.append(_ours(report, look))
    if not panels or (facts.has_published(report) and not facts.is_comparable(report)):
        panels.append(_published(report, look))
    what = "mean, 95% t-interval, a tick per seed"
    footers = facts.footers(report, what)
    title = report.table.rows.title
    return draw_rows(look, title, [*labels.values()], panels, legend_of(report, look), footers)


def _ours(report: Report, look: Look) -> RowPanel:
    """Return the panel of our numbers, with the published ones where they are comparable."""
    lines = report.table.lines
    counts = counts_of(lines)
    is_shared = facts.is_comparable(report) and facts.has_published(report)
    factor = facts.published_factor(report)

    def paint(axes: Any, number: int, height: float) -> None:
        _paint_ours(axes, height, lines[number], look)
        if is_shared:
            paint_published(axes, height, lines[number].row.published, factor, look.theme)

    notes: list[str] = []
    for line in lines:
        texts = [value_words(line, counts), state_words(line)]
        if is_shared and line.row.published.text is not None:
            texts.insert(1, f"published {line.row.published.text}")
        notes.append(facts.words_of(*texts))

    values = _values(lines)
    if is_shared:
        values += _published_values(lines, factor)
    chance = facts.chance_of_ours(report)
    return RowPanel(
        title=_title(report, is_shared=is_shared),
        label=facts.ours_metric(report),
        paint=paint,
        notes=notes,
        limits=limits_of(facts.within_percent([*values, chance or 0.0])),
        references=_references(chance, facts.control_of_ours(report), look),
    )


def _title(report: Report, *, is_shared: bool) -> str:
    """Return the title of our panel, which may hold both sides."""
    if is_shared:
        return facts.ours_name(report).replace("ours", "ours and published", 1)
    return facts.ours_name(report)


def _paint_ours(axes: Any, height: float, line: Line, look: Look) -> None:
    standing = standing_of(line)
    if line.summary.mean is None:
        paint_empty(axes, height, look.theme)
        return
    paint_seeds(axes, height, standing, line.values.values(), look.theme)
    if standing != Standing.SPLIT:
        interval = facts.interval_of(line.summary.ci95)
        mean = facts.PERCENT * line.summary.mean
        paint_mean(axes, height, standing, mean, interval, look.theme)


def _published(report: Report, look: Look) -> RowPanel:
    """Return the panel of what is published."""
    lines = report.table.lines
    factor = facts.published_factor(report)

    def paint(axes: Any, number: int, height: float) -> None:
        paint_published(axes, height, lines[number].row.published, factor, look.theme)

    chance = facts.chance_of_published(report)
    return RowPanel(
        title=facts.published_name(report),
        label=facts.published_metric(report),
        paint=paint,
        notes=[line.row.published.text or "" for line in lines],
        limits=limits_of([*_published_values(lines, factor), chance or 0.0]),
        references=_references(chance, facts.control_of_published(report), look),
    )


def _references(chance: float | None, control: float | None, look: Look) -> Any:
    """Return what draws the lines of chance and of the untrained control."""

    def paint(axes: Any) -> None:
        ink = look.theme.muted
        if chance is not None:
            axes.axvline(chance, color=ink, linestyle=CHANCE_LINE, linewidth=1.1, gid="chance")
        if control is not None:
            axes.axvline(control, color=ink, linestyle=CONTROL_LINE, linewidth=1.3, gid="control")

    return paint


def _values(lines: Sequence[Line]) -> list[float]:
    """Return all that an axis of ours has to show, in percent."""
    values: list[float] = []
    for line in lines:
        values += line.values.values()
        if standing_of(line) != Standing.SPLIT:
            values += line.summary.ci95 or ()
    return facts.in_percent(values)


def _published_values(lines: Sequence[Line], factor: int) -> list[float]:
    """Return all that an axis of published numbers has to show."""
    values: list[float] = []
    for line in lines:
        printed = line.row.published
        pm = printed.pm or 0.0
        if printed.value is not None:
            values += [printed.value - pm, printed.value + pm]
        values += [bound for bound in (printed.low, printed.high) if bound is not None]
    return [factor * value for value in values]
