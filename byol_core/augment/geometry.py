"""Turns, resizes crops, mirrors and blurs images.

What moves pixels says for each output pixel where it reads, in pixels from the image's middle, and
images are resampled once, bilinearly. Everything is computed image by image and without matrix
products, which a GPU may round to 10 bits (TF32).
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from byol_core.augment.choice import change_chosen, per_image
from byol_core.augment.crops import crop_boxes
from byol_core.config import Augment

# The kernel reaches this far; torchvision asks for a size, PIL stacks box filters.
_BLUR_REACH_SIGMAS = 3.0


def place(images: Tensor, draws: Mapping[str, Tensor], augment: Augment) -> Tensor:
    """Return new images: each of (n, C, H, W) turned or cropped, and mirrored, in one resampling."""
    turned = bool(draws.keys() & {"rotate_rad", "scale", "shift"})
    if "crop" in draws:
        grid = _crop_grid(images, draws, augment)
        if turned:
            grid = torch.where(per_image(draws["crop"], images), grid, _turn_grid(images, draws))
        return _resample(images, grid)
    if turned:
        return _resample(images, _turn_grid(images, draws))
    if "flip" in draws:
        return torch.where(per_image(draws["flip"], images), images.flip(-1), images)
    return images.clone()


def _crop_grid(images: Tensor, draws: Mapping[str, Tensor], augment: Augment) -> Tensor:
    """Return where the pixels of crops read, (n, H, W, 2): in the box alone, as if it were cut out.

    What is not cropped reads the whole image.
    """
    height, width = images.shape[-2:]
    width_of_all = draws["crop_area"].new_full((1,), width)
    height_of_all = draws["crop_area"].new_full((1,), height)
    boxes = crop_boxes(draws, augment, width_of_all, height_of_all)

    left, upper, right, lower = boxes.to(images.dtype).unbind(1)
    is_cropped = draws["crop"]
    left = torch.where(is_cropped, left, 0)
    upper = torch.where(is_cropped, upper, 0)
    right = torch.where(is_cropped, right, width)
    lower = torch.where(is_cropped, lower, height)

    # Each side by itself: x depends on the column alone, y on the row alone.
    x = _side_of_box(left, right, _columns(images, draws))
    y = _side_of_box(upper, lower, _from_middle(height, images))
    return _half_sides(x[:, None, :], y[:, :, None])


def _side_of_box(start: Tensor, end: Tensor, pixels: Tensor) -> Tensor:
    """Return where pixels of a row or column read between two edges of the image, (n, length).

    All but the edges is counted from the image's middle.
    """
    length = pixels.shape[-1]
    start = start[:, None] - length / 2
    end = end[:, None] - length / 2
    middle = (start + end) / 2
    places = middle + pixels * (end - start) / length

    # Beyond the middle of the box's outermost pixel there is nothing but that pixel.
    return torch.minimum(torch.maximum(places, start + 0.5), end - 0.5)


def _turn_grid(images: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
    """Return where the pixels of turned, scaled and shifted images read, (n, H, W, 2)."""
    height, width = images.shape[-2:]
    zero = images.new_zeros(len(images))
    angle = draws.get("rotate_rad", zero).to(images.dtype)[:, None, None]
    scale = draws.get("scale", zero + 1).to(images.dtype)[:, None, None]
    shift = draws.get("shift", zero[:, None].expand(-1, 2)).to(images.dtype)[:, None, None]

    # A shift is a part of half the side.
    cos = torch.cos(angle) / scale
    sin = torch.sin(angle) / scale
    column = _columns(images, draws)[:, None]
    row = _from_middle(height, images)[:, None]
    x = cos * column - sin * row + shift[..., 0] * (width / 2)
    y = sin * column + cos * row + shift[..., 1] * (height / 2)
    return _half_sides(x, y)


def _columns(images: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
    """Return the middles of each image's columns, (n, W) or (1, W); from right to left in a mirror."""
    column = _from_middle(images.shape[-1], images)[None]
    if "flip" in draws:
        column = torch.where(draws["flip"][:, None], -column, column)
    return column


def _from_middle(length: int, like: Tensor) -> Tensor:
    """Return the middles of pixels, (length,), in pixels from the middle of the image."""
    return torch.arange(length, dtype=like.dtype, device=like.device) + (0.5 - length / 2)


def _half_sides(x: Tensor, y: Tensor) -> Tensor:
    """Return places as `_resample` counts them, (n, H, W, 2): from −1 to 1 is the image.

    Args:
        x: in pixels, (n, H, W); (n, 1, W) where all rows are alike.
        y: likewise, (n, H, W); (n, H, 1) where all columns are alike.
    """
    height, width = y.shape[1], x.shape[2]
    x = x / (width / 2)
    y = y / (height / 2)
    return torch.stack([x.expand(-1, height, -1), y.expand(-1, -1, width)], -1)


def _resample(images: Tensor, grid: Tensor) -> Tensor:
    """Read images bilinearly at (n, H, W, 2) places; black outside."""
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def blur_chosen(images: Tensor, draws: Mapping[str, Tensor], largest_sigma: float) -> Tensor:
    """Blur the images for which that was drawn; they may be overwritten."""
    sigma = {"sigma": draws["blur_sigma"]}
    return change_chosen(
        images,
        draws["blur"],
        sigma,
        lambda chosen, of_chosen: blur(chosen, of_chosen["sigma"], largest_sigma),
    )


def blur(images: Tensor, sigma: Tensor, largest_sigma: float) -> Tensor:
    """Blur (n, C, H, W) by a Gaussian of each image's own sigma, (n,) in pixels.

    Borders are mirrored. How far the kernel reaches follows from the largest sigma that could be
    drawn, not from those that were, so an image's blur does not depend on its batch.
    """
    height, width = images.shape[-2:]
    reach = min(math.ceil(_BLUR_REACH_SIGMAS * largest_sigma), min(height, width) - 1)

    # A softmax of −x²/2σ² is the Gaussian, with its sum made 1. The half from the middle outwards
    # is enough.
    offset = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    kernel = torch.softmax(-0.5 * (offset / sigma.to(images.dtype)[:, None]) ** 2, dim=1)
    half = kernel[:, reach:]

    # First down, then across.
    down = _weigh(F.pad(images, (0, 0, reach, reach), mode="reflect"), half, 2)
    return _weigh(F.pad(down, (reach, reach, 0, 0), mode="reflect"), half, 3)


def _weigh(padded: Tensor, half: Tensor, dim: int) -> Tensor:
    """Convolve along a dimension with each image's symmetric kernel, of which (n, reach + 1) is half."""
    reach = half.shape[1] - 1
    length = padded.shape[dim] - 2 * reach
    weights = [per_image(half[:, distance], padded) for distance in range(reach + 1)]

    weighed = weights[0] * padded.narrow(dim, reach, length)
    for distance in range(1, reach + 1):
        before = padded.narrow(dim, reach - distance, length)
        after = padded.narrow(dim, reach + distance, length)
        weighed.addcmul_(weights[distance], before + after)
    return weighed
