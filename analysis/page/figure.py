"""Puts figures into a page: images that are right on a light and on a dark screen."""

import base64
import re
from dataclasses import dataclass, fields

from markupsafe import Markup

from analysis.figures.kinds import description, draw, figures_of
from analysis.figures.style import DARK_THEME, LIGHT_THEME, Look
from analysis.tables.tidy import Report

_PREAMBLE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
_LONG_NUMBER = re.compile(r"(\b[1-9]\d*\.\d\d)\d+")
_GROUP_NAME = re.compile(r'(?<=<g) id="[^"]*"')
_TAG = re.compile(r"<[^>]*>")
_BLANKS = re.compile(r"\s+")
_STYLE = re.compile(r'(?<!<)style="([^"]*)"')
_LEAST_ROWS = 2
_LOOK = Look(text_as_paths=False)
"""Letters stay text: they take a fifth of the room, and are drawn faster."""


@dataclass(frozen=True)
class FigureView:
    """A figure: its kind, the address of an image that holds all of it, and words for it."""

    kind: str
    address: str
    words: str


def figure_views(report: Report) -> list[FigureView]:
    """Return the figures that a table is shown with."""
    return [
        FigureView(kind, _address(report, kind), description(report, kind))
        for kind in kinds_of(report)
    ]


def kinds_of(report: Report) -> list[str]:
    """Return the kinds of figures that a table is shown with.

    A table that no sweep was made for has one, where rows enough have runs that it shows more than
    the table does.
    """
    setting = report.table.setting
    if setting is None:
        return []
    kinds = figures_of(report)
    if setting.feeds:
        return kinds
    with_runs = int(report.main["mean"].notna().sum())
    return kinds[:1] if with_runs >= _LEAST_ROWS else []


def _address(report: Report, kind: str) -> Markup:
    svg = _both_schemes(_lean(draw(report, kind, "svg", _LOOK).decode()))
    return Markup("data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode())


def _lean(svg: str) -> str:
    """Return a drawing without what no eye sees: comments, names, digits below a pixel.

    Its styles repeat themselves; each is written once, as a class.
    """
    for unseen in (_PREAMBLE, _COMMENT, _METADATA, _GROUP_NAME):
        svg = unseen.sub("", svg)
    svg = _TAG.sub(lambda tag: _LONG_NUMBER.sub(r"\1", tag[0]), svg)
    svg = _BLANKS.sub(" ", svg).replace("> <", "><")

    classes: dict[str, str] = {}

    def as_class(style: re.Match[str]) -> str:
        name = classes.setdefault(style[1], f"s{len(classes)}")
        return f'class="{name}"'

    svg = _STYLE.sub(as_class, svg)
    rules = "".join(f".{name}{{{style}}}" for style, name in classes.items())
    head, _, body = svg.partition(">")
    return f"{head}><style>{rules}</style>{body}"


def _both_schemes(svg: str) -> str:
    """Return a drawing whose colours follow the reader's screen, as the styles name them."""
    dark: list[str] = []
    for name, light_colour, dark_colour in _colours():
        svg = svg.replace(light_colour, f"var(--{name}, {light_colour})")
        dark.append(f"--{name}: {dark_colour}")
    rule = f"@media (prefers-color-scheme: dark) {{ svg {{ {'; '.join(dark)} }} }}"
    head, _, body = svg.partition(">")
    return f"{head}><style>{rule}</style>{body}"


def _colours() -> list[tuple[str, str, str]]:
    """Return name, light and dark of each colour; one colour of two names is listed once."""
    pairs: dict[str, tuple[str, str]] = {}
    for place in fields(LIGHT_THEME):
        light = getattr(LIGHT_THEME, place.name)
        dark = getattr(DARK_THEME, place.name)
        if isinstance(light, str):
            pairs.setdefault(light, (place.name, dark))
    for number, light in enumerate(LIGHT_THEME.palette):
        pairs.setdefault(light, (f"series{number}", DARK_THEME.palette[number]))
    return [(name, light, dark) for light, (name, dark) in pairs.items() if light.startswith("#")]
