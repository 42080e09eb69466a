"""Reads the canonical settings of a run in today's words, and writes values as `--set` takes them."""

import json
from collections.abc import Mapping
from typing import Any

_OTHER_WORDS = 1
"""The `SEMANTICS` whose runs name settings otherwise (`byol_core.config.old_settings`)."""


def settings_today(canonical: Mapping[str, Any], semantics: int) -> Mapping[str, Any]:
    """Return canonical settings as today's trainer names them; those of a newer one as they are."""
    if semantics > _OTHER_WORDS:
        return canonical

    # Imported here, as what only looks at runs is not to wait for pydantic's models.
    from byol_core.config.old_settings import in_todays_words

    return in_todays_words(canonical, semantics)


def value_text(value: Any) -> str:
    """Return a value as `--set` takes it: JSON, and text that is no JSON as it is."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)
