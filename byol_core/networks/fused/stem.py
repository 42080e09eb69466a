"""The first convolution of a ResNet, from blocks of pixels: three channels leave matrix units empty."""

import torch
import torch.nn.functional as F
from torch import Tensor

_CHANNELS = 16
"""The channels that matrix units take at a time; four of them stay empty."""


def convolve(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return F.conv2d(images, weight, bias, stride=2, padding=3), with maps channels last.

    With 2×2 pixels as one of twelve channels, a 7×7 kernel that moves by two is a 4×4 kernel that
    moves by one, of whose 8×8 places the first row and column are empty.

    Args:
        images: (N, 3, H, W) with even sides.
        weight: (O, 3, 7, 7).
        bias: (O,) or None.
    """
    empty = _CHANNELS - 4 * images.shape[1]
    blocks = F.pad(F.pixel_unshuffle(images, 2), (2, 1, 2, 1, 0, empty))
    kernel = F.pad(F.pixel_unshuffle(F.pad(weight, (1, 0, 1, 0)), 2), (0, 0, 0, 0, 0, empty))
    last = torch.channels_last
    return F.conv2d(
        blocks.contiguous(memory_format=last), kernel.contiguous(memory_format=last), bias
    )


def fits(images: Tensor, weight: Tensor) -> bool:
    """Tell whether `convolve` takes these: colour images with even sides under a 7×7 kernel."""
    height, width = images.shape[-2:]
    return weight.shape[1:] == (3, 7, 7) and height % 2 == 0 and width % 2 == 0
