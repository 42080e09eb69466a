"""Tells how a row stands, and how that looks: a row that is not done never looks like one that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from analysis.figures.facts import PERCENT, number
from analysis.figures.style import Theme
from analysis.tables.line import Line
from analysis.tables.marks import Code, has

_INCOMPLETE = (Code.DIVERGED, Code.NOT_JUDGED, Code.NOT_FINITE, Code.EXCLUDED)
"""Marks that say that runs are missing in a row's number."""


class Standing(StrEnum):
    """How a row stands."""

    DONE = "mean of a row that is done"
    INCOMPLETE = "not done: some runs are missing"
    COLLAPSED = "all runs collapsed"
    SPLIT = "some seeds collapsed, some did not"
    EMPTY = "no number: the words say why"


@dataclass(frozen=True)
class Shape:
    """How a row's mean looks; a hollow marker has its edge alone."""

    marker: str
    is_hollow: bool = False
    is_muted: bool = False
    line: str = "-"

    def colour(self, theme: Theme, own: str) -> str:
        """Return the colour of what looks so, in place of its own."""
        if self.is_muted:
            return theme.muted
        return own

    def face(self, theme: Theme, own: str) -> str:
        """Return what fills its marker; a hollow one the background, so no line shines through."""
        if self.is_hollow:
            return theme.background
        return self.colour(theme, own)


SHAPES = {
    Standing.DONE: Shape("o"),
    Standing.INCOMPLETE: Shape("o", is_hollow=True, line="--"),
    Standing.COLLAPSED: Shape("X", is_muted=True),
    Standing.SPLIT: Shape("v", is_hollow=True, line=":"),
}

EMPTY_HATCH = "//////"


def empty_look(theme: Theme) -> dict[str, Any]:
    """Return how the place of a row without a number looks, as an area of matplotlib takes it."""
    return {
        "facecolor": "none",
        "edgecolor": theme.grid,
        "hatch": EMPTY_HATCH,
        "linewidth": 0,
        "gid": "empty",
    }


def standing_of(line: Line) -> Standing:
    """Return how a row stands. The order is important: what has no number has no shape."""
    if line.summary.mean is None:
        return Standing.EMPTY
    if has(line.marks, Code.SPLIT):
        return Standing.SPLIT
    if line.word != "done" or any(has(line.marks, code) for code in _INCOMPLETE):
        return Standing.INCOMPLETE
    if has(line.marks, Code.COLLAPSED):
        return Standing.COLLAPSED
    return Standing.DONE


def state_words(line: Line) -> str:
    """Return what is to be said of a row that is not simply done; its n stands beside its number."""
    words = [mark.text for mark in line.marks if mark.code != Code.UNEQUAL_N]
    if line.word != "done":
        words.insert(0, line.state)
    return ", ".join(words)


def value_words(line: Line, counts: Sequence[int]) -> str:
    """Return a row's number as a figure writes it: mean ± half its interval, or a split row's values.

    Args:
        line: the row.
        counts: of seeds, over all rows; where these differ, each row says its own.
    """
    if line.summary.mean is None:
        return ""
    if standing_of(line) == Standing.SPLIT:
        return " ".join(number(PERCENT * value) for value in line.values.values())
    text = number(PERCENT * line.summary.mean)
    if line.summary.ci95 is not None:
        text += f" ±{number(PERCENT * (line.summary.ci95[1] - line.summary.mean))}"
    if len(set(counts)) > 1:
        text += f" (n {line.summary.n})"
    return text


def counts_of(lines: Sequence[Line]) -> list[int]:
    """Return the numbers of seeds of all rows that have a number."""
    return [line.summary.n for line in lines if line.summary.n]
