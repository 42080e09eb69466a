"""Names a run by what it trains, on which content, under which meaning of the trainer."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from byol_core.config.canonical import canonical
from byol_core.config.train_config import TrainConfig

SEMANTICS = 2
"""Raised, with a line in CHANGELOG.md, whenever the same config would train differently."""


@dataclass(frozen=True)
class DataIdentity:
    """Identifies the content of a data set, wherever it lies.

    Attributes:
        fingerprint: sha256 over the content.
        split: how training and test images were told apart.
        images: how many there are to train on, without limit; it follows from the content, and
            tells which settings mean the same. None where a run was recorded without it.
    """

    fingerprint: str
    split: str
    images: int | None = None


def run_id(config: TrainConfig, data: DataIdentity, weights: str | None = None) -> str:
    """Return the sha256 (64 hex digits) of the canonical config, the data and `SEMANTICS`.

    Evaluation, device, threads, paths and log intervals are no part of it. `weights` is the sha256
    of the networks that it starts from.
    """
    return run_id_of(canonical(config, data.images, weights), data)


def run_id_of(canonical_config: Mapping[str, Any], data: DataIdentity) -> str:
    """Return the run id of canonical settings."""
    content = {
        "config": canonical_config,
        "data": {"fingerprint": data.fingerprint, "split": data.split},
        "semantics": SEMANTICS,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
