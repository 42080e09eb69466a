"""Frames the figures that have a line per row: labels to the left, panels, and notes beside them.

A narrow figure has its panels below each other, each with the labels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.figures.fit import fitted, line_height, widest
from analysis.figures.page import MARGIN, Box, Page, columns_for, new_page, panel_title
from analysis.figures.style import SMALL_SIZE, TEXT_SIZE, Look

_LABEL_PART = 0.37
_NOTE_WIDTH = 1.45
_GAP = 0.12
_ABOVE = 0.28
_BELOW = 0.6
_BETWEEN_ROWS = 0.12
_LEAST_ROW = 0.3


@dataclass(frozen=True)
class RowPanel:
    """A panel with a line per row.

    Attributes:
        title: which side it shows.
        label: of its axis.
        paint: draws the row of a number, at a height, into axes.
        notes: for each row, what is written beside it.
        limits: of its axis.
        references: draws what belongs to no row, as chance.
    """

    title: str
    label: str
    paint: Callable[[Any, int, float], None]
    notes: Sequence[str]
    limits: tuple[float, float]
    references: Callable[[Any], None] = lambda axes: None

    def with_fitted_notes(self) -> "RowPanel":
        """Return the same with notes that are no wider than their place."""
        return replace(
            self, notes=[fitted(note, _NOTE_WIDTH, SMALL_SIZE, 3) for note in self.notes]
        )


def draw_rows(
    look: Look,
    title: str,
    labels: Sequence[str],
    panels: Sequence[RowPanel],
    legend: Sequence[Any],
    footers: Sequence[str],
) -> Any:
    """Return a figure with a line per row.

    Args:
        look: its variant.
        title: of the figure.
        labels: of the rows, from the top.
        panels: side by side, or below each other where the figure is narrow.
        legend: handles with labels.
        footers: sentences below.
    """
    # Texts are fitted first: the heights of rows follow from their lines.
    label_width = min(widest(labels), _LABEL_PART * look.width)
    labels = [fitted(label, label_width, TEXT_SIZE, lines=3) for label in labels]
    panels = [panel.with_fitted_notes() for panel in panels]
    heights = _row_heights(labels, panels)
    columns = columns_for(look, len(panels))
    storeys = [panels[start : start + columns] for start in range(0, len(panels), columns)]

    # Titles of narrow panels have two lines.
    above = _ABOVE
    for storey in storeys:
        width = _panel_width(look, label_width, storey)
        titles = [fitted(panel.title, width + _note_width(panel), lines=2) for panel in storey]
        if any("\n" in text for text in titles):
            above = _ABOVE + line_height(TEXT_SIZE)
    storey_height = above + sum(heights) + _BELOW
    page = new_page(look, title, storey_height * len(storeys), legend, footers)
    for number, storey in enumerate(storeys):
        top = page.body.top + number * storey_height + above
        _draw_storey(page, top, label_width, labels, storey, heights)
    return page.figure


def _panel_width(look: Look, label_width: float, panels: Sequence[RowPanel]) -> float:
    """Return the width of each of some panels side by side: what labels and notes leave."""
    notes = sum(_note_width(panel) for panel in panels)
    room = look.width - 2 * MARGIN - label_width - notes - 2 * _GAP * len(panels)
    return room / len(panels)


def _note_width(panel: RowPanel) -> float:
    return widest(panel.notes, SMALL_SIZE)


def _row_heights(labels: Sequence[str], panels: Sequence[RowPanel]) -> list[float]:
    """Return the height of each row in inches: that of its longest text."""
    heights: list[float] = []
    for number, label in enumerate(labels):
        texts = [line_height(TEXT_SIZE) * (1 + label.count("\n"))]
        for panel in panels:
            texts.append(line_height(SMALL_SIZE) * (1 + panel.notes[number].count("\n")))
        heights.append(max(_LEAST_ROW, max(texts) + _BETWEEN_ROWS))
    return heights


def _draw_storey(
    page: Page,
    top: float,
    label_width: float,
    labels: Sequence[str],
    panels: Sequence[RowPanel],
    heights: Sequence[float],
) -> None:
    """Draw panels side by side, with the labels to their left."""
    middles = [*_middles(heights)]
    left = page.body.left + label_width
    for label, middle in zip(labels, middles, strict=True):
        page.text(left, top + middle, label, va="center", ha="right", linespacing=1.1)

    width = _panel_width(page.look, label_width, panels)
    left += _GAP
    for panel in panels:
        axes = page.axes(Box(left, top, width, sum(heights)))
        _draw_panel(axes, panel, middles, heights, width + _note_width(panel))
        for note, middle in zip(panel.notes, middles, strict=True):
            page.text(
                left + width + _GAP / 2,
                top + middle,
                note,
                va="center",
                fontsize=SMALL_SIZE,
                linespacing=1.1,
            )
        left += width + _note_width(panel) + 2 * _GAP


def _draw_panel(
    axes: Any,
    panel: RowPanel,
    middles: Sequence[float],
    heights: Sequence[float],
    width: float,
) -> None:
    from matplotlib.ticker import MaxNLocator

    # Heights are inches from the top.
    axes.set_ylim(sum(heights), 0)
    axes.set_xlim(*panel.limits)
    axes.set_yticks(middles, [""] * len(middles))
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(
        MaxNLocator(min(6, max(3, int(1.6 * width))), steps=[1, 2, 2.5, 5, 10])
    )
    axes.grid(axis="both")
    axes.set_xlabel(fitted(panel.label, width, SMALL_SIZE, 2), loc="left")
    panel_title(axes, panel.title, width)

    panel.references(axes)
    for number, middle in enumerate(middles):
        panel.paint(axes, number, middle)


def _middles(heights: Sequence[float]) -> Iterator[float]:
    """Yield the middle of each row, in inches from the top."""
    top = 0.0
    for height in heights:
        yield top + height / 2
        top += height


def limits_of(values: Sequence[float], least: float = 0.0) -> tuple[float, float]:
    """Return the limits of an axis that shows some values and 0, with a little room."""
    low = min([least, *values])
    high = max([least, *values])
    room = 0.05 * (high - low or 1.0)
    return low - room, high + room
