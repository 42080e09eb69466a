"""Explains a validation error in one line: file, line, key, what is allowed, the nearest match."""

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel, ValidationError

from byol_core.config import nearest
from byol_core.config.resolve import expected
from orchestrator.spec.strict_yaml import Document

_NOT_IN_THE_FILE = ("str", "dict[str,any]", "[key]")


def explain(document: Document, model: type[BaseModel], error: ValidationError) -> str:
    """Tell in one line what is wrong with a file that is no valid `model`."""
    # A misspelt key is both unknown and missing; the first says more.
    errors = error.errors(include_url=False)
    first = min(errors, key=lambda details: details["type"] != "extra_forbidden")
    path = tuple(part for part in first["loc"] if _is_in_the_file(part))
    line = document.where(path)
    dotted = ".".join(str(part) for part in path)
    text = first["msg"].removeprefix("Value error, ")

    if first["type"] == "extra_forbidden":
        hint = nearest(str(path[-1]), _keys_at(model, path[:-1]))
        return f"{line}: key {dotted!r} does not exist; {hint}"
    if first["type"] == "missing":
        return f"{document.where(path[:-1])}: key {dotted!r} is missing{_needed(model, path)}"
    if first["type"] == "too_short":
        return f"{line}: {dotted}: is empty; it must hold at least one value"
    if first["type"] == "value_error":
        # A rule of the whole file has no path: its text begins with the key.
        if path:
            return f"{line}: {dotted}: {text}"
        return f"{document.where((text.split(':')[0],))}: {text}"

    shown = repr(first["input"])
    if first["input"] is None:
        shown = "null"
    return f"{line}: {dotted}: {shown} is not allowed; it must be {expected(first['type'], text)}"


def _is_in_the_file(part: str | int) -> bool:
    """Tell whether a part of pydantic's path is a key or number of the file, not of its types."""
    return part not in _NOT_IN_THE_FILE and not str(part).startswith("function-")


def _needed(model: type[BaseModel], path: tuple[str | int, ...]) -> str:
    """Return the hint that names all required keys, for a key at the top of the file."""
    if len(path) != 1:
        return ""
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    return f"; needed are {', '.join(required)}"


def _keys_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that may stand at a path.

    Names of variants and numbers of list items are no fields, so they lead to no other model.
    """
    for part in path:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = next(_models_in(field.annotation), model)
    return list(model.model_fields)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models in a type, such as `Profile` in `dict[str, Profile]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
