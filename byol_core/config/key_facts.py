"""Says what each key of a run means and may hold, out of `TrainConfig` itself.

`sweep keys`, docs/keys.md and the JSON Schema of a spec are made from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from byol_core.config.presets import PRESETS
from byol_core.config.train_config import TrainConfig

_TYPES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "null": "null",
}
_PER_SECTION = "default", "title", "description"


@dataclass(frozen=True)
class KeyFacts:
    """Says what one key means and may hold.

    Attributes:
        key: dotted, e.g. `optimizer.lr`.
        meaning: what it does, as its field says.
        schema: the JSON Schema of its value.
        default: as a spec would write it.
        presets: name of a preset that changes it → its value there.
    """

    key: str
    meaning: str
    schema: Mapping[str, Any]
    default: Any
    presets: Mapping[str, Any]

    @property
    def allowed(self) -> str:
        """What it may hold, in words."""
        return _in_words(self.schema)

    @property
    def choices(self) -> list[str]:
        """The values that it may hold and that have names of their own; else none."""
        if self.schema.get("type") == "boolean":
            return ["true", "false"]
        kinds = self.schema.get("anyOf", [self.schema])
        return [str(choice) for kind in kinds for choice in _named(kind)]


@cache
def key_facts() -> Mapping[str, KeyFacts]:
    """Return the facts of every key, in the order in which they are declared."""
    whole = TrainConfig.model_json_schema()
    defaults = TrainConfig().model_dump(mode="json")
    return {facts.key: facts for facts in _facts_of(TrainConfig, whole, whole, defaults, "")}


def _facts_of(
    model: type[BaseModel],
    schema: Mapping[str, Any],
    whole: Mapping[str, Any],
    defaults: Mapping[str, Any],
    prefix: str,
) -> list[KeyFacts]:
    """Return the facts of a section's keys and of those in the sections below it."""
    facts: list[KeyFacts] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        key = f"{prefix}{name}"
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            below = whole["$defs"][kind.__name__]
            facts += _facts_of(kind, below, whole, defaults[name], f"{key}.")
            continue

        value = schema["properties"][name]
        bare = {word: rule for word, rule in value.items() if word not in _PER_SECTION}
        meaning = field.description or ""
        facts.append(KeyFacts(key, meaning, bare, defaults[name], _changed(key, defaults[name])))
    return facts


def _changed(key: str, default: Any) -> dict[str, Any]:
    """Return the presets under which a key has another value than its default."""
    return {
        preset: values[key]
        for preset, values in PRESETS.items()
        if values.get(key, default) != default
    }


def _in_words(schema: Mapping[str, Any]) -> str:
    """Return what a JSON Schema allows, in words."""
    if "anyOf" in schema:
        return " or ".join(_in_words(choice) for choice in schema["anyOf"])
    if _named(schema):
        return ", ".join(map(str, _named(schema)))
    if "pattern" in schema:
        return "package.module:Class"
    if schema["type"] == "array":
        item = schema.get("items") or schema["prefixItems"][0]
        return f"[a, b], each a {_in_words(item)}"
    return _TYPES[schema["type"]] + _range(schema)


def _named(schema: Mapping[str, Any]) -> list[Any]:
    """Return the values that a JSON Schema lists; none where it lists none."""
    return [schema["const"]] if "const" in schema else list(schema.get("enum", []))


def _range(schema: Mapping[str, Any]) -> str:
    """Return the ends of a range, in words; nothing where it has none."""
    low = schema.get("minimum")
    high = schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    below = schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"

    ends: list[str] = []
    for word, end in (("from", low), ("above", above), ("to", high), ("below", below)):
        if end is not None:
            ends.append(f" {word} {end}")
    return ",".join(ends)
