"""Makes the random pictures that everybody trains on, and a data set that hands them out.

Noise, never zeros: on zeros some hardware computes faster.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

_EPOCH = 50_000
"""Pictures that an epoch counts, so that no loader starts anew within a turn."""


def random_pixels(count: int, channels: int, side: int) -> Tensor:
    """Return (count, channels, side, side) uint8, the same ones each time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, side, side), generator=generator).to(torch.uint8)


def random_views(batch: int, channels: int, side: int, device: torch.device) -> Tensor:
    """Return two normalized views, (2, batch, channels, side, side) float32, on a device."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((2, batch, channels, side, side), generator=generator).to(device)


def pictures_for(batch: int, side: int) -> int:
    """Return how many pictures lie in memory: enough for some batches, at most about 400 MB."""
    fitting = 400_000_000 // (3 * side * side)
    return max(batch, min(4 * batch + 1000, fitting))


class Pictures(Dataset[Any]):
    """Hands pictures out as torchvision's CIFAR10 does: an array becomes a PIL image, transformed.

    Args:
        pixels: (N, C, H, W) uint8.
        transform: what makes the views of a PIL image.
    """

    def __init__(self, pixels: Tensor, transform: Callable[[Image.Image], Any]) -> None:
        self.arrays = np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())
        if self.arrays.shape[-1] == 1:
            self.arrays = self.arrays[..., 0]
        self.transform = transform

    def __len__(self) -> int:
        return _EPOCH

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Return the views and a label."""
        image = Image.fromarray(self.arrays[index % len(self.arrays)])
        return self.transform(image), 0


class Numbered(Pictures):
    """Hands out the number of the picture first, as solo-learn's data sets do."""

    def __getitem__(self, index: int) -> tuple[Any, ...]:  # type: ignore[override]
        """Return the number, the views and a label."""
        return (index, *super().__getitem__(index))
