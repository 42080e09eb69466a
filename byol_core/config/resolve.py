"""Lays overrides over a preset, and so makes a `TrainConfig`.

Errors name the key, what is allowed and the nearest match.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from byol_core.config.checks import check_config
from byol_core.config.errors import ConfigError
from byol_core.config.presets import PRESETS
from byol_core.config.train_config import TrainConfig

_SHOWN_CHARACTERS = 80
"""A value that is refused is cut behind them."""
_EXPECTED = {
    "list_type": "a list, e.g. [0, 1, 2]",
    "tuple_type": "a pair, e.g. [1, 1]",
    "missing": "a pair, e.g. [1, 1]",
    "too_long": "a pair, e.g. [1, 1]",
    "dict_type": "a mapping, e.g. {} or {epochs: 5}",
    "model_type": "a mapping, e.g. {}",
    "model_attributes_type": "a mapping, e.g. {}",
    "int_type": "a whole number, e.g. 2",
    "int_from_float": "a whole number, e.g. 2",
    "float_type": "a number, e.g. 0.5",
    "string_type": "text, e.g. byol; in quotes if it looks like a number",
    "bool_type": "true or false",
}
"""What a value of the wrong type must be; in a run's settings, only pairs can be too long."""
_NOW_CALLED = {"gn_ws": "; what was gn_ws is norm gn with weight_standardization biased"}
"""Word that an older version took → what is written today."""
_LISTED = 16
_FEW = 5


def resolve(preset: str, overrides: Mapping[str, Any]) -> TrainConfig:
    """Lay dotted overrides over a preset.

    Args:
        preset: a name in `PRESETS`.
        overrides: dotted key → value, e.g. ``{"projector.norm": "none"}``.

    Raises:
        ConfigError: unknown preset or key, wrong type, value out of range, parts that do not fit.
    """
    if preset not in PRESETS:
        raise ConfigError("preset", f"preset {preset!r} does not exist; {nearest(preset, PRESETS)}")
    tree: dict[str, Any] = {}
    for key, value in {**PRESETS[preset], **overrides}.items():
        _place(tree, key, value)
    try:
        config = TrainConfig.model_validate(tree)
    except ValidationError as error:
        raise _explain(error) from None
    check_config(config)
    return config


@cache
def keys() -> tuple[str, ...]:
    """Return every dotted key of a `TrainConfig`."""
    return tuple(_keys(TrainConfig, ""))


def nearest_key(word: str) -> str | None:
    """Return the key, or the last part of some, that a misspelt one may mean."""
    parts = [key.rpartition(".")[2] for key in keys()]
    close = difflib.get_close_matches(word, [*keys(), *parts], n=1, cutoff=0.6)
    return close[0] if close else None


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return a hint: the nearest match where there is one, otherwise what is allowed.

    A key is often written without its section, so keys whose last part is the word come first. Of
    many that are allowed, the nearest few are named.
    """
    options = sorted(allowed)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    close = _ending_in(word, options) or close
    if not close and (last_part := _nearest_last_part(word, options)):
        close = _ending_in(last_part, options)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    if len(options) <= _LISTED:
        return "allowed: " + ", ".join(options)
    few = difflib.get_close_matches(word, options, n=_FEW, cutoff=0)
    return f"allowed: {len(options)} names, of which the nearest are {', '.join(few)}"


def expected(kind: str, message: str) -> str:
    """Return what a value must be, in plain words, from the type and the text of pydantic's error."""
    return _EXPECTED.get(kind, message.removeprefix("Input should be "))


def _ending_in(last_part: str, options: Iterable[str]) -> list[str]:
    """Return the dotted options whose last part this is."""
    if not last_part.isidentifier():
        return []  # such as a number
    return [option for option in options if option.endswith(f".{last_part}")]


def _nearest_last_part(word: str, options: Iterable[str]) -> str | None:
    """Return the last part of a dotted option that a misspelt word may mean."""
    parts = [option.rpartition(".")[2] for option in options if "." in option]
    close = difflib.get_close_matches(word, parts, n=1, cutoff=0.6)
    return close[0] if close else None


def _keys(model: type[BaseModel], prefix: str) -> Iterable[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def _place(tree: dict[str, Any], key: str, value: Any) -> None:
    """Put a value into nested dictionaries."""
    if key not in keys():
        raise ConfigError(key, f"key {key!r} does not exist; {_key_hint(key)}")
    *path, leaf = key.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
    tree[leaf] = _without_negative_zero(value)


def _without_negative_zero(value: Any) -> Any:
    """Return the value with 0.0 for −0.0, which means the same and would give another run id."""
    if isinstance(value, list | tuple):
        return type(value)(_without_negative_zero(item) for item in value)
    if isinstance(value, float) and value == 0:
        return 0.0
    return value


def _key_hint(key: str) -> str:
    """Return what may be meant by a key that does not exist."""
    # A section, whole or as the first part of the key, narrows down what is meant.
    section = key.split(".")[0]
    in_section = [known for known in keys() if known.startswith(section + ".")]
    if in_section and key == section:
        return f"{key!r} is a section; its keys: " + ", ".join(in_section)
    return nearest(key, in_section or keys())


def _explain(error: ValidationError) -> ConfigError:
    """Return the first error of a validation, with its key and in plain words."""
    errors = error.errors(include_url=False)
    first = errors[0]
    key = _key_of(first["loc"])

    # Our own checks name a key within their section themselves.
    if first["type"] == "value_error":
        text = str(first["ctx"]["error"])
        message = f"{key}.{text}" if key else text
        return ConfigError(message.split(":")[0], message)

    # Every section has defaults, so what is missing or too long is a pair.
    shown = repr(first["input"])
    if len(shown) > _SHOWN_CHARACTERS:
        shown = f"{shown[:_SHOWN_CHARACTERS]}…"
    allowed = expected(first["type"], first["msg"])
    if any(
        other["type"] == "string_pattern_mismatch"
        for other in errors
        if _key_of(other["loc"]) == key
    ):
        allowed += ", or a part of your own, as package.module:Class"
    hint = _NOW_CALLED.get(str(first["input"]), "")
    return ConfigError(key, f"{key}: {shown} is not allowed; it must be {allowed}{hint}")


def _key_of(location: Sequence[str | int]) -> str:
    """Return the key that pydantic's location lies in; of a choice of types it names each."""
    parts = [str(part) for part in location if isinstance(part, str)]
    while parts and ".".join(parts) not in _keys_and_sections():
        parts.pop()
    return ".".join(parts) or ".".join(str(part) for part in location)


@cache
def _keys_and_sections() -> frozenset[str]:
    return frozenset({*keys(), *(key.rpartition(".")[0] for key in keys())})
