"""Operations on place: crops, flips, turns and blur. Each is a 2×3 matrix from output to input
coordinates, resampled once.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from byol_core.config import Augment
from byol_core.streams import happens, uniform

_BLUR_REACH_SIGMAS = 3.0  # the kernel reaches at least this far (torchvision asks for a size; PIL stacks box filters)

_CROP_TRIES = 10


def crop_and_flip(images: Tensor, how: Augment, rng: np.random.Generator) -> Tensor:
    """Turn, cut out and mirror each image of (B, C, H, W), in one resampling."""
    n = len(images)
    theta = torch.eye(2, 3).repeat(n, 1, 1)
    if how.turns:
        theta = _affine(how, rng, n)
    if how.crop_p:
        theta = torch.where(happens(rng, how.crop_p, n)[:, None, None], _crop(how, rng, n), theta)
    if how.flip_p:
        theta[happens(rng, how.flip_p, n), :, 0] *= -1
    return resample(images, theta)


def _affine(how: Augment, rng: np.random.Generator, n: int) -> Tensor:
    angle = uniform(rng, -how.rotate_rad, how.rotate_rad, n)
    scale = uniform(rng, *how.scale, n)
    shift = uniform(rng, -how.shift, how.shift, n, 2)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    rotation = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    return torch.cat([rotation, shift[:, :, None]], -1)


def _crop(how: Augment, rng: np.random.Generator, n: int) -> Tensor:
    """Inception crops: area uniform, ratio log-uniform, drawn anew (up to ten times) while the box
    does not fit.
    """
    width, height = torch.ones(n), torch.ones(n)
    open_ = torch.ones(n, dtype=torch.bool)
    for _ in range(_CROP_TRIES):
        area = uniform(rng, *how.crop_area, n)
        ratio = torch.exp(uniform(rng, math.log(how.crop_ratio[0]), math.log(how.crop_ratio[1]), n))
        w, h = torch.sqrt(area * ratio), torch.sqrt(area / ratio)
        fits = open_ & (w <= 1) & (h <= 1)
        width, height = torch.where(fits, w, width), torch.where(fits, h, height)
        open_ &= ~fits
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = width, height
    theta[:, 0, 2] = uniform(rng, -1, 1, n) * (1 - width)
    theta[:, 1, 2] = uniform(rng, -1, 1, n) * (1 - height)
    return theta


def resample(images: Tensor, theta: Tensor) -> Tensor:
    """Sample images bilinearly at theta's (B, 2, 3) coordinates; black outside."""
    grid = F.affine_grid(theta.to(images.device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of (B, C, H, W), each image with its own sigma (B,) in pixels; borders are
    mirrored.
    """
    n, channels, side = len(images), images.shape[1], images.shape[2]
    reach = min(math.ceil(_BLUR_REACH_SIGMAS * float(sigma.max())), side - 1)
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.softmax(-0.5 * (at / sigma[:, None]) ** 2, dim=1).to(images.device)
    kernel = kernel.repeat_interleave(channels, 0)
    padded = F.pad(images, (reach, reach, reach, reach), mode="reflect").reshape(
        1, n * channels, side + 2 * reach, -1
    )
    rows = F.conv2d(padded, kernel[:, None, :, None], groups=n * channels)
    return F.conv2d(rows, kernel[:, None, None, :], groups=n * channels).view_as(images)
