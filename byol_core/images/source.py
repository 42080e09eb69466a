"""Defines what views come from: a source, which hands out batches of its images.

``memory.Split`` holds pixels, ``photos.Photos`` decodes files on demand. What a batch still lacks
of a random view is drawn on the device, by ``Batch.view``.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from byol_core.augment.views import colour_and_noise, normalized, random_view, to_float
from byol_core.config import Augment


@dataclass(frozen=True)
class Request:
    """Names a batch that will be wanted.

    Attributes:
        rows: (B,) int64, which images.
        augment: the augmentation.
        crops: the random streams, one for each view, of crops that are cut before the batch is
            handed out; none where images are wanted as they are.
    """

    rows: Tensor
    augment: Augment
    crops: tuple[np.random.Generator, ...] = ()


class Batch(Protocol):
    """Holds some images of a source."""

    def view(
        self, view: int, augment: Augment, rng: np.random.Generator, device: torch.device
    ) -> Tensor:
        """Return random view 1 or 2 of each image.

        Returns:
            (B, C, H, W) float32 on the device, normalized.
        """

    def clean(self, augment: Augment, device: torch.device) -> Tensor:
        """Return the images without augmentation, normalized."""


class Source(Protocol):
    """Gives images by number, with labels."""

    @property
    def labels(self) -> Tensor:
        """Return the label of each image: (N,) int64; −1 where there is none."""

    @property
    def channels(self) -> int:
        """Return the number of channels: 1 (grey) or 3."""

    def __len__(self) -> int: ...

    def read(self, requests: Iterable[Request]) -> Generator[Batch, None, None]:
        """Yield a batch for each request, in order."""


@dataclass(frozen=True)
class Whole:
    """Holds images that lie in memory: every view starts from the whole image.

    Attributes:
        pixels: (B, C, H, W) uint8.
    """

    pixels: Tensor

    def view(
        self, view: int, augment: Augment, rng: np.random.Generator, device: torch.device
    ) -> Tensor:
        """Return what `Batch.view` says."""
        return random_view(to_float(self.pixels.to(device)), augment, rng, view)

    def clean(self, augment: Augment, device: torch.device) -> Tensor:
        """Return what `Batch.clean` says."""
        return normalized(to_float(self.pixels.to(device)), augment)


@dataclass(frozen=True)
class Cut:
    """Holds photos whose views were cut out and mirrored while they were decoded.

    Attributes:
        pixels: for each view (B, 3, side, side) uint8.
    """

    pixels: tuple[Tensor, ...]

    def view(
        self, view: int, augment: Augment, rng: np.random.Generator, device: torch.device
    ) -> Tensor:
        """Return what `Batch.view` says."""
        return colour_and_noise(to_float(self.pixels[view - 1].to(device)), augment, rng, view)

    def clean(self, augment: Augment, device: torch.device) -> Tensor:
        """Return what `Batch.clean` says."""
        return normalized(to_float(self.pixels[0].to(device)), augment)
