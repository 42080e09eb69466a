"""Fills the page's templates; every text in them is escaped, and made safe to read, here."""

import base64
import hashlib
import re
import shlex
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.papers.plain_text import plain

_IN_BACKTICKS = re.compile(r"`([^`]+)`")


def fill(template: str, **values: Any) -> bytes:
    """Return a page.

    Args:
        template: name of its file.
        values: what the template names.
    """
    style = _style()
    text = (
        _environment().get_template(template).render(style=style, policy=_policy(style), **values)
    )
    return text.encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("analysis.page"),
        autoescape=True,
        finalize=_safe,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["quoted"] = shlex.quote
    environment.filters["with_code"] = _with_code
    return environment


def _with_code(text: str) -> Markup:
    """Return a sentence with what stands in backticks as code; all of it is escaped first."""
    return Markup(_IN_BACKTICKS.sub(r"<code>\1</code>", str(escape(plain(text)))))


def _safe(value: Any) -> Any:
    """Return a text without what hides, turns or breaks it; what is markup stays as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return plain(value)
    return value


@cache
def _style() -> Markup:
    """Return the style sheet; it is ours, and holds nothing that somebody else wrote."""
    return Markup(files("analysis.page").joinpath("templates", "page.css").read_text("utf-8"))


def _policy(style: Markup) -> str:
    """Return the page's content security policy: it loads nothing, and runs nothing."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
