"""Fuses augmentation by torch.compile.

A hundred small passes over a batch's pixels become a few. Convolutions stay cuDNN's, norms have
kernels of our own (``networks.fused``), and the rest of a step is small.
"""

from typing import Any, Self

import torch
from torch import Tensor

from byol_core.images.source import Batch

_WHOLE: dict[str, Any] = {"fullgraph": True, "dynamic": False}
"""One graph for shapes that never change: what cannot be fused is an error, not slow."""


class FusedBatch:
    """Is a batch that makes its views by compiled code.

    Args:
        batch: whose tensors are the same ones at each step.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

        # What earlier runs of this process have compiled would count against a limit.
        torch.compiler.reset()
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
