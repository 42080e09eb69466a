"""Changes colours as torchvision defines it; pixels stay in [0, 1]."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from byol_core.config import Augment
from byol_core.streams import happens, uniform

_GREY = (0.2989, 0.587, 0.114)  # ITU-R 601-2 luma, as torchvision and PIL


def jitter(images: Tensor, augment: Augment, rng: np.random.Generator) -> Tensor:
    """Change brightness, contrast, saturation and hue, each image in an order of its own.

    Args:
        images: (B, C, H, W) in [0, 1].
        augment: how strongly, and how often.
        rng: the stream of this batch and view.
    """
    n = len(images)
    operations: list[tuple[Callable[[Tensor, Tensor], Tensor], Tensor]] = [
        (adjust_brightness, _factor(rng, augment.jitter_brightness, n)),
        (adjust_contrast, _factor(rng, augment.jitter_contrast, n)),
        (adjust_saturation, _factor(rng, augment.jitter_saturation, n)),
        (adjust_hue, uniform(rng, -augment.jitter_hue, augment.jitter_hue, n)),
    ]

    # A grey image has neither saturation nor hue.
    if images.shape[1] == 1:
        operations = operations[:2]

    # Each place in the order: every operation goes to the images that have it there.
    order = torch.from_numpy(np.argsort(rng.random((n, len(operations))), axis=1))
    jittered = images.clone()
    for place in range(len(operations)):
        for number, (adjust, amount) in enumerate(operations):
            chosen = order[:, place] == number
            rows = chosen.to(images.device)
            jittered[rows] = adjust(jittered[rows], amount[chosen])
    return choose_per_image(happens(rng, augment.jitter_p, n), jittered, images)


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
    top = images.amax(1)
    chroma = top - images.amin(1)

    # RGB → HSV. A grey pixel has no chroma, and any hue does.
    safe = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    red, green, blue = images.unbind(1)
    green_or_blue = torch.where(top == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    sector = torch.where(top == red, (green - blue) / safe, green_or_blue)
    hue = (sector / 6 + turn.to(images.device).view(-1, 1, 1)) % 1.0

    # HSV → RGB: channel c is top − chroma · clip(min(k, 4 − k), 0, 1), with
    # k = (n_c + 6 hue) mod 6 and n = 5, 3, 1.
    k = (images.new_tensor([5.0, 3.0, 1.0]).view(1, 3, 1, 1) + 6 * hue.unsqueeze(1)) % 6
    return top.unsqueeze(1) - chroma.unsqueeze(1) * torch.minimum(k, 4 - k).clamp(0, 1)


def grey(images: Tensor) -> Tensor:
    """Return the luma, (B, 1, H, W)."""
    if images.shape[1] == 1:
        return images
    return (images * images.new_tensor(_GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)


def solarize(images: Tensor) -> Tensor:
    """Invert pixels ≥ 0.5 (Grill et al. 2020, appendix B)."""
    return torch.where(images < 0.5, images, 1 - images)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    factor = per_image(factor, images)
    return (factor * images + (1 - factor) * other).clamp(0, 1)


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Return (B,) values as (B, 1, 1, 1) on the device of `like`."""
    return values.to(like.device).view(-1, 1, 1, 1)


def choose_per_image(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Return each image of `yes` where `chosen`, (B,) bool, says so, and of `no` elsewhere."""
    return torch.where(per_image(chosen, no), yes, no)
