"""Turns, crops, mirrors and blurs images.

What moves pixels is a 2×3 matrix from output to input coordinates, and images are resampled once.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from byol_core.config import Augment
from byol_core.streams import happens, uniform

# The kernel reaches at least this far; torchvision asks for a size, PIL stacks box filters.
_BLUR_REACH_SIGMAS = 3.0

_CROP_TRIES = 10


def crop_and_flip(images: Tensor, augment: Augment, rng: np.random.Generator) -> Tensor:
    """Turn, cut out and mirror each image of (B, C, H, W), in one resampling."""
    n = len(images)
    theta = torch.eye(2, 3).repeat(n, 1, 1)
    if augment.turns:
        theta = _affine(augment, rng, n)
    if augment.crop_p:
        is_cropped = happens(rng, augment.crop_p, n)[:, None, None]
        theta = torch.where(is_cropped, _crop(augment, rng, n), theta)
    if augment.flip_p:
        theta[happens(rng, augment.flip_p, n), :, 0] *= -1
    return resample(images, theta)


def _affine(augment: Augment, rng: np.random.Generator, n: int) -> Tensor:
    """Draw a rotation, a scale and a shift of n images."""
    angle = uniform(rng, -augment.rotate_rad, augment.rotate_rad, n)
    scale = uniform(rng, *augment.scale, n)
    shift = uniform(rng, -augment.shift, augment.shift, n, 2)

    cos = torch.cos(angle) / scale
    sin = torch.sin(angle) / scale
    upper_row = torch.stack([cos, -sin], -1)
    lower_row = torch.stack([sin, cos], -1)
    rotation = torch.stack([upper_row, lower_row], -2)
    return torch.cat([rotation, shift[:, :, None]], -1)


def _crop(augment: Augment, rng: np.random.Generator, n: int) -> Tensor:
    """Draw Inception crops of n images: the area is uniform, the ratio log-uniform.

    A box that does not fit is drawn anew, up to ten times; then the whole image stays.
    """
    width = torch.ones(n)
    height = torch.ones(n)
    is_open = torch.ones(n, dtype=torch.bool)
    log_low, log_high = (math.log(limit) for limit in augment.crop_ratio)

    # Every image draws every time, so that draws do not depend on what fits.
    for _ in range(_CROP_TRIES):
        area = uniform(rng, *augment.crop_area, n)
        ratio = torch.exp(uniform(rng, log_low, log_high, n))
        new_width = torch.sqrt(area * ratio)
        new_height = torch.sqrt(area / ratio)
        fits = is_open & (new_width <= 1) & (new_height <= 1)
        width = torch.where(fits, new_width, width)
        height = torch.where(fits, new_height, height)
        is_open &= ~fits

    # In coordinates from −1 to 1, the middle of a box may lie 1 − its size away from 0.
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = width
    theta[:, 1, 1] = height
    theta[:, 0, 2] = uniform(rng, -1, 1, n) * (1 - width)
    theta[:, 1, 2] = uniform(rng, -1, 1, n) * (1 - height)
    return theta


def resample(images: Tensor, theta: Tensor) -> Tensor:
    """Sample images bilinearly at theta's (B, 2, 3) coordinates; black outside."""
    grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur (B, C, H, W) by a Gaussian of each image's own sigma, (B,) in pixels.

    Borders are mirrored.
    """
    n, channels, side, _ = images.shape

    # A softmax of −x²/2σ² is the Gaussian, with its sum made 1.
    reach = min(math.ceil(_BLUR_REACH_SIGMAS * float(sigma.max())), side - 1)
    offset = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.softmax(-0.5 * (offset / sigma[:, None]) ** 2, dim=1).to(images.device)
    kernel = kernel.repeat_interleave(channels, 0)

    # Every channel of every image is a group of one convolution, first down, then across.
    padded = F.pad(images, (reach, reach, reach, reach), mode="reflect")
    padded = padded.reshape(1, n * channels, side + 2 * reach, -1)
    rows = F.conv2d(padded, kernel[:, None, :, None], groups=n * channels)
    return F.conv2d(rows, kernel[:, None, None, :], groups=n * channels).view_as(images)
