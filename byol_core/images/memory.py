"""Holds images in memory, and the three splits of a data set."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass

from torch import Tensor

from byol_core.device import to_device
from byol_core.images.source import Request, Source, Whole


@dataclass(frozen=True)
class Split:
    """Holds images with labels in memory.

    Attributes:
        images: (N, C, H, W) uint8, on the CPU or on the device that computes.
        labels: (N,) int64, on the CPU; −1 where there is none.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return channels (1, grey, or 3), height and width of an image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def first(self, n: int) -> "Split":
        """Return the first n images; all of them for n = 0."""
        if not n:
            return self
        return Split(self.images[:n], self.labels[:n])

    def read(self, requests: Iterable[Request]) -> Generator[Whole, None, None]:
        """Yield a batch for each request, in order; views are left to `Whole.views`.

        Images that lie on a device stay there: only the rows and the draws travel.
        """
        for request in requests:
            rows = to_device(request.rows, self.images.device)
            yield Whole(self.images[rows], self.labels[request.rows], request)


@dataclass(frozen=True)
class Dataset:
    """Holds a data set: `pretrain` for training without labels, `train` and `test` to judge it."""

    pretrain: Source
    train: Source
    test: Source

    @property
    def channels(self) -> int:
        """Return the number of channels: 1 (grey) or 3."""
        return self.pretrain.shape[0]
