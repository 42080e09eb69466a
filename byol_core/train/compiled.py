"""Fuses what a step computes by torch.compile: its augmentation, and the layers of the encoders.

Norms, activations and sums then take one pass over their maps each, forward and backward, where they
took one an operation. Convolutions stay cuDNN's. Heads and loss are small, and stay as they are.
"""

from typing import Any, Self

import torch
from torch import Tensor

from byol_core.images.source import Batch
from byol_core.train.step import Trainer

_WHOLE: dict[str, Any] = {"fullgraph": True, "dynamic": False}
"""One graph for shapes that never change: what cannot be fused is an error, not slow."""


def fuse_encoders(trainer: Trainer) -> None:
    """Compile the layers of both encoders, at their first use; names and weights stay."""
    for network in (trainer.online, trainer.target):
        if network is not None:
            network.encoder.stem.compile(**_WHOLE)
            network.encoder.blocks.compile(**_WHOLE)


class FusedBatch:
    """Is a batch that makes its views by compiled code.

    Args:
        batch: whose tensors are the same ones at each step.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._views = torch.compile(batch.views, **_WHOLE)

    @property
    def labels(self) -> Tensor:
        """As `Batch.labels`."""
        return self._batch.labels

    def views(self, device: torch.device) -> Tensor:
        """As `Batch.views`."""
        views: Tensor = self._views(device)
        return views

    def clean(self, device: torch.device) -> Tensor:
        """As `Batch.clean`."""
        return self._batch.clean(device)

    def on(self, device: torch.device) -> Self:
        """As `Batch.on`, of a batch that is there."""
        return self

    def tensors(self) -> list[Tensor]:
        """As `Batch.tensors`."""
        return self._batch.tensors()
