"""Defines what views come from: a source, which hands out batches of its images.

``memory.Split`` holds pixels, ``photos.Photos`` decodes files on demand. A request says which
images are wanted in which views; the batch makes them on the device.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from byol_core.augment.draws import ViewDraws
from byol_core.augment.views import apply_view, finish_view, normalized, to_float
from byol_core.config import Augment
from byol_core.device import to_device


@dataclass(frozen=True)
class Request:
    """Names a batch that will be wanted.

    Attributes:
        rows: (B,) int64, which images.
        augment: what the views were drawn from; it says how pixels are normalized, too.
        views: the draws of each view of these images; none where images are wanted as they are.
    """

    rows: Tensor
    augment: Augment
    views: tuple[ViewDraws, ...] = ()

    def on(self, device: torch.device) -> "Request":
        """Return the request with its draws on a device; rows stay where they are looked up."""
        return replace(self, views=tuple(view.to(device) for view in self.views))


class Batch(Protocol):
    """Holds some images of a source."""

    @property
    def labels(self) -> Tensor:
        """Return the label of each image: (B,) int64; −1 where there is none."""

    def views(self, device: torch.device) -> Tensor:
        """Return the views that were requested.

        Returns:
            (V, B, C, H, W) float32 on the device, normalized.
        """

    def clean(self, device: torch.device) -> Tensor:
        """Return the images without augmentation, (B, C, H, W), normalized."""

    def on(self, device: torch.device) -> Self:
        """Return the batch with all that it holds on a device."""

    def tensors(self) -> list[Tensor]:
        """Return all that the batch holds, in the same order for each batch of a run."""


class Source(Protocol):
    """Gives images by number, with labels."""

    @property
    def labels(self) -> Tensor:
        """Return the label of each image: (N,) int64; −1 where there is none."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return channels (1, grey, or 3), height and width of a view."""

    def __len__(self) -> int: ...

    def read(self, requests: Iterable[Request]) -> Generator[Batch, None, None]:
        """Yield a batch for each request, in order."""


@dataclass(frozen=True)
class _Held:
    """Holds what the views of a batch are made of.

    Attributes:
        pixels: uint8; of which shape is for each kind of batch to say.
        labels: (B,) int64.
        request: that the batch answers.
    """

    pixels: Tensor
    labels: Tensor
    request: Request

    def on(self, device: torch.device) -> Self:
        """Return what `Batch.on` says."""
        return replace(
            self,
            pixels=to_device(self.pixels, device),
            labels=to_device(self.labels, device),
            request=self.request.on(device),
        )

    def tensors(self) -> list[Tensor]:
        """Return what `Batch.tensors` says."""
        draws = [draw for view in self.request.views for draw in view.values()]
        return [self.pixels, self.labels, *draws]


@dataclass(frozen=True)
class Whole(_Held):
    """Holds images that lie in memory, (B, C, H, W): every view starts from the whole image."""

    def views(self, device: torch.device) -> Tensor:
        """Return what `Batch.views` says."""
        request = self.request
        images = to_float(to_device(self.pixels, device))
        made = [apply_view(images, view.to(device), request.augment) for view in request.views]
        return torch.stack(made)

    def clean(self, device: torch.device) -> Tensor:
        """Return what `Batch.clean` says."""
        return normalized(to_float(to_device(self.pixels, device)), self.request.augment)


@dataclass(frozen=True)
class Cut(_Held):
    """Holds photos whose views were cut out and mirrored while they were decoded.

    Pixels are (V, B, 3, side, side); without requested views the middles, V = 1.
    """

    def views(self, device: torch.device) -> Tensor:
        """Return what `Batch.views` says."""
        augment = self.request.augment
        images = to_float(to_device(self.pixels, device))
        draws = [view.to(device) for view in self.request.views]
        made = [finish_view(cut, view, augment) for cut, view in zip(images, draws, strict=True)]
        return torch.stack(made)

    def clean(self, device: torch.device) -> Tensor:
        """Return what `Batch.clean` says; only views that were requested are decoded."""
        assert not self.request.views, "photos are decoded as views or whole, as requested"
        return normalized(to_float(to_device(self.pixels[0], device)), self.request.augment)
