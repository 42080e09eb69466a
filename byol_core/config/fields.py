"""Defines what the settings of a run are made of: ranges, pairs, and when a key has effect."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from byol_core.files import absolute

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
PlugIn = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""A part of the user's own, written `package.module:Name`."""
AbsolutePath = Annotated[str, AfterValidator(lambda path: str(absolute(path)))]
"""A path, which becomes one from the root on; a relative one starts in the working directory."""

_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_PAIR = {"type": "array", "minItems": 2, "maxItems": 2}


@dataclass(frozen=True)
class When:
    """Says where a key has effect: where another key has effect and holds one of some values.

    Attributes:
        key: the other key, dotted; with a leading dot one of the same section.
        values: that it may hold; none given: any but zero and false.
        or_own: whether a part of the user's own counts as one of them, as it may read any key.
    """

    key: str
    values: tuple[Any, ...] = ()
    or_own: bool = True

    def holds(self, value: Any) -> bool:
        """Tell whether the other key, which has effect, holds such a value."""
        if isinstance(value, str) and ":" in value and not value.startswith("/"):
            return self.or_own
        if not self.values:
            return value not in (0, False, [0.0, 0.0])
        return value in self.values


@dataclass(frozen=True)
class WhenAny:
    """Says where a key has effect: where one of several conditions holds."""

    conditions: tuple[When, ...]


@dataclass(frozen=True)
class Since:
    """Says what the trainer did before a key existed.

    Attributes:
        before: the value under which everything is as it was without the key.
    """

    before: Any


Condition = When | WhenAny


class Section(BaseModel):
    """Is the base of all settings: frozen, strict about types and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _for_both(value: Any) -> Any:
    """Return a pair as it is, and any other value twice."""
    if isinstance(value, list | tuple):
        return value
    return value, value


def _shortest(pair: tuple[float, float]) -> float | list[float]:
    """Return one number for an equal pair."""
    if pair[0] == pair[1]:
        return pair[0]
    return list(pair)


PerView = Annotated[
    tuple[Fraction, Fraction],
    Field(strict=False),
    BeforeValidator(_for_both),
    PlainSerializer(_shortest, when_used="json"),
    WithJsonSchema({"anyOf": [_PROBABILITY, {**_PAIR, "items": _PROBABILITY}]}),
]
"""A probability for view 1 and one for view 2, written `[1.0, 0.1]`.

One number means both, and is what equal ones become.
"""

Schedule = Literal["constant", "cosine"]
Flat = Mapping[str, Any]
"""Settings as one mapping, dotted key → JSON value."""
