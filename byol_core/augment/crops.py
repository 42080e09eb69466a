"""Finds the boxes of crops from their draws: Inception crops, as torchvision's `RandomResizedCrop`.

A crop is drawn before anything is known of the image's size, so that images in memory and photos
that are cut while they are decoded share their draws. Boxes are whole pixels of the image.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from byol_core.config import Augment


def crop_boxes(draws: Mapping[str, Tensor], augment: Augment, width: int, height: int) -> Tensor:
    """Return the first drawn box that fits into each image, or the largest in the middle.

    Args:
        draws: of the view of n images; `crop` is not read.
        augment: which says between which ratios the largest box lies.
        width: of every image, in pixels.
        height: likewise.

    Returns:
        (n, 4) float64, whole pixels: left, upper, right and lower edge.
    """
    ratio = draws["crop_ratio"]
    area = width * height * draws["crop_area"]
    widths = torch.round(torch.sqrt(area * ratio))
    heights = torch.round(torch.sqrt(area / ratio))
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.int().argmax(1, keepdim=True)
    fits_any = fits.any(1)

    # Of two lengths and two edges, those of the first that fits or those of the largest.
    largest = _largest(augment, width, height)
    box_width = torch.where(fits_any, widths.gather(1, first)[:, 0], largest[0])
    box_height = torch.where(fits_any, heights.gather(1, first)[:, 0], largest[1])
    left = torch.floor(draws["crop_place"][:, 0] * (width - box_width + 1))
    upper = torch.floor(draws["crop_place"][:, 1] * (height - box_height + 1))
    left = torch.where(fits_any, left, (width - largest[0]) // 2)
    upper = torch.where(fits_any, upper, (height - largest[1]) // 2)
    return torch.stack([left, upper, left + box_width, upper + box_height], 1)


def _largest(augment: Augment, width: int, height: int) -> tuple[int, int]:
    """Return width and height of the largest box whose ratio is allowed."""
    low, high = augment.crop_ratio
    ratio = min(max(width / height, low), high)
    return min(width, round(height * ratio)), min(height, round(width / ratio))
