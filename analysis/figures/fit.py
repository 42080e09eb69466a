"""Fits text into a width: measured as it will be drawn, wrapped at spaces, cut where it is too long."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache, lru_cache

from analysis.figures.style import FONT, TEXT_SIZE
from analysis.papers.plain_text import plain

POINTS_PER_INCH = 72.0
LINE_HEIGHT = 1.35
"""The distance of two lines, in sizes of their text."""
_SLACK = 1.03
"""Pictures of few pixels draw letters a little wider than they are."""
_CUT = "…"


def line_height(size: float) -> float:
    """Return how high a line of text of a size is, in inches."""
    return LINE_HEIGHT * size / POINTS_PER_INCH


@lru_cache(maxsize=8192)
def text_width(text: str, size: float = TEXT_SIZE, *, is_bold: bool = False) -> float:
    """Return how wide a line of text is, in inches."""
    from matplotlib.font_manager import get_font

    font = get_font(_font_file(is_bold=is_bold))
    font.set_size(size, POINTS_PER_INCH)
    font.set_text(text, 0.0)
    width, _ = font.get_width_height()
    return float(_SLACK * width / 64 / POINTS_PER_INCH)


@cache
def _font_file(*, is_bold: bool) -> str:
    from matplotlib.font_manager import FontProperties, findfont

    weight = {True: "bold", False: "normal"}[is_bold]
    return str(findfont(FontProperties(family=FONT, weight=weight)))


def fitted(
    text: str,
    width: float,
    size: float = TEXT_SIZE,
    lines: int | None = None,
    *,
    is_bold: bool = False,
) -> str:
    """Return a text in lines that fit a width.

    Args:
        text: as people wrote it.
        width: in inches.
        size: of the font, in points.
        lines: how many there may be; what does not fit into them is cut, and ends in `…`.
        is_bold: whether it is drawn so.
    """

    def fits(piece: str) -> bool:
        return text_width(piece, size, is_bold=is_bold) <= width

    # A word that fits no line is broken; what follows stands in the line of its last piece.
    wrapped: list[str] = []
    words = [word for word in plain(text).split(" ") if word]
    while words:
        count = _count_fitting(words, fits)
        if not count:
            *pieces, words[0] = _pieces(words[0], fits)
            wrapped += pieces
            count = max(1, _count_fitting(words, fits))  # a letter stays, however wide
        wrapped.append(" ".join(words[:count]))
        words = words[count:]

    if lines is None or len(wrapped) <= lines:
        return "\n".join(wrapped)
    last = f"{wrapped[lines - 1]}{_CUT}"
    while len(last) > 1 and not fits(last):
        last = f"{last[:-2]}{_CUT}"
    return "\n".join([*wrapped[: lines - 1], last])


def _count_fitting(words: Sequence[str], fits: Callable[[str], bool]) -> int:
    """Return how many words fit one line; halving asks for few of the lines that there could be."""
    counts = range(1, len(words) + 1)
    return bisect_left(counts, True, key=lambda count: not fits(" ".join(words[:count])))


def _pieces(word: str, fits: Callable[[str], bool]) -> list[str]:
    """Return a word in pieces that fit, of one character at least."""
    pieces = [""]
    for character in word:
        if pieces[-1] and not fits(pieces[-1] + character):
            pieces.append("")
        pieces[-1] += character
    return pieces


def widest(texts: Sequence[str], size: float = TEXT_SIZE) -> float:
    """Return the width of the widest line among some texts, in inches; 0 for none."""
    return max((text_width(line, size) for text in texts for line in text.split("\n")), default=0.0)
