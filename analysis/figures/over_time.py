"""Draws what was measured while training, for each row of a table: mean and band over its seeds.

Rows that do not fit into one panel have several, whose axes are equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from analysis.figures import facts
from analysis.figures.by_row.marks import CHANCE_LINE
from analysis.figures.curve_lines import (
    Curve,
    Points,
    curve_handle,
    curve_label,
    curve_of,
    paint_curve,
)
from analysis.figures.fit import fitted, line_height
from analysis.figures.page import Box, Page, columns_for, new_page, panel_title
from analysis.figures.standing import state_words
from analysis.figures.style import SERIES, SMALL_SIZE, Look
from analysis.tables.collapse import COLLAPSED_BELOW
from analysis.tables.tidy import Report

METRICS = {
    "std_sqrt_d": "std·√d of the online projections",
    "loss": "loss",
    "positive_cosine": "cosine of positives (same image)",
    "negative_cosine": "cosine of negatives (other images)",
    "retrieval": "views that find their other view in the batch",
}
"""Metric → its name in a figure; another metric is its own name."""
_PANEL_HEIGHT = 2.3
_ABOVE = 0.28
_BELOW = 0.5
_LEFT = 0.55
_GAP = 0.2
_HANDLE = 0.45


@dataclass(frozen=True)
class _Panel:
    """A panel: a metric, and the curves that fit into it."""

    metric: str
    curves: Sequence[Curve]


def is_possible(report: Report, metrics: Sequence[str] = ("std_sqrt_d",)) -> bool:
    """Tell whether a row has points of a metric."""
    if report.series is None:
        return False

    # What a finished run has measured it has logged: then no point needs to be read for the answer.
    if any(not line.final.keys().isdisjoint(metrics) for line in report.table.lines):
        return True
    return any(_curves(report, metric) for metric in metrics)


def figure(report: Report, look: Look, metrics: Sequence[str] = ("std_sqrt_d",)) -> Any:
    """Return the figure of metrics over training, each in panels of its own."""
    curves = {metric: _curves(report, metric) for metric in metrics}
    panels: list[_Panel] = []
    for metric, of_metric in curves.items():
        for start in range(0, max(1, len(of_metric)), SERIES):
            panels.append(_Panel(metric, of_metric[start : start + SERIES]))

    # Panels stand two side by side where there is room, each with its legend below.
    columns = columns_for(look, min(2, len(panels)))
    width = (look.width - 0.28) / columns
    legends = [_legend_height(panel, width) for panel in panels]
    storey = _ABOVE + _PANEL_HEIGHT + _BELOW + max(legends)
    storeys = -(-len(panels) // columns)
    title = f"{report.table.rows.title}, over training"
    footers = _footers(report, [*chain.from_iterable(curves.values())])
    page = new_page(look, title, storeys * storey, _thresholds(metrics, look), footers)

    for panel, room in zip(panels, page.rooms(len(panels), columns, storey), strict=True):
        width = room.width - _LEFT - _GAP
        box = Box(room.left + _LEFT, room.top + _ABOVE, width, _PANEL_HEIGHT)
        _draw_panel(page, box, panel, curves[panel.metric])
    return page.figure


def _curves(report: Report, metric: str) -> list[Curve]:
    """Return a curve for each row with points; rows whose runs differ have no common one."""
    labels = facts.labels_of(report)
    curves: list[Curve] = []
    runs_of: dict[str, list[str]] = {}
    for line in report.table.lines:
        if line.word != "confounded":
            runs_of[line.row.key] = [run.run_id for run in line.runs if run.excluded is None]
    points = _points(report, metric, [*chain.from_iterable(runs_of.values())])
    for line in report.table.lines:
        of_runs = [points[run] for run in runs_of.get(line.row.key, ()) if run in points]
        label = facts.words_of(labels[line.row.key], state_words(line))
        curve = curve_of(label, of_runs)
        if curve is not None:
            curves.append(replace(curve, row=line.row.key))
    return curves


def _points(report: Report, metric: str, run_ids: Sequence[str]) -> dict[str, Points]:
    """Return run → step → value."""
    if report.series is None:
        return {}
    by_run: dict[str, dict[int, float]] = {}
    for run_id, step, _, value in report.series(metric, run_ids):
        if value is not None:
            by_run.setdefault(run_id, {})[step] = value
    return dict(by_run)


def _footers(report: Report, curves: Sequence[Curve]) -> list[str]:
    """Return the sentences below, with the rows that have no line."""
    is_over = all(line.word == "done" for line in report.table.lines if line.runs)
    seeds = "the seeds" if is_over else "the seeds that have come so far"
    what = f"mean over {seeds}, band from the lowest to the highest"
    counts = [curve.runs for curve in curves]
    texts = facts.footers(report, what, counts, is_judged=False, with_published=False)

    # A row without a line is named, so that nobody takes it for one that is hidden.
    labels = facts.labels_of(report)
    seen = {curve.row for curve in curves}
    silent = [
        labels[line.row.key]
        for line in report.table.lines
        if line.runs and line.word != "confounded" and line.row.key not in seen
    ]
    if silent:
        texts.append(f"No line, since nothing was logged: {'; '.join(silent)}.")
    confounded = [labels[line.row.key] for line in report.table.lines if line.word == "confounded"]
    if confounded:
        texts.append(f"No line, since their runs differ in more than the seed: {confounded}.")
    return texts


def _thresholds(metrics: Sequence[str], look: Look) -> list[Any]:
    """Return the handle of the threshold of collapse, where that is drawn."""
    from matplotlib.lines import Line2D

    if "std_sqrt_d" not in metrics:
        return []
    label = f"collapsed below {COLLAPSED_BELOW:g}"
    return [Line2D([], [], color=look.theme.muted, linestyle=CHANCE_LINE, label=label)]


def _draw_panel(page: Page, box: Box, panel: _Panel, of_metric: Sequence[Curve]) -> None:
    """Draw one panel with its legend below it."""
    axes = page.axes(box)
    if panel.metric == "std_sqrt_d":
        ink = page.look.theme.muted
        axes.axhline(COLLAPSED_BELOW, color=ink, linestyle=CHANCE_LINE, gid="threshold")
    _set_limits(axes, panel.metric, of_metric)
    handles: list[Any] = []
    for number, curve in enumerate(panel.curves):
        style = page.look.series(number)
        paint_curve(axes, curve, style, number)
        label = fitted(curve_label(curve), box.width - _HANDLE, SMALL_SIZE, 2)
        handles.append(curve_handle(curve, style, label))

    axes.grid()
    axes.set_xlabel("training step", loc="left")
    panel_title(axes, METRICS.get(panel.metric, panel.metric), box.width, lines=1)
    below = -_BELOW / box.height
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, below), borderaxespad=0, borderpad=0
    )


def _legend_height(panel: _Panel, width: float) -> float:
    """Return how high the legend of a panel is, in inches."""
    room = width - _LEFT - _GAP - _HANDLE
    texts = [fitted(curve_label(curve), room, SMALL_SIZE, 2) for curve in panel.curves]
    return sum(line_height(SMALL_SIZE) * (1.15 + text.count("\n")) for text in texts) + 0.1


def _set_limits(axes: Any, metric: str, curves: Sequence[Curve]) -> None:
    """Give all panels of a metric the same limits."""
    lows = [min(curve.lows) for curve in curves] or [0.0]
    highs = [max(curve.highs) for curve in curves] or [1.0]
    if metric == "std_sqrt_d":
        lows.append(0.0)
        highs.append(1.0)
    room = 0.05 * (max(highs) - min(lows) or 1.0)
    axes.set_ylim(min(lows) - room, max(highs) + room)
