"""Reads the settings of runs that an older trainer made in the words of today.

Such a run is never trained on and never averaged with others, as `semantics` is part of a table's
setting; but it is listed, compared and reported, and so has to speak of the same keys.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from byol_core.config.canonical import canonical_of, flatten
from byol_core.config.train_config import TrainConfig

FIRST_WITH_THESE_WORDS = 2
"""The `SEMANTICS` since which settings are written as today."""

_RENAMED = {
    "contrastive.queue_size": "loss.queue_size",
    "contrastive.temperature": "loss.temperature",
    "loss_scale": "loss.scale",
}
_PARTS = ("encoder", "projector", "predictor")
_WITHOUT_PREDICTOR = {"predictor.kind": "none", "target.kind": "online"}
"""What method simclr was, before these were keys."""

_NOT_KNOWN = ("precision",)
"""What the settings of the first trainer left to the device, so that they do not tell it."""


def in_todays_words(canonical: Mapping[str, Any], semantics: int) -> dict[str, Any]:
    """Return the canonical settings of a run as today's trainer names them.

    Keys that did not exist say what the trainer of that time did, which is what their defaults do.
    A key that had no effect stays null, and one that nobody knows any more stays as it is.

    Args:
        canonical: as run.json holds them: dotted key → JSON value.
        semantics: of the trainer that made the run.
    """
    if semantics >= FIRST_WITH_THESE_WORDS:
        return dict(canonical)
    renamed = {new_name(key): value for key, value in canonical.items()}
    renamed |= _standardization(renamed)
    if renamed.get("method") == "simclr":
        renamed |= _WITHOUT_PREDICTOR

    # All keys together tell which have effect; a null needs a stand-in for that.
    defaults = _defaults()
    known = {key: value for key, value in renamed.items() if key in defaults}
    stated = {key: value for key, value in known.items() if value is not None}
    settings = canonical_of({**defaults, **stated})

    # What was null had no effect then, and what is not known is not made up.
    for key, value in renamed.items():
        if key not in defaults or value is None:
            settings[key] = value
    return {key: value for key, value in settings.items() if key not in _NOT_KNOWN}


def new_name(key: str) -> str:
    """Return today's name of a key of the first trainer."""
    return _RENAMED.get(key, key)


def _standardization(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the two keys that norm `gn_ws` became, for each part that has it."""
    changed: dict[str, Any] = {}
    for part in _PARTS:
        if settings.get(f"{part}.norm") == "gn_ws":
            changed[f"{part}.norm"] = "gn"
            changed[f"{part}.weight_standardization"] = "biased"
    return changed


@cache
def _defaults() -> Mapping[str, Any]:
    """Return every key with its default."""
    return flatten(TrainConfig().model_dump(mode="json"))
