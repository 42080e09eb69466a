"""Changes the images of a batch for which an operation was drawn."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Draws = Mapping[str, Tensor]


def change_chosen(
    images: Tensor, chosen: Tensor, draws: Draws, change: Callable[[Tensor, Draws], Tensor]
) -> Tensor:
    """Change some images of a batch, each by its own draws.

    On the CPU only these are computed, and written into `images`. Elsewhere it would wait for the
    device to know which they are, so all are computed and some taken.

    Args:
        images: (n, C, H, W); what they were is lost.
        chosen: (n,) bool.
        draws: that the change needs.
        change: makes new images of some images and their draws.
    """
    if not may_read(images):
        return torch.where(per_image(chosen, images), change(images, draws), images)

    rows = chosen.nonzero()[:, 0]
    if len(rows):
        of_rows = {name: draw[rows] for name, draw in draws.items()}
        images[rows] = change(images[rows], of_rows)
    return images


def may_read(images: Tensor) -> bool:
    """Tell whether values may be read while images are computed: on the CPU no one waits for that."""
    return images.device.type == "cpu"


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Return (n,) values as (n, 1, 1, 1); numbers in the precision of `like`."""
    if values.dtype != torch.bool:
        values = values.to(like.dtype)
    return values.view(-1, 1, 1, 1)
