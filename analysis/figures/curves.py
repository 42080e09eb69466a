"""Draws a metric of several runs into one picture: `sweep show RUN RUN --plot loss`."""

from collections.abc import Mapping

import pandas as pd

from analysis.figures.files import file_of


def draw(
    series: pd.DataFrame, labels: Mapping[str, str], metric: str, format_: str = "png"
) -> bytes:
    """Return a picture with a line per run.

    Args:
        series: as `analysis.load.series` gives it.
        labels: run id → label, in the order of the legend.
        metric: label of the axis.
        format_: one of `FIGURE_FORMATS`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A canvas of its own: pyplot would keep every figure, and may look for a screen.
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()

    for run_id, label in labels.items():
        points = series[series["run_id"] == run_id]
        axes.plot(points["step"], points["value"], label=label, linewidth=1.5)

    axes.set_xlabel("step")
    axes.set_ylabel(metric)
    axes.grid(color="#e5e5e5")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", frameon=False, fontsize=8, ncols=2)
    return file_of(figure, format_)
