"""Draws a table over two numbers that its rows differ in: a map for each side, values written in.

A row that lacks one of the two numbers is a bar over all columns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.figures import facts
from analysis.figures.by_row.legend import empty_handle
from analysis.figures.fit import fitted, text_width
from analysis.figures.over_axis.values import Axis, axes_of
from analysis.figures.page import NARROW, Box, Page, columns_for, new_page, panel_title
from analysis.figures.standing import Standing, empty_look, standing_of, state_words
from analysis.figures.style import SMALL_SIZE, Look
from analysis.papers.printed import digits
from analysis.tables.line import Line
from analysis.tables.tidy import Report

_COLOURS = "cividis"
"""Even in brightness, so that it reads in grey and by people who see colours otherwise."""
_CELL_HEIGHT = 0.44
_ABOVE = 0.3
_BELOW = 1.05
_SCALE_HEIGHT = 0.1
_SCALE_BELOW = 0.62
_GAP = 0.2
_BRIGHT = 0.5
_LEAST_SPAN = 1.0
_EDGE = 0.03
_DARK = "#010101"
_LIGHT = "#fefefe"
"""Text on a cell's own colour; these are no colours of a theme, which a page may exchange."""


@dataclass(frozen=True)
class _Row:
    """A line of cells: the columns of each table row that stands in it."""

    label: str
    cells: Mapping[float | None, Line]


@dataclass(frozen=True)
class _Side:
    """One side of a table: its title, what its numbers are, and how to read a row."""

    title: str
    metric: str
    value: Callable[[Line], float | None]
    words: Callable[[Line], str]
    is_done: Callable[[Line], bool]


def is_possible(report: Report) -> bool:
    """Tell whether the rows differ in two numbers, and no two rows in neither."""
    axes = axes_of(report)
    if len(axes) < 2:
        return False
    places = [_place(line, axes) for line in report.table.lines]
    return len(set(places)) == len(places)


def figure(report: Report, look: Look) -> Any:
    """Return the figure of a table over two axes: its rows differ in two (`is_possible`)."""
    across, down = axes_of(report)[:2]
    rows = _rows(report, across, down)
    sides: list[_Side] = []
    if facts.has_ours(report):
        sides.append(_ours(report))
    if facts.has_published(report) or not sides:
        sides.append(_published(report))

    columns = columns_for(look, len(sides))
    storey = _ABOVE + _CELL_HEIGHT * len(rows) + _BELOW
    height = storey * -(-len(sides) // columns)
    footers = facts.footers(report, "mean ± half its 95% t-interval")
    page = new_page(look, report.table.rows.title, height, _legend(report, look), footers)

    # Labels stand to the left of each map: columns of both sides have the same widths.
    labels = [row.label for row in rows]
    label_width = min(max(text_width(label, SMALL_SIZE) for label in labels), 1.2) + 0.1
    for side, room in zip(sides, page.rooms(len(sides), columns, storey), strict=True):
        left = room.left + label_width + 0.2
        width = room.width - label_width - 0.2 - _GAP
        box = Box(left, room.top + _ABOVE, width, _CELL_HEIGHT * len(rows))
        _draw_side(page, box, side, across, down, rows, label_width)
    return page.figure


def _place(line: Line, axes: Sequence[Axis]) -> tuple[float | None, ...]:
    """Return where a row stands; one without a number is known by its key."""
    place = tuple(axis.values.get(line.row.key) for axis in axes[:2])
    if place == (None, None):
        return (None, hash(line.row.key))
    return place


def _rows(report: Report, across: Axis, down: Axis) -> list[_Row]:
    """Return the lines of cells: one for each number down, then rows that have none."""
    labels = facts.labels_of(report)
    by_step: dict[float, dict[float | None, Line]] = {step: {} for step in down.steps}
    beside: list[_Row] = []
    for line in report.table.lines:
        step = down.values.get(line.row.key)
        column = across.values.get(line.row.key)
        if step is None:
            beside.append(_Row(labels[line.row.key], {column: line}))
        else:
            by_step[step][column] = line
    rows = [_Row(digits(step), cells) for step, cells in by_step.items() if cells]
    return [*rows, *beside]


def _ours(report: Report) -> _Side:
    def value(line: Line) -> float | None:
        if standing_of(line) == Standing.SPLIT:
            return None
        return facts.scaled(line.summary.mean)

    def words(line: Line) -> str:
        if line.summary.ci95 is None or value(line) is None:
            return state_words(line)
        half = facts.number(facts.PERCENT * (line.summary.ci95[1] - (line.summary.mean or 0.0)))
        return facts.words_of(f"±{half}", state_words(line))

    def is_done(line: Line) -> bool:
        return standing_of(line) == Standing.DONE

    return _Side(facts.ours_name(report), facts.ours_metric(report), value, words, is_done)


def _published(report: Report) -> _Side:
    factor = facts.published_factor(report)

    def value(line: Line) -> float | None:
        return facts.scaled(line.row.published.value, factor)

    def words(line: Line) -> str:
        pm = line.row.published.pm
        if value(line) is None:
            return line.row.published.text or "not printed"
        if pm is None:
            return ""
        return f"±{facts.number(factor * pm)}"

    metric = facts.published_metric(report)
    return _Side(facts.published_name(report), metric, value, words, lambda line: True)


def _draw_side(
    page: Page,
    box: Box,
    side: _Side,
    across: Axis,
    down: Axis,
    rows: Sequence[_Row],
    label_width: float,
) -> None:
    """Draw one map, with its own scale of colours below it."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    values = [side.value(line) for row in rows for line in row.cells.values()]
    known = [value for value in values if value is not None] or [0.0, 1.0]
    norm = Normalize(min(known), max(max(known), min(known) + _LEAST_SPAN))
    colours = colormaps[_COLOURS]

    axes = page.axes(box)
    _set_up(axes, box, side.title, across, down, rows, label_width)
    cell_width = box.width / len(across.steps)
    for number, row in enumerate(rows):
        for column, line in row.cells.items():
            left, width = _span(column, across)
            value = side.value(line)
            colour = None
            texts: list[str] = []
            if value is not None:
                colour = colours(norm(value))
                texts.append(facts.number(value))
            _draw_cell(axes, left, number, width, colour, page.look, is_done=side.is_done(line))

            # Words stand below the value.
            room = cell_width * width - 0.04
            if side.words(line):
                texts.append(fitted(side.words(line), room, _size(page.look), 2))
            ink = _readable_on(colour, page.look)
            _write(axes, left + width / 2, number + 0.5, texts, ink, _size(page.look))
    _draw_scale(page, box, side.metric, norm, colours)


def _span(column: float | None, across: Axis) -> tuple[int, int]:
    """Return the first column of a cell and how many it has: all, for a row without a number."""
    if column is None:
        return 0, len(across.steps)
    return across.steps.index(column), 1


def _set_up(
    axes: Any,
    box: Box,
    title: str,
    across: Axis,
    down: Axis,
    rows: Sequence[_Row],
    label_width: float,
) -> None:
    axes.set_xlim(0, len(across.steps))
    axes.set_ylim(len(rows), 0)
    ticks = [number + 0.5 for number in range(len(across.steps))]
    axes.set_xticks(ticks, [digits(step) for step in across.steps])
    labels = [fitted(row.label, label_width, SMALL_SIZE, 2) for row in rows]
    axes.set_yticks([number + 0.5 for number in range(len(rows))], labels)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel(fitted(across.name, box.width, SMALL_SIZE, 1), loc="left", labelpad=2)
    name = down.name
    if text_width(name, SMALL_SIZE) > box.height:
        name = fitted(down.symbol, box.height, SMALL_SIZE, 1)
    rotation = {True: 0, False: 90}[len(name) == 1]
    axes.set_ylabel(name, labelpad=3, rotation=rotation)
    panel_title(axes, title, box.width, lines=1)


def _draw_cell(
    axes: Any,
    left: float,
    top: float,
    width: float,
    colour: Any,
    look: Look,
    *,
    is_done: bool,
) -> None:
    """Draw a cell; one without a value is hatched, one that is not done has a broken edge."""
    from matplotlib.patches import Rectangle

    look_of_cell = {"facecolor": colour, "gid": "cell", "linewidth": 0}
    if colour is None:
        look_of_cell = empty_look(look.theme)
    elif not is_done:
        edge = _readable_on(colour, look)
        look_of_cell |= {"edgecolor": edge, "linewidth": 1.2, "linestyle": "--"}
    corner = (left + _EDGE, top + _EDGE)
    axes.add_patch(Rectangle(corner, width - 2 * _EDGE, 1 - 2 * _EDGE, **look_of_cell))


def _write(
    axes: Any, middle: float, height: float, texts: Sequence[str], ink: str, size: float
) -> None:
    """Write texts into a cell, below each other."""
    text = "\n".join(texts)
    axes.text(
        middle,
        height,
        text,
        ha="center",
        va="center",
        fontsize=size,
        linespacing=1.1,
        color=ink,
    )


def _size(look: Look) -> float:
    if look.width < 2 * NARROW:
        return SMALL_SIZE - 1
    return SMALL_SIZE


def _readable_on(colour: Sequence[float] | None, look: Look) -> str:
    """Return black or white, what stands out from a cell's colour; of an empty cell the ink."""
    if colour is None:
        return look.theme.ink
    red, green, blue = colour[:3]
    brightness = 0.299 * red + 0.587 * green + 0.114 * blue
    if brightness > _BRIGHT:
        return _DARK
    return _LIGHT


def _draw_scale(page: Page, box: Box, metric: str, norm: Any, colours: Any) -> None:
    """Draw what the colours of a map mean."""
    from matplotlib.cm import ScalarMappable

    width = min(box.width, 2.6)
    place = Box(box.left, box.top + box.height + _BELOW - _SCALE_BELOW, width, _SCALE_HEIGHT)
    axes = page.axes(place)
    page.figure.colorbar(ScalarMappable(norm, colours), cax=axes, orientation="horizontal")
    axes.set_xlabel(fitted(metric, box.width, SMALL_SIZE, 1), loc="left", labelpad=1)
    axes.locator_params(nbins=5)


def _legend(report: Report, look: Look) -> list[Any]:
    """Return the handles of cells that are not simply done."""
    from matplotlib.patches import Patch

    standings = {standing_of(line) for line in report.table.lines}
    if not facts.has_ours(report):
        return []
    handles: list[Any] = []
    if standings - {Standing.DONE, Standing.EMPTY}:
        words = "ours, not simply done: the words say why"
        ink = look.theme.ink
        handles.append(Patch(facecolor="none", edgecolor=ink, linestyle="--", label=words))
    if Standing.EMPTY in standings:
        handles.append(empty_handle(look.theme))
    return handles
