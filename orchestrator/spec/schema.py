"""Makes the JSON Schema of a spec, with which an editor completes and checks one.

It is `Spec`'s own, with the keys of a run in the places of its overrides. What holds between parts,
as that a baseline is a variant, only reading the spec can tell.
"""

import json
from collections.abc import Sequence
from typing import Any

from byol_core.config import PRESETS
from byol_core.config.key_facts import KeyFacts, key_facts
from orchestrator.spec.model import Spec

SCHEMA_FILE = "spec.schema.json"
"""Its name beside the specs that come with the program; their first line points to it."""

Schema = dict[str, Any]


def schema_text(tables: Sequence[str]) -> str:
    """Return the JSON Schema of a spec as a file's text.

    Args:
        tables: the tables that a sweep can feed.
    """
    schema = _without_titles(Spec.model_json_schema())
    _name_the_keys(schema)
    schema["properties"]["tables"]["items"] = {"enum": [*tables]}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A sweep of byol-sweeps",
        **schema,
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _name_the_keys(schema: Schema) -> None:
    """Say which keys may stand where `Spec` itself says only that keys stand there."""
    definitions = schema["$defs"]
    facts = [facts for key, facts in key_facts().items() if key != "seed"]
    preset = {"enum": [*PRESETS], "description": "the base config that the other keys change"}
    definitions["Keys"] = _object({each.key: _value(each) for each in facts})
    definitions["Base"] = _object({"preset": preset, **definitions["Keys"]["properties"]})
    definitions["Axes"] = _object({each.key: _axis(each) for each in facts})
    definitions["Formulas"] = _object({each.key: _formula(each) for each in facts})

    # A profile that names no preset changes the spec's own base.
    whole = schema["properties"]
    profile = definitions["Profile"]["properties"]
    whole["base"] = {"$ref": "#/$defs/Base", "required": ["preset"]}
    profile["base"] = {"$ref": "#/$defs/Base"}
    for variants in (whole["variants"], profile["variants"]):
        variants["additionalProperties"] = {"$ref": "#/$defs/Keys"}

    whole["grid"] = {"$ref": "#/$defs/Axes"}
    whole["zip"] = {"$ref": "#/$defs/Axes"}
    whole["derive"] = {"$ref": "#/$defs/Formulas"}
    whole["baseline"] = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Keys"}]}
    definitions["Exclude"]["properties"]["when"] = {"$ref": "#/$defs/Keys", "minProperties": 1}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _value(facts: KeyFacts) -> Schema:
    return {"description": facts.meaning, **facts.schema, "default": facts.default}


def _axis(facts: KeyFacts) -> Schema:
    values = {"type": "array", "minItems": 1, "items": dict(facts.schema)}
    return {"description": facts.meaning, **values}


def _formula(facts: KeyFacts) -> Schema:
    return {"description": facts.meaning, "type": "string"}


def _without_titles(schema: Any) -> Any:
    """Leave out the titles that pydantic makes of names: an editor shows the names anyway."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        word: _without_titles(rule)
        for word, rule in schema.items()
        if word != "title" or not isinstance(rule, str)
    }
