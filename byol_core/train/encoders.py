"""Keeps the encoders of a run in a folder, and builds them from it again.

A run is judged by what it keeps: what was saved is loaded and evaluated, not what is still in
memory. A published checkpoint that scores half of its paper's number is the usual end of the other
order.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from byol_core.config import TrainConfig, essential
from byol_core.files import DamagedFileError
from byol_core.networks.encoder import Encoder
from byol_core.train.checkpoint import load_state, save_state


def keep_encoders(folder: Path, encoders: Mapping[str, nn.Module]) -> None:
    """Publish encoders as `folder`; whole ones that are there stay, damaged ones are replaced.

    Raises:
        OSError: the disk is full or fails; then nothing is published.
    """
    save_state(folder, {name: encoder.state_dict() for name, encoder in encoders.items()}, {})


def load_encoders(
    folder: Path, config: TrainConfig, channels: int, device: torch.device
) -> dict[str, Encoder]:
    """Build the encoders that a run has kept, in float32 and in eval mode.

    Args:
        folder: what `keep_encoders` has published.
        config: of the run.
        channels: of its images.
        device: where they are to compute.

    Returns:
        "online" and, where the run has one, "target".

    Raises:
        DamagedFileError: the folder is missing or damaged, or holds encoders of other settings.
    """
    kept = load_state(folder)
    if kept is None:
        raise DamagedFileError(folder, "it holds no whole encoder")
    config = essential(config)
    encoders: dict[str, Encoder] = {}
    for name, state in kept[0].items():
        encoder = Encoder(config.encoder, channels, config.batch_norm)
        try:
            encoder.load_state_dict(state)
        except (RuntimeError, TypeError, AttributeError):
            raise DamagedFileError(folder, "its weights are those of other settings") from None
        encoders[name] = encoder.float().to(device).eval()
    return encoders
