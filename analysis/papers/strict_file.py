"""Reads a YAML file strictly: one of this package, or one that a user wrote.

What does not fit is refused in one line, which names the file, the key and what is allowed.
"""

import math
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from analysis.errors import AnalysisError
from analysis.papers.nearest import nearest

_MAX_BYTES = 1 << 20
_MAX_VALUES = 100_000
_MAX_DEPTH = 20
_SHOWN = 60
_KINDS = {
    "string_type": "is no text",
    "int_type": "is no whole number",
    "float_type": "is no number",
    "bool_type": "is neither true nor false",
    "list_type": "is no list",
    "tuple_type": "is no list",
    "dict_type": "is no mapping of keys",
    "model_type": "is no mapping of keys",
    "finite_number": "is no number that is finite",
}
"""Kind of pydantic's error → what is said of the value."""


class TableFileError(AnalysisError):
    """A table's file that cannot be read, or holds what a table has not."""


class Strict(BaseModel):
    """Part of a file: knows its keys, refuses any other, and converts nothing."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Part = TypeVar("Part", bound=Strict)


def read_text(file: Path) -> str:
    """Return the text of a file that a user wrote.

    Raises:
        TableFileError: missing, no file, larger than a megabyte, or no text.
    """
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise TableFileError(f"{file}: larger than {_MAX_BYTES >> 20} MiB; it must be short")
        return file.read_bytes().decode()
    except FileNotFoundError:
        raise TableFileError(f"{file}: no such file; name a YAML file with a table") from None
    except IsADirectoryError:
        raise TableFileError(f"{file}: is a folder; name a YAML file with a table") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise TableFileError(
            f"{file}: cannot be read as text ({type(error).__name__}); it must be a YAML file"
        ) from None


def parse_yaml(text: str, place: str) -> dict[str, Any]:
    """Return what a YAML text holds, as plain values.

    Args:
        text: YAML 1.2.
        place: its file, for errors.

    Raises:
        TableFileError: no YAML, a key twice, no mapping, or more than a table could hold.
    """
    try:
        parsed = YAML(typ="safe").load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = getattr(mark, "line", 0) + 1
        problem = getattr(error, "problem", None) or str(error)
        raise TableFileError(f"{place}:{line}: {problem.strip().splitlines()[0]}") from None
    except (RecursionError, ValueError, TypeError):
        raise TableFileError(f"{place}: is no YAML that can be read") from None

    if not isinstance(parsed, dict):
        raise TableFileError(f"{place}: is no mapping of keys such as `rows:` and `axes:`")
    _check_values(parsed, place, 0, [0])
    return parsed


def _check_values(value: Any, place: str, depth: int, count: list[int]) -> None:
    """Count values with their aliases, so that a few lines cannot stand for millions."""
    count[0] += 1
    if count[0] > _MAX_VALUES or depth > _MAX_DEPTH:
        raise TableFileError(f"{place}: more than {_MAX_VALUES:,} values or {_MAX_DEPTH} levels")
    if isinstance(value, dict):
        for item in value.values():
            _check_values(item, place, depth + 1, count)
    elif isinstance(value, list):
        for item in value:
            _check_values(item, place, depth + 1, count)
    elif not isinstance(value, NoneType | bool | int | float | str):
        kind = type(value).__name__
        raise TableFileError(f"{place}: {value} is a {kind}, and no text; put it in quotes")
    elif isinstance(value, float) and not math.isfinite(value):
        raise TableFileError(f"{place}: {value} is no number that is finite")


def checked(part: type[Part], values: Any, place: str) -> Part:
    """Return values as a part of a file.

    Args:
        part: which.
        values: as they were read.
        place: the file, and what in it holds the values.

    Raises:
        TableFileError: the first thing that does not fit: place, key, what is allowed.
    """
    try:
        return part.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_url=False)

    # A misspelt key is named before the key that it leaves missing.
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    problem = problems[0]
    raise TableFileError(f"{place}: {_sentence(part, problem)}")


def _sentence(part: type[Strict], problem: ErrorDetails) -> str:
    """Say what is wrong, in one line."""
    key = ".".join(str(step) for step in problem["loc"] if step != "[key]")
    kind = problem["type"]
    if kind == "extra_forbidden":
        return f"key {key!r} does not exist; {nearest(key, list(part.model_fields), 'keys')}"
    if kind == "missing":
        return f"key {key!r} is missing"
    if kind == "invalid_key" or "[key]" in problem["loc"]:
        return f"key {problem['input']!r} is no text; put it in quotes"

    text = _KINDS.get(kind, problem["msg"].removeprefix("Value error, "))
    shown = repr(problem["input"])
    if len(shown) > _SHOWN:
        shown = f"{shown[: _SHOWN - 3]}..."
    return f"{key}: {shown} {text}" if key else f"{shown} {text}"
