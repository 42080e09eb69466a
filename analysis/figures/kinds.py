"""Names the kinds of figures, and tells which of them a table has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from analysis.errors import AnalysisError
from analysis.figures import axis, cosines, drop, heat_map, over_time, table
from analysis.figures.facts import has_published
from analysis.figures.page import drawn
from analysis.figures.style import LIGHT, Look
from analysis.papers.nearest import nearest
from analysis.tables.tidy import Report


class NoFigureError(AnalysisError):
    """There is no such kind of figure, or not of this table."""


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes:
        figure: makes it.
        is_possible: tells whether a report has what it shows.
        words: what it shows, for people who do not see it.
        lacking: why a report has none.
    """

    figure: Callable[[Report, Look], Any]
    is_possible: Callable[[Report], bool]
    words: str
    lacking: str


def _over_time(metrics: Sequence[str], words: str) -> Kind:
    return Kind(
        figure=partial(over_time.figure, metrics=metrics),
        is_possible=partial(over_time.is_possible, metrics=metrics),
        words=f"{words} over training, mean and band over the seeds of each row",
        lacking=f"no run of it has logged {' or '.join(metrics)}",
    )


KINDS: Mapping[str, Kind] = {
    "rows": Kind(
        figure=table.figure,
        is_possible=lambda report: bool(report.table.lines),
        words="each row's mean with its interval and seeds, and the published value",
        lacking="it has no rows",
    ),
    "drop": Kind(
        figure=drop.figure,
        is_possible=drop.is_possible,
        words="how far each row lies from the baseline, with the interval of the difference",
        lacking="it names no baseline",
    ),
    "axis": Kind(
        figure=axis.figure,
        is_possible=axis.is_possible,
        words="accuracy over the number that the rows differ in, ours and published",
        lacking="its rows differ in no number of three values or more",
    ),
    "heat_map": Kind(
        figure=heat_map.figure,
        is_possible=heat_map.is_possible,
        words="accuracy over the two numbers that the rows differ in, ours and published",
        lacking="its rows do not differ in just two numbers of three values or more",
    ),
    "cosines": Kind(
        figure=cosines.figure,
        is_possible=cosines.is_possible,
        words="cosines of two views of one image, and of different images, row by row",
        lacking="no row of it has cosines",
    ),
    "collapse_over_time": _over_time(("std_sqrt_d",), "the spread of the projections"),
    "loss_over_time": _over_time(("loss",), "the loss"),
    "cosines_over_time": _over_time(
        ("positive_cosine", "negative_cosine"), "the cosines of positives and negatives"
    ),
    "retrieval_over_time": _over_time(
        ("retrieval",), "how often a view finds its other view in the batch"
    ),
}
"""Name → kind; a table's file lists those that it is shown with."""


def figures_of(report: Report) -> list[str]:
    """Return the kinds that a table declares and has something to show for, in their order."""
    return [name for name in report.table.rows.figures if KINDS[name].is_possible(report)]


def draw(report: Report, kind: str, format_: str = "png", look: Look = LIGHT) -> bytes:
    """Return a figure of a table as the content of a file.

    Args:
        report: the table.
        kind: one of `KINDS`, whether the table declares it or not.
        format_: one of `FIGURE_FORMATS`.
        look: its variant.

    Raises:
        NoFigureError: there is no such kind, or the table has nothing to show in it.
    """
    check_kind(kind)
    if not KINDS[kind].is_possible(report):
        possible = ", ".join(name for name in KINDS if KINDS[name].is_possible(report))
        raise NoFigureError(
            f"table {report.table.rows.id} has no figure {kind}: {KINDS[kind].lacking}; "
            f"it has: {possible}"
        )
    return drawn(KINDS[kind].figure, report, format_, look)


def check_kind(kind: str) -> None:
    """Raise unless there is a kind of this name.

    Raises:
        NoFigureError: there is none; the text names the nearest and all.
    """
    if kind not in KINDS:
        raise NoFigureError(f"no figure is called {kind!r}; {nearest(kind, KINDS, 'figures')}")


def description(report: Report, kind: str) -> str:
    """Return what a figure shows, for people who do not see it."""
    published = "" if has_published(report) else "; nothing is published for it"
    return f"{report.table.rows.title}: {KINDS[kind].words}{published}"
