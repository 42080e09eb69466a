"""Tells which keys of a run have effect, from what each field declares with `When`.

A key without effect changes nothing under the values of others, as `gn_groups` under `bn`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import BaseModel

from byol_core.config.fields import Condition, Flat, Since, When, WhenAny
from byol_core.config.train_config import TrainConfig

_BATCH_NORM_ANYWHERE = WhenAny(
    tuple(When(f"{part}.norm", ("bn",)) for part in ("encoder", "projector", "predictor"))
)
_SECTIONS: dict[str, tuple[Condition, ...]] = {
    "batch_norm": (_BATCH_NORM_ANYWHERE,),
}
"""Section → what must hold for any of its keys to have effect."""

_ANY_NORM = ("bn", "ln", "gn", "in", "affine", "none")
_OF_RANDOM_ENCODER: dict[str, tuple[str, ...]] = {
    "method": _ANY_NORM,
    "seed": _ANY_NORM,
    "dataset": _ANY_NORM,
    "encoder": _ANY_NORM,
    "init": _ANY_NORM,
    "init.biases": ("none",),
    "init.collapse": (),
    "batch_size": ("bn",),
    "batch_norm.views": ("bn",),
    "batch_norm.group": ("bn",),
    "batch_norm.parts": ("bn",),
    "augment": ("bn", "affine"),
    "augment.normalize": _ANY_NORM,
}
"""Key or section → the norms under which it shapes a run that never trains.

That run is its encoder, and the images that some norms are fitted to; biases are where no norm is.
"""


def in_effect(flat: Flat) -> set[str]:
    """Return the keys of flat settings that have effect."""
    known: dict[str, bool] = {}
    return {key for key in flat if _has_effect(key, flat, known)}


@cache
def before() -> Mapping[str, Any]:
    """Return key → what the trainer did before it, of keys that came after runs were named."""
    values: dict[str, Any] = {}
    for key, metadata in _fields().items():
        for mark in metadata:
            if isinstance(mark, Since):
                values[key] = mark.before
    return values


def _has_effect(key: str, flat: Flat, known: dict[str, bool]) -> bool:
    """Tell it of one key; conditions may lead to others, and never in a circle."""
    if key not in known:
        conditions = _conditions()[key]
        known[key] = _is_of_method(key, flat) and all(
            _holds(condition, flat, known) for condition in conditions
        )
    return known[key]


def _is_of_method(key: str, flat: Flat) -> bool:
    if flat["method"] != "random":
        return True
    section = key.partition(".")[0]
    norms = _OF_RANDOM_ENCODER.get(key, _OF_RANDOM_ENCODER.get(section, ()))
    return bool(norms) and When("encoder.norm", norms).holds(flat["encoder.norm"])


def _holds(condition: Condition, flat: Flat, known: dict[str, bool]) -> bool:
    if isinstance(condition, WhenAny):
        return any(_holds(choice, flat, known) for choice in condition.conditions)
    return _has_effect(condition.key, flat, known) and condition.holds(flat[condition.key])


@cache
def _conditions() -> Mapping[str, tuple[Condition, ...]]:
    """Return key → what must hold, with whole names of the other keys."""
    conditions: dict[str, tuple[Condition, ...]] = {}
    for key, metadata in _fields().items():
        section = key.rpartition(".")[0]
        own = tuple(mark for mark in metadata if isinstance(mark, When | WhenAny))
        absolute = tuple(_absolute(condition, section) for condition in own)
        conditions[key] = _SECTIONS.get(section, ()) + absolute
    return conditions


def _absolute(condition: Condition, section: str) -> Condition:
    if isinstance(condition, WhenAny):
        return WhenAny(tuple(_whole(choice, section) for choice in condition.conditions))
    return _whole(condition, section)


def _whole(condition: When, section: str) -> When:
    if condition.key.startswith("."):
        return replace(condition, key=section + condition.key)
    return condition


@cache
def _fields() -> Mapping[str, list[Any]]:
    """Return key → the metadata of its field."""
    return dict(_fields_of(TrainConfig, ""))


def _fields_of(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, list[Any]]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields_of(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.metadata
