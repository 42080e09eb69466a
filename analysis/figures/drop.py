"""Draws how far each row lies from its baseline, with the interval of the difference."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from analysis.figures import facts
from analysis.figures.by_row.frame import RowPanel, draw_rows, limits_of
from analysis.figures.by_row.legend import legend_of
from analysis.figures.by_row.marks import paint_empty, paint_mean, paint_published
from analysis.figures.standing import Standing, standing_of, state_words
from analysis.figures.style import Look
from analysis.papers.table_rows import TableRow
from analysis.tables.line import Line
from analysis.tables.tidy import Report


def is_possible(report: Report) -> bool:
    """Tell whether the table names baselines."""
    return bool(report.table.rows.baselines)


def figure(report: Report, look: Look) -> Any:
    """Return the figure of differences; published ones have an axis of their own."""
    panels: list[RowPanel] = []
    if facts.has_ours(report):
        panels.append(_ours(report, look))
    if facts.has_published(report) or not panels:
        panels.append(_published(report, look))
    what = "difference from the baseline seed by seed, 95% t-interval over pairs"
    labels = [*facts.labels_of(report).values()]
    title = f"{report.table.rows.title}: difference from the baseline"
    subtracted = [
        line.row.published
        for line in report.table.lines
        if _published_delta(report, line.row) is not None
    ]
    legend = legend_of(report, look, subtracted, with_references=False)
    return draw_rows(look, title, labels, panels, legend, facts.footers(report, what))


def _ours(report: Report, look: Look) -> RowPanel:
    lines = report.table.lines
    baselines = report.table.rows.baselines
    pairs = {line.difference.n_pairs for line in lines if line.difference is not None}

    def paint(axes: Any, number: int, height: float) -> None:
        line = lines[number]
        if line.row.key in baselines and line.summary.mean is not None:
            paint_mean(axes, height, standing_of(line), 0.0, None, look.theme)
        elif line.difference is None:
            paint_empty(axes, height, look.theme)
        else:
            interval = facts.interval_of(line.difference.ci95)
            delta = facts.PERCENT * line.difference.delta
            paint_mean(axes, height, standing_of(line), delta, interval, look.theme)

    notes: list[str] = []
    values: list[float] = []
    for line in lines:
        words = _words(line, baselines, with_pairs=len(pairs) > 1)
        notes.append(facts.words_of(words, state_words(line)))
        if line.difference is not None:
            values += [line.difference.delta, *(line.difference.ci95 or ())]
    return RowPanel(
        title=facts.ours_name(report),
        label="points of accuracy from the baseline",
        paint=paint,
        notes=notes,
        limits=limits_of(facts.in_percent(values)),
        references=_zero_line(look),
    )


def _words(line: Line, baselines: Sequence[str], *, with_pairs: bool) -> str:
    """Return a difference with its interval as a figure writes it."""
    if line.row.key in baselines:
        return "baseline"
    if standing_of(line) == Standing.EMPTY:
        return ""
    if line.difference is None:
        return "not compared"
    text = facts.number(facts.PERCENT * line.difference.delta, "+")
    if line.difference.ci95 is not None:
        low, high = [facts.number(end, "+") for end in facts.in_percent(line.difference.ci95)]
        text += f" [{low}, {high}]"
    if with_pairs:
        text += f" (pairs {line.difference.n_pairs})"
    return text


def _published(report: Report, look: Look) -> RowPanel:
    """Return the panel of differences of published means, which have no interval of ours."""
    lines = report.table.lines
    factor = facts.published_factor(report)
    deltas = [_published_delta(report, line.row) for line in lines]

    def paint(axes: Any, number: int, height: float) -> None:
        delta = deltas[number]
        if delta is not None:
            printed = replace(lines[number].row.published, value=delta, pm=None, bound=None)
            paint_published(axes, height, printed, factor, look.theme)

    notes: list[str] = []
    for line, delta in zip(lines, deltas, strict=True):
        text = ""
        if line.row.key in report.table.rows.baselines:
            text = "baseline"
        elif delta is not None:
            text = facts.number(factor * delta, "+")
        notes.append(text)
    return RowPanel(
        title=facts.published_name(report),
        label="difference of the printed numbers",
        paint=paint,
        notes=notes,
        limits=limits_of([factor * delta for delta in deltas if delta is not None]),
        references=_zero_line(look),
    )


def _published_delta(report: Report, row: TableRow) -> float | None:
    """Return how far a printed number lies from that of the row's baseline; None without either.

    Numbers of two sources are not subtracted.
    """
    baseline = report.table.rows.baseline_of(row)
    if baseline is None or row.published.source != baseline.published.source:
        return None
    value, reference = row.published.value, baseline.published.value
    if value is None or reference is None:
        return None
    return value - reference


def _zero_line(look: Look) -> Any:
    def paint(axes: Any) -> None:
        axes.axvline(0, color=look.theme.ink, linewidth=1.0, gid="zero")

    return paint
