"""Changes colours as torchvision defines it; pixels stay in [0, 1]."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from byol_core.augment import choice
from byol_core.augment.choice import change_chosen

# ITU-R 601-2 luma, as torchvision and PIL.
_RED = 0.2989
_GREEN = 0.587
_BLUE = 0.114

# The parts of jitter, numbered as `jitter_order` names them.
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4)

# The weight of the image itself among the weights of a blend.
_SELF = 0


def jitter(images: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
    """Change brightness, contrast, saturation and hue, each image in an order of its own.

    Args:
        images: (n, C, H, W) in [0, 1]; they may be overwritten.
        draws: with `jitter` and `jitter_order`; a part without factors is off.
    """
    chosen = draws["jitter"]
    blends = _blends(images, draws)
    if "jitter_hue" not in draws:
        return change_chosen(images, chosen, {"blends": blends}, _without_hue)
    parts = {"blends": blends, "hue": draws["jitter_hue"], "hue_place": _hue_place(draws)}
    if not choice.may_read(images):
        return change_chosen(images, chosen, parts, _with_hue_anywhere)

    # Images that have their hue in the same place go together, through no blend in vain.
    for place in range(4):
        is_here = chosen & (parts["hue_place"] == place)
        images = change_chosen(images, is_here, parts, partial(_with_hue_at, place))
    return images


def _without_hue(images: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
    return _blend_in_turn(images, draws["blends"])


def _with_hue_at(place: int, images: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
    """Jitter images whose hue comes after the same number of blends."""
    images = _blend_in_turn(images, draws["blends"][:, :place])
    images = turn_hue(images, draws["hue"])
    return _blend_in_turn(images, draws["blends"][:, place:])


def _with_hue_anywhere(images: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
    """Jitter every image the same way: three blends, the hue, three blends.

    A blend that is not an image's turn has factor 1, which changes nothing.
    """
    blends = draws["blends"]
    turns = torch.arange(3, device=blends.device)
    is_before_hue = (turns < draws["hue_place"][:, None])[:, :, None]
    unchanged = (turns == _SELF).to(blends.dtype)

    images = _blend_in_turn(images, torch.where(is_before_hue, blends, unchanged))
    images = turn_hue(images, draws["hue"])
    return _blend_in_turn(images, torch.where(is_before_hue, unchanged, blends))


def _hue_place(draws: Mapping[str, Tensor]) -> Tensor:
    """Return after how many blends each image's hue comes, (n,)."""
    return (draws["jitter_order"] == _HUE).int().argmax(1)


def _blends(images: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
    """Return each image's blends in its order, (n, 3, 3): the weights of itself, mean and grey."""
    # The order without the hue.
    order = draws["jitter_order"]
    is_before_hue = torch.arange(3, device=order.device) < _hue_place(draws)[:, None]
    kinds = torch.where(is_before_hue, order[:, :3], order[:, 1:])

    # What is off has factor 1.
    unchanged = images.new_ones(len(images))
    names = ("jitter_brightness", "jitter_contrast", "jitter_saturation")
    factors = torch.stack([draws.get(name, unchanged).to(images.dtype) for name in names], 1)
    factors = factors.gather(1, kinds)

    # The rest is black (brightness), the image's mean grey (contrast) or its grey (saturation).
    rest = 1 - factors
    of_mean = torch.where(kinds == _CONTRAST, rest, 0)
    of_grey = torch.where(kinds == _SATURATION, rest, 0)
    return torch.stack([factors, of_mean, of_grey], 2)


def _blend_in_turn(images: Tensor, blends: Tensor) -> Tensor:
    """Blend images, each by its (n, turns, 3) weights of itself, its mean grey and its grey."""
    for turn in blends.unbind(1):
        of_self, of_mean, of_grey = turn[:, :, None, None, None].unbind(1)
        luma = grey(images)
        mean = luma.mean((1, 2, 3), keepdim=True)
        other = torch.addcmul(of_mean * mean, of_grey, luma)
        images = torch.addcmul(other, of_self, images).clamp_(0, 1)
    return images


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


def solarize(images: Tensor) -> Tensor:
    """Invert pixels ≥ 0.5 (Grill et al. 2020, appendix B): just these are above their inverse."""
    return torch.minimum(images, 1 - images)
