"""Lays out a figure in inches: a title above, the panels, then a legend and footers below.

Heights follow from what is measured, so nothing is cut off however long a text is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.figures.files import file_of
from analysis.figures.fit import fitted, line_height, text_width
from analysis.figures.style import LIGHT, SMALL_SIZE, TEXT_SIZE, TITLE_SIZE, Look, drawing
from analysis.tables.tidy import Report

MARGIN = 0.14
"""What stays blank around a figure, in inches."""
NARROW = 5.8
"""Inches below which panels stand below each other."""
_GAP = 0.1


@dataclass(frozen=True)
class Box:
    """A rectangle on a page, in inches from its left and from its top."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Page:
    """A figure whose body is still empty.

    Attributes:
        figure: matplotlib's.
        look: its variant.
        body: where panels may stand.
        height: of the whole, in inches.
    """

    figure: Any
    look: Look
    body: Box
    height: float

    def axes(self, box: Box) -> Any:
        """Return new axes in a box."""
        bottom = self.height - box.top - box.height
        width = self.look.width
        return self.figure.add_axes(
            (
                box.left / width,
                bottom / self.height,
                box.width / width,
                box.height / self.height,
            )
        )

    def rooms(self, panels: int, columns: int, height: float) -> Iterator[Box]:
        """Yield the room of each panel: side by side in columns, in storeys of this height."""
        width = self.body.width / columns
        for number in range(panels):
            left = self.body.left + (number % columns) * width
            yield Box(left, self.body.top + (number // columns) * height, width, height)

    def text(self, left: float, top: float, text: str, **properties: Any) -> None:
        """Write text at a place, in inches from the left and from the top."""
        place = (left / self.look.width, 1 - top / self.height)
        self.figure.text(*place, text, **{"va": "top", **properties})


def new_page(
    look: Look, title: str, height: float, legend: Sequence[Any] = (), footers: Sequence[str] = ()
) -> Page:
    """Return a page with everything but its panels.

    Args:
        look: its variant.
        title: of the figure.
        height: of the panels, with their ticks and labels, in inches.
        legend: handles with labels.
        footers: sentences below.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A canvas of its own: pyplot would keep every figure, and may look for a screen.
    figure = Figure(figsize=(look.width, 4.0), dpi=look.dpi)
    FigureCanvasAgg(figure)

    width = look.width - 2 * MARGIN
    head = fitted(title, width, TITLE_SIZE, lines=3, is_bold=True)
    foot = "\n".join([fitted(footer, width, SMALL_SIZE) for footer in footers])
    head_height = line_height(TITLE_SIZE) * (head.count("\n") + 1) + _GAP
    foot_height = line_height(SMALL_SIZE) * (foot.count("\n") + 1)
    drawn = _legend(figure, legend, width)
    legend_height = 0.0
    if drawn:
        legend_height = drawn.get_window_extent().height / look.dpi + _GAP

    total = head_height + height + legend_height + foot_height + 2 * MARGIN + _GAP
    figure.set_size_inches(look.width, total)
    page = Page(figure, look, Box(MARGIN, MARGIN + head_height, width, height), total)
    page.text(MARGIN, MARGIN, head, fontsize=TITLE_SIZE, fontweight="bold")
    if drawn:
        bottom = MARGIN + foot_height + _GAP
        drawn.set_bbox_to_anchor((MARGIN / look.width, bottom / total), figure.transFigure)
    page.text(
        MARGIN,
        total - MARGIN - foot_height,
        foot,
        fontsize=SMALL_SIZE,
        color=look.theme.muted,
        linespacing=1.25,
    )
    return page


def columns_for(look: Look, panels: int) -> int:
    """Return how many panels stand side by side, where all would."""
    if look.width < NARROW:
        return 1
    return panels


def _legend(figure: Any, handles: Sequence[Any], width: float) -> Any:
    """Return the legend in as many columns as fit; None where there is nothing to explain."""
    if not handles:
        return None
    handle_width = 0.5
    for handle in handles:
        handle.set_label(fitted(handle.get_label(), width - handle_width, SMALL_SIZE))
    labels = [handle.get_label().split("\n") for handle in handles]
    entry = max(text_width(line, SMALL_SIZE) for label in labels for line in label)
    columns = max(1, int(width // (entry + handle_width)))
    return figure.legend(
        handles=list(handles),
        loc="lower left",
        ncols=min(columns, len(handles)),
        borderaxespad=0,
        borderpad=0,
        columnspacing=1.4,
    )


def drawn(
    make: Callable[[Report, Look], Any], report: Report, format_: str, look: Look = LIGHT
) -> bytes:
    """Return a figure of a report as the content of a file.

    Args:
        make: makes the figure.
        report: what is drawn.
        format_: one of `FIGURE_FORMATS`.
        look: its variant.
    """
    with drawing(look):
        return file_of(make(report, look), format_)


def panel_title(axes: Any, text: str, width: float, lines: int = 2) -> None:
    """Write what a panel shows above it."""
    title = fitted(text, width, TEXT_SIZE, lines)
    axes.set_title(title, loc="left", fontsize=TEXT_SIZE, pad=5)
