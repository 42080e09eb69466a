"""Changes colours as torchvision defines it; pixels stay in [0, 1]."""

from collections.abc import Mapping

import torch
from torch import Tensor

# ITU-R 601-2 luma, as torchvision and PIL.
_RED = 0.2989
_GREEN = 0.587
_BLUE = 0.114

# The parts of jitter, numbered as `jitter_order` names them.
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4)


def jitter(images: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
    """Change brightness, contrast, saturation and hue, each image in an order of its own.

    Every image of the batch goes the same way: three blends, the hue, three blends. A blend that
    is not an image's turn has factor 1, which changes nothing, so no image is picked out.

    Args:
        images: (n, C, H, W) in [0, 1].
        draws: with `jitter` and `jitter_order`; a part without factors is off.
    """
    kinds, is_before_hue = _blend_order(draws["jitter_order"])
    factors = _blend_factors(images, draws).gather(1, kinds)
    if "jitter_hue" in draws:
        jittered = _blend_in_turn(images, kinds, torch.where(is_before_hue, factors, 1))
        jittered = turn_hue(jittered, draws["jitter_hue"])
        jittered = _blend_in_turn(jittered, kinds, torch.where(is_before_hue, 1, factors))
    else:
        jittered = _blend_in_turn(images, kinds, factors)
    return torch.where(per_image(draws["jitter"], images), jittered, images)


def _blend_order(order: Tensor) -> tuple[Tensor, Tensor]:
    """Return each image's blends in its order, (n, 3), and which of them come before the hue.

    Args:
        order: (n, 4), the numbers of the parts.
    """
    hue_place = (order == _HUE).int().argmax(1, keepdim=True)
    is_before_hue = torch.arange(3, device=order.device) < hue_place
    return torch.where(is_before_hue, order[:, :3], order[:, 1:]), is_before_hue


def _blend_factors(images: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
    """Return the factors of brightness, contrast and saturation, (n, 3); 1 for what is off."""
    unchanged = images.new_ones(len(images))
    blends = ("jitter_brightness", "jitter_contrast", "jitter_saturation")
    return torch.stack([draws.get(name, unchanged).to(images.dtype) for name in blends], 1)


def _blend_in_turn(images: Tensor, kinds: Tensor, factors: Tensor) -> Tensor:
    for turn in range(3):
        images = _blend(images, kinds[:, turn], factors[:, turn])
    return images


def _blend(images: Tensor, kind: Tensor, factor: Tensor) -> Tensor:
    """Blend each image with black (brightness), its mean grey (contrast) or its grey (saturation)."""
    luma = grey(images)
    mean = luma.mean((1, 2, 3), keepdim=True)

    rest = 1 - factor
    of_mean = per_image(torch.where(kind == _CONTRAST, rest, 0), images)
    of_grey = per_image(torch.where(kind == _SATURATION, rest, 0), images)
    other = torch.addcmul(of_mean * mean, of_grey, luma)
    return torch.addcmul(other, per_image(factor, images), images).clamp_(0, 1)


def turn_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of (n, 3, H, W) by (n,) turns in [−0.5, 0.5].

    Lengths along the circle of hues are counted in chromas, of which it has six: so nothing is
    divided by a chroma, which is 0 where a pixel is grey, and no pixel is picked out.
    """
    red, green, blue = images.unbind(1)
    top = torch.maximum(torch.maximum(red, green), blue)
    bottom = torch.minimum(torch.minimum(red, green), blue)
    chroma = top - bottom

    # How far a hue is from red: ahead towards green, negative towards blue.
    ahead = (green - bottom).add_(blue - bottom).add_(top - red)
    ahead = torch.copysign(ahead, green - blue)

    # Turned, as seen from red, green and blue, a third of the circle apart; within ±6 chromas.
    sixths = 6 * turn.to(images.dtype)[:, None] - 2 * torch.arange(3, device=turn.device)
    sixths = sixths - 6 * torch.floor((sixths + 3) / 6)
    away = torch.addcmul(ahead[:, None], sixths[:, :, None, None], chroma[:, None])

    # A channel is full up to one chroma from its own hue and empty from two on. Three less the
    # distance, on a circle of six, is this wave.
    nearness = away.abs_().sub_(3 * chroma[:, None]).abs_()
    level = nearness.add_((bottom - chroma)[:, None])
    return torch.clamp(level, bottom[:, None], top[:, None])


def grey(images: Tensor) -> Tensor:
    """Return the luma, (n, 1, H, W)."""
    if images.shape[1] == 1:
        return images
    luma = images[:, :1] * _RED
    luma.add_(images[:, 1:2], alpha=_GREEN)
    return luma.add_(images[:, 2:], alpha=_BLUE)


def solarize(images: Tensor, chosen: Tensor) -> Tensor:
    """Invert pixels ≥ 0.5 of the images chosen, (n,) bool (Grill et al. 2020, appendix B)."""
    return torch.where((images >= 0.5) & per_image(chosen, images), 1 - images, images)


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Return (n,) values as (n, 1, 1, 1); numbers in the precision of `like`."""
    if values.dtype != torch.bool:
        values = values.to(like.dtype)
    return values.view(-1, 1, 1, 1)
