"""Gives a table as the page shows it: two rows of headings, cells of text, marks with words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from analysis.page.trail_view import TrailView
from analysis.render.grid import Column, Style, grid_of
from analysis.tables.marks import MEANINGS, Code
from analysis.tables.tidy import Report

_STATE = "state"
_LABEL = "label"


@dataclass(frozen=True)
class Heading:
    """A heading over one column or several, in one row of headings or in both."""

    text: str
    columns: int = 1
    rows: int = 1
    is_text: bool = False


@dataclass(frozen=True)
class Cell:
    """A text, and how it stands."""

    text: str
    is_text: bool = False
    is_state: bool = False


@dataclass(frozen=True)
class MarkView:
    """A mark: its letter, its words for who cannot see the letter's meaning, its footnote."""

    letter: str
    words: str


@dataclass(frozen=True)
class LineView:
    """A row: its label, its cells, its marks, and what it unfolds to."""

    label: str
    word: str
    is_baseline: bool
    cells: Sequence[Cell]
    marks: Sequence[MarkView]
    trail: TrailView | None


@dataclass(frozen=True)
class FootnoteView:
    """What a mark means, and which rows have it."""

    letter: str
    name: str
    sentence: str
    rows: Sequence[str]


@dataclass(frozen=True)
class TableView:
    """A table as the page shows it."""

    upper: Sequence[Heading]
    lower: Sequence[Heading]
    width: int
    lines: Sequence[LineView]
    footnotes: Sequence[FootnoteView]


def table_view(report: Report, trails: Sequence[TrailView | None], style: Style) -> TableView:
    """Return a table as the page shows it.

    Args:
        report: of the table.
        trails: what each of its rows unfolds to.
        style: how numbers are written.
    """
    grid = grid_of(report, style)
    columns = grid.columns[1:]
    lines: list[LineView] = []
    for line, texts, trail in zip(report.table.lines, grid.rows, trails, strict=True):
        marks = [MarkView(MEANINGS[mark.code].letter, str(mark)) for mark in line.marks]
        view = LineView(
            label=texts[0],
            word=line.word,
            is_baseline=line.row.key in report.table.rows.baselines,
            cells=[*_cells(columns, texts[1:], line.state)],
            marks=marks,
            trail=trail,
        )
        lines.append(view)
    upper, lower = headings(grid.columns)
    return TableView(upper, lower, len(grid.columns), lines, footnote_views(report))


def headings(columns: Sequence[Column]) -> tuple[list[Heading], list[Heading]]:
    """Return both rows of headings; the lower one is empty where no columns stand together."""
    upper: list[Heading] = []
    lower: list[Heading] = []
    for group, members in groupby(columns, key=lambda column: column.group):
        of_group = [*members]
        if group:
            upper.append(Heading(group, columns=len(of_group)))
            lower += [Heading(column.heading, is_text=column.is_text) for column in of_group]
        else:
            upper += [
                Heading(column.heading, rows=2, is_text=column.is_text) for column in of_group
            ]
    return upper, lower


def footnote_views(report: Report) -> list[FootnoteView]:
    """Return what the marks of a table mean."""
    views: list[FootnoteView] = []
    for footnote in report.footnotes:
        meaning = MEANINGS[footnote.code]
        name = str(Code(footnote.code))
        views.append(FootnoteView(meaning.letter, name, meaning.sentence, footnote.rows))
    return views


def _cells(columns: Sequence[Column], texts: Sequence[str], state: str) -> Iterator[Cell]:
    """Yield the cells behind a label; the state's marks stand beside it as links of their own."""
    for column, text in zip(columns, texts, strict=True):
        if column.key == _STATE:
            yield Cell(state, is_text=True, is_state=True)
        else:
            yield Cell(text, is_text=column.is_text)
