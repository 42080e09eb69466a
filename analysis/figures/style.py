"""Sets the one style that all figures share: colours, markers, sizes, in a light and a dark variant.

Series differ in marker, line and hatch as well as in colour, so that a figure reads in grey and by
people who see colours otherwise. Loads no matplotlib before something is drawn.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

FONT = "DejaVu Sans"
"""The font that matplotlib brings along, so that a figure is the same on every machine."""
TEXT_SIZE = 9.0
SMALL_SIZE = 8.0
TITLE_SIZE = 11.0
_USERS_OWN = ("backend", "interactive", "toolbar", "webagg")
"""Settings of matplotlib that are no part of a figure."""


@dataclass(frozen=True)
class SeriesStyle:
    """How one of several series looks."""

    colour: str
    marker: str
    line: Any
    hatch: str


@dataclass(frozen=True)
class Theme:
    """The colours of a figure.

    Attributes:
        background: `none` for what lies behind the figure.
        ink: of text and axes.
        muted: of what stands back: grids, states, runs that collapsed.
        grid: of the lines behind the numbers.
        ours: of what was measured here.
        published: of what a paper prints.
        palette: of several series, in the order of their rows.
    """

    background: str
    ink: str
    muted: str
    grid: str
    ours: str
    published: str
    palette: tuple[str, ...]


# Okabe and Ito's colours; on dark ground the lighter ones of them, or lighter shades.
LIGHT_THEME = Theme(
    background="#ffffff",
    ink="#1b1f24",
    muted="#5f6770",
    grid="#e3e6e9",
    ours="#0072b2",
    published="#c2500a",
    palette=("#0072b2", "#c2500a", "#007f5f", "#a0447f", "#1b1f24", "#b27d00"),
)
DARK_THEME = Theme(
    background="#14181c",
    ink="#e8eaed",
    muted="#a2abb5",
    grid="#323a42",
    ours="#56b4e9",
    published="#f0924a",
    palette=("#56b4e9", "#f0924a", "#35c49a", "#e08cc0", "#e8eaed", "#f0e442"),
)

_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)))
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "++++")


@dataclass(frozen=True)
class Look:
    """In which variant a figure is drawn.

    Attributes:
        theme: its colours.
        width: in inches; the height follows from what there is to show.
        dpi: pixels per inch of a PNG.
        text_as_paths: whether letters of an SVG are drawn. As text they take a fifth of the room and
            can be searched, but look as the reader's fonts do.
    """

    theme: Theme = field(default=LIGHT_THEME)
    width: float = 8.0
    dpi: int = 150
    text_as_paths: bool = True

    def series(self, number: int) -> SeriesStyle:
        """Return how the series of a number looks; after six, colours come with other lines."""
        place = number % SERIES
        line = _LINES[(number + number // SERIES) % SERIES]
        return SeriesStyle(self.theme.palette[place], _MARKERS[place], line, _HATCHES[place])


LIGHT = Look()
DARK = Look(DARK_THEME)
SERIES = len(_MARKERS)
"""How many colours and markers there are, so how many series are told apart at a glance."""


@contextmanager
def drawing(look: Look) -> Iterator[None]:
    """Set matplotlib up for a figure, whatever a user has set, and put that back afterwards."""
    import matplotlib as mpl

    users = {
        key: value
        for key, value in mpl.rcParamsDefault.items()
        if not key.startswith(_USERS_OWN) and mpl.rcParams[key] != value
    }
    with mpl.rc_context({**users, **_settings(look)}), warnings.catch_warnings():
        # A name in letters that the font lacks shows boxes, which is no reason to write to the screen.
        warnings.filterwarnings("ignore", message=".*missing from .*font")
        yield


def _settings(look: Look) -> dict[str, Any]:
    theme = look.theme
    return {
        "font.family": [FONT, "sans-serif"],
        "font.sans-serif": [FONT, "Verdana", "Arial"],
        "font.size": TEXT_SIZE,
        # Names hold $ and _ as people wrote them; they are no formulas.
        "text.parse_math": False,
        # Or letters on few pixels would be wider than they were measured.
        "text.hinting": "none",
        "svg.hashsalt": "sweep",
        "svg.fonttype": "path" if look.text_as_paths else "none",
        "figure.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        "axes.facecolor": "none",
        "axes.edgecolor": theme.muted,
        "axes.linewidth": 0.8,
        "axes.labelcolor": theme.ink,
        "axes.labelsize": SMALL_SIZE,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "text.color": theme.ink,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "xtick.labelsize": SMALL_SIZE,
        "ytick.labelsize": SMALL_SIZE,
        "grid.color": theme.grid,
        "grid.linewidth": 0.7,
        "legend.frameon": False,
        "legend.fontsize": SMALL_SIZE,
        "legend.handlelength": 2.6,
        "hatch.linewidth": 0.6,
        "lines.linewidth": 1.6,
    }
