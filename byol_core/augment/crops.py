"""Finds the boxes of crops from their draws: Inception crops, as torchvision's `RandomResizedCrop`.

A crop is drawn before anything is known of the image's size, so that images in memory and photos
that are cut while they are decoded share their draws. Boxes are whole pixels of the image.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from byol_core.config import Augment


def crop_boxes(
    draws: Mapping[str, Tensor], augment: Augment, width: Tensor, height: Tensor
) -> Tensor:
    """Return the first drawn box that fits into each image, or the largest in the middle.

    Args:
        draws: of the view of n images; `crop` is not read.
        augment: which says between which ratios the largest box lies.
        width: of each image, in pixels, (n,) float64; (1,) where all are equal.
        height: likewise.

    Returns:
        (n, 4) float64, whole pixels: left, upper, right and lower edge.
    """
    area = (width * height)[:, None] * draws["crop_area"]
    widths = torch.round(torch.sqrt(area * draws["crop_ratio"]))
    heights = torch.round(torch.sqrt(area / draws["crop_ratio"]))
    fits = (widths > 0) & (widths <= width[:, None]) & (heights > 0) & (heights <= height[:, None])
    first = fits.int().argmax(1, keepdim=True)

    # A box that fits lies anywhere inside the image, the largest in the middle.
    fits_any = fits.any(1)
    largest_width, largest_height = _largest(augment, width, height)
    box_width = torch.where(fits_any, widths.gather(1, first)[:, 0], largest_width)
    box_height = torch.where(fits_any, heights.gather(1, first)[:, 0], largest_height)
    right_of, below = draws["crop_place"].unbind(1)
    left = torch.where(fits_any, right_of * (width - box_width + 1), (width - box_width) / 2)
    upper = torch.where(fits_any, below * (height - box_height + 1), (height - box_height) / 2)
    left = torch.floor(left)
    upper = torch.floor(upper)
    return torch.stack([left, upper, left + box_width, upper + box_height], 1)


def _largest(augment: Augment, width: Tensor, height: Tensor) -> tuple[Tensor, Tensor]:
    """Return width and height of the largest box whose ratio is allowed."""
    ratio = (width / height).clamp(*augment.crop_ratio)
    largest_width = torch.minimum(width, torch.round(height * ratio))
    largest_height = torch.minimum(height, torch.round(width / ratio))
    return largest_width, largest_height
