"""Random views of a batch of images, every image with draws of its own, the same code on CPU and GPU.

Draws come from the CPU, so a view is the same on every device. Colour operations follow torchvision's definitions
(blends with black, with the mean grey and with the grey image; hue as a turn in HSV) and keep pixels in [0, 1].
"""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from byol_core.config import Augment
from byol_core.streams import happens, normal, uniform

_GREY = (0.2989, 0.587, 0.114)  # ITU-R 601-2 luma, as torchvision and PIL
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BLUR_REACH_SIGMAS = 3.0  # the kernel reaches at least this far (torchvision asks for a size; PIL stacks box filters)
_CROP_TRIES = 10


def to_float(images: Tensor) -> Tensor:
    """uint8 pixels → float32 in [0, 1]."""
    return images.float() / 255.0


def normalized(images: Tensor, how: Augment) -> Tensor:
    """Return images as the encoder sees them: channel-wise standardized where the config says so."""
    if how.normalize == "none":
        return images
    mean, std = (images.new_tensor(values).view(1, -1, 1, 1) for values in (_IMAGENET_MEAN, _IMAGENET_STD))
    return (images - mean) / std


def random_view(images: Tensor, how: Augment, rng: np.random.Generator, which: int = 1) -> Tensor:
    """Draw one view of each image.

    Args:
        images: (B, C, H, W) float32 in [0, 1].
        how: what is drawn from.
        rng: the stream of this batch and view.
        which: 1 or 2; the views may differ in how often they are blurred and solarized.

    Returns:
        (B, C, H, W) float32, normalized.
    """
    return toned(_move(images, how, rng), how, rng, which)


def toned(view: Tensor, how: Augment, rng: np.random.Generator, which: int = 1) -> Tensor:
    """Draw what follows crop and flip; arguments and result as of `random_view`."""
    if how.jitter_p:
        view = _jitter(view, how, rng)
    if how.grayscale_p:
        view = _where(happens(rng, how.grayscale_p, len(view)), grey(view).expand_as(view), view)
    if blur_p := how.blur_p[which - 1]:
        sigma = uniform(rng, *how.blur_sigma, len(view))
        view = _where(happens(rng, blur_p, len(view)), blur(view, sigma), view)
    if solarize_p := how.solarize_p[which - 1]:
        view = _where(happens(rng, solarize_p, len(view)), solarize(view), view)
    if how.gain or how.offset:
        view = view * _per_image(uniform(rng, 1 - how.gain, 1 + how.gain, len(view)), view)
        view = view + _per_image(uniform(rng, -how.offset, how.offset, len(view)), view)
    if how.noise_std:
        view = view + normal(rng, how.noise_std, *view.shape).to(view.device)
    return normalized(view, how)


# Geometry: every operation is a 2×3 matrix from output to input coordinates in [−1, 1], so one resampling does them all.


def _move(images: Tensor, how: Augment, rng: np.random.Generator) -> Tensor:
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
    """Inception crops: area uniform, ratio log-uniform, drawn anew (up to ten times) while the box does not fit."""
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


# Colour


def _jitter(images: Tensor, how: Augment, rng: np.random.Generator) -> Tensor:
    n = len(images)
    steps: list[tuple[Callable[[Tensor, Tensor], Tensor], Tensor]] = [
        (adjust_brightness, _factor(rng, how.jitter_brightness, n)),
        (adjust_contrast, _factor(rng, how.jitter_contrast, n)),
        (adjust_saturation, _factor(rng, how.jitter_saturation, n)),
        (adjust_hue, uniform(rng, -how.jitter_hue, how.jitter_hue, n)),
    ]
    if images.shape[1] == 1:
        steps = steps[:2]  # a grey image has neither saturation nor hue
    order = torch.from_numpy(np.argsort(rng.random((n, len(steps))), axis=1))
    jittered = images.clone()
    for place in range(len(steps)):
        for which, (adjust, amount) in enumerate(steps):
            chosen = order[:, place] == which
            rows = chosen.to(images.device)
            jittered[rows] = adjust(jittered[rows], amount[chosen])
    return _where(happens(rng, how.jitter_p, n), jittered, images)


def _factor(rng: np.random.Generator, strength: float, n: int) -> Tensor:
    return uniform(rng, max(0.0, 1 - strength), 1 + strength, n)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend (B, C, H, W) with black; factor (B,)."""
    return _blend(images, torch.zeros_like(images), factor)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the mean of the image's grey; factor (B,)."""
    return _blend(images, grey(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend (B, 3, H, W) with its grey image; factor (B,)."""
    return _blend(images, grey(images), factor)


def adjust_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of (B, 3, H, W) by (B,) turns in [−0.5, 0.5]."""
    top, bottom = images.amax(1), images.amin(1)
    chroma = top - bottom
    safe = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    red, green, blue = images.unbind(1)
    sector = torch.where(
        top == red,
        (green - blue) / safe,
        torch.where(top == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = (sector / 6 + turn.to(images.device).view(-1, 1, 1)) % 1.0
    # Channel c of HSV → RGB: top − chroma · clip(min(k, 4 − k), 0, 1), with k = (n_c + 6 hue) mod 6 and n = 5, 3, 1.
    k = (images.new_tensor([5.0, 3.0, 1.0]).view(1, 3, 1, 1) + 6 * hue.unsqueeze(1)) % 6
    return top.unsqueeze(1) - chroma.unsqueeze(1) * torch.minimum(k, 4 - k).clamp(0, 1)


def grey(images: Tensor) -> Tensor:
    """Return the luma, (B, 1, H, W)."""
    if images.shape[1] == 1:
        return images
    return (images * images.new_tensor(_GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of (B, C, H, W), each image with its own sigma (B,) in pixels; borders are mirrored."""
    n, channels, side = len(images), images.shape[1], images.shape[2]
    reach = min(math.ceil(_BLUR_REACH_SIGMAS * float(sigma.max())), side - 1)
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.softmax(-0.5 * (at / sigma[:, None]) ** 2, dim=1).to(images.device)
    kernel = kernel.repeat_interleave(channels, 0)
    padded = F.pad(images, (reach, reach, reach, reach), mode="reflect").reshape(1, n * channels, side + 2 * reach, -1)
    rows = F.conv2d(padded, kernel[:, None, :, None], groups=n * channels)
    return F.conv2d(rows, kernel[:, None, None, :], groups=n * channels).view_as(images)


def solarize(images: Tensor) -> Tensor:
    """Invert pixels ≥ 0.5 (Grill et al. 2020, appendix B)."""
    return torch.where(images < 0.5, images, 1 - images)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    factor = _per_image(factor, images)
    return (factor * images + (1 - factor) * other).clamp(0, 1)


def _per_image(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.device).view(-1, 1, 1, 1)


def _where(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(_per_image(chosen, no), yes, no)
