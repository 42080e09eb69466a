"""Validation errors as one line: file, line, key, what is allowed, the nearest match."""

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel, ValidationError

from byol_core.config import nearest
from orchestrator.spec.strict_yaml import Document

_NOT_IN_THE_FILE = ("str", "dict[str,any]", "[key]")


def explain(document: Document, model: type[BaseModel], error: ValidationError) -> str:
    """Tell in one line what is wrong with a file that is no valid `model`."""
    # A misspelt key is both unknown and missing; the first says more.
    first = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    path = tuple(
        part
        for part in first["loc"]
        if part not in _NOT_IN_THE_FILE and not str(part).startswith("function-")
    )
    text = first["msg"].removeprefix("Value error, ")
    dotted = ".".join(str(part) for part in path)
    if first["type"] == "extra_forbidden":
        return (
            f"{document.where(path)}: key {dotted!r} does not exist; "
            f"{nearest(str(path[-1]), _keys_at(model, path[:-1]))}"
        )
    if first["type"] == "missing":
        needed = [name for name, field in model.model_fields.items() if field.is_required()]
        hint = f"; needed are {', '.join(needed)}" if len(path) == 1 else ""
        return f"{document.where(path[:-1])}: key {dotted!r} is missing{hint}"
    if first["type"] == "too_short":
        return f"{document.where(path)}: {dotted}: is empty; it must hold at least one value"
    if first["type"] == "value_error":
        at = path or (text.split(":")[0],)
        return f"{document.where(at)}: {dotted + ': ' if dotted else ''}{text}"
    expected = text.removeprefix("Input should be ")
    shown = "null" if first["input"] is None else repr(first["input"])
    return f"{document.where(path)}: {dotted}: {shown} is not allowed; it must be {expected}"


def _keys_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that may stand at a path; names of variants and numbers of list items lead
    nowhere else.
    """
    for part in path:
        field = model.model_fields.get(str(part))
        model = next(_models_in(field.annotation), model) if field else model
    return list(model.model_fields)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
