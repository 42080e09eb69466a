"""Draws a metric of several runs into one picture: `sweep show RUN RUN --plot loss`."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.figures.curve_lines import curve_handle, curve_label, curve_of, paint_curve
from analysis.figures.files import file_of
from analysis.figures.fit import fitted
from analysis.figures.page import Box, new_page
from analysis.figures.style import LIGHT, SMALL_SIZE, Look, drawing

_HEIGHT = 3.4
_LEFT = 0.65
_BELOW = 0.5


def draw(
    series: pd.DataFrame,
    labels: Mapping[str, str],
    metric: str,
    format_: str = "png",
    look: Look = LIGHT,
) -> bytes:
    """Return a picture with a line per run.

    Args:
        series: as `analysis.load.series` gives it.
        labels: run id → label, in the order of the legend.
        metric: label of the axis.
        format_: one of `FIGURE_FORMATS`.
        look: its variant.
    """
    with drawing(look):
        return file_of(figure(series, labels, metric, look), format_)


def figure(series: pd.DataFrame, labels: Mapping[str, str], metric: str, look: Look) -> Any:
    """Return the figure with a line per run."""
    curves = []
    silent: list[str] = []
    for run_id, label in labels.items():
        own = series[series["run_id"] == run_id]
        points = dict(zip(own["step"].tolist(), own["value"].tolist(), strict=True))
        curve = curve_of(label, [points])
        if curve is None:
            silent.append(label)
        else:
            curves.append(curve)

    styles = [look.series(number) for number in range(len(curves))]
    handles = [
        curve_handle(curve, style, curve_label(curve))
        for curve, style in zip(curves, styles, strict=True)
    ]
    footers = [f"No line, since nothing was logged: {label}." for label in silent]
    page = new_page(look, f"{metric} over training", _HEIGHT + _BELOW, handles, footers)
    box = Box(page.body.left + _LEFT, page.body.top, page.body.width - _LEFT - 0.1, _HEIGHT)
    axes = page.axes(box)
    for number, curve in enumerate(curves):
        paint_curve(axes, curve, styles[number], number)
    axes.set_xlabel("training step", loc="left")
    axes.set_ylabel(fitted(metric, _HEIGHT, SMALL_SIZE, 1))
    axes.grid()
    return page.figure
