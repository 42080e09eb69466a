"""Changes the images of a batch for which an operation was drawn."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

# So many bytes of images are computed at a time on the CPU: what is made of them on the way stays
# in its cache.
_BLOCK_BYTES = 2**20

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
    if images.device.type != "cpu":
        return torch.where(per_image(chosen, images), change(images, draws), images)

    at_once = max(1, _BLOCK_BYTES // images[:1].nbytes)
    for rows in torch.split(chosen.nonzero()[:, 0], at_once):
        if len(rows):
            of_rows = {name: draw[rows] for name, draw in draws.items()}
            images[rows] = change(images[rows], of_rows)
    return images


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Return (n,) values as (n, 1, 1, 1); numbers in the precision of `like`."""
    if values.dtype != torch.bool:
        values = values.to(like.dtype)
    return values.view(-1, 1, 1, 1)
