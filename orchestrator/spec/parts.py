"""Holds what all parts of a spec have in common: strictness, names, and text of one line."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

Value = Any
Overrides = dict[str, Value]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAX_LINE = 1000


def check_name(name: str) -> str:
    """Return `name` if it can be a file name, a job name and a table row.

    Raises:
        ValueError: it cannot.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise ValueError(
            f"{name!r} is no name; use letters, digits, '.', '_' and '-', at most 64, "
            "starting with a letter or digit"
        )
    return name


def check_line(text: str) -> str:
    """Return `text` if it is one line.

    What goes into a job script must not start another line there.

    Raises:
        ValueError: it is empty, too long, or holds a line break, NUL or another control character.
    """
    if not text.strip() or len(text) > _MAX_LINE or not text.isprintable():
        raise ValueError(
            f"{text[:80]!r} is no line; "
            f"use 1 to {_MAX_LINE} printable characters without a line break"
        )
    return text


Name = Annotated[str, AfterValidator(check_name)]
Line = Annotated[str, AfterValidator(check_line)]


class Part(BaseModel):
    """Base of all parts: frozen, strict about types and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
