"""Puts a figure into a page: one image that is right on a light and on a dark screen."""

import base64
import re
from collections.abc import Callable
from dataclasses import fields

from analysis.figures.style import DARK_THEME, LIGHT_THEME
from analysis.tables.tidy import Report

_PREAMBLE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
_LONG_NUMBER = re.compile(r"(\b[1-9]\d*\.\d\d)\d+")
_LEAST_ROWS = 2


def is_worth_drawing(report: Report) -> bool:
    """Tell whether a table has rows enough that a figure shows more than the table does."""
    setting = report.table.setting
    if setting is None:
        return False
    return setting.feeds or int(report.main["mean"].notna().sum()) >= _LEAST_ROWS


def data_uri(draw: Callable[[Report, str], bytes], report: Report) -> str:
    """Return a figure as the address of an image that holds all of itself."""
    svg = _both_schemes(_lean(draw(report, "svg").decode()))
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _lean(svg: str) -> str:
    """Return a drawing without what no eye sees: comments, metadata, digits below a pixel."""
    for unseen in (_PREAMBLE, _COMMENT, _METADATA):
        svg = unseen.sub("", svg)
    return _LONG_NUMBER.sub(r"\1", svg)


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
