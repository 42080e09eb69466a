"""Reads the canonical settings of a run in today's words, whichever trainer made it."""

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
