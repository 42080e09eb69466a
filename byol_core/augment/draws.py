"""Draws the random numbers that random views are made of, apart from applying them.

Every operation draws from a stream of its own name (`byol_core.streams`), so that an operation that
is switched off or changed leaves the draws of all others as they are: two variants differ in their
axis alone. How many numbers are drawn depends on no other draw, so a batch can be drawn whole and
cut into the rows of each device.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from byol_core.augment.extra import DRAW, draw_extra
from byol_core.config import Augment
from byol_core.device import to_device
from byol_core.streams import Name, happens, normal, stream, uniform

CROP_TRIES = 10
"""Boxes that are drawn for each crop, of which the first that fits is taken, as in torchvision."""

_Draw = Callable[[np.random.Generator], Tensor]


class ViewDraws(dict[str, Tensor]):
    """Holds the draws of one view of n images: the operation's name → (n, …).

    An operation that is off has no entry.
    """

    def rows(self, rows: slice | Tensor) -> "ViewDraws":
        """Return the draws of some of the images."""
        return ViewDraws({name: draw[rows] for name, draw in self.items()})

    def to(self, device: torch.device) -> "ViewDraws":
        """Return the draws on a device."""
        return ViewDraws({name: to_device(draw, device) for name, draw in self.items()})


def draw_view(
    augment: Augment,
    seed: int,
    names: tuple[Name, ...],
    view: int,
    n: int,
    shape: tuple[int, int, int],
) -> ViewDraws:
    """Draw one view of each of n images.

    Args:
        augment: what is drawn, and from which ranges.
        seed: of the run, or of a protocol of evaluation.
        names: what tells this batch from others, such as its epoch and its number.
        view: 1 or 2; the views may differ in how often they are blurred and solarized.
        n: images of the whole batch, over all devices.
        shape: channels, height and width of an image.

    Returns:
        Tensors on the CPU.

    Raises:
        PlugInError: an augmentation of the user's own cannot be drawn.
    """
    operations = {
        **_geometry(augment, n),
        **_colour(augment, n, channels=shape[0]),
        **_finish(augment, view, n, shape),
    }
    drawn = {
        operation: draw(stream(seed, *names, operation, view))
        for operation, draw in operations.items()
    }
    if augment.extra != "none":
        rng = stream(seed, *names, DRAW, view)
        drawn |= draw_extra(augment.extra, rng, n, shape, view)
    return ViewDraws(drawn)


def _geometry(augment: Augment, n: int) -> dict[str, _Draw]:
    """Return how turns, crops and flips are drawn, as far as they are on."""
    draws: dict[str, _Draw] = {}
    if angle := augment.rotate_rad:
        draws["rotate_rad"] = lambda rng: uniform(rng, -angle, angle, n)
    if augment.scale != (1.0, 1.0):
        draws["scale"] = lambda rng: uniform(rng, *augment.scale, n)
    if shift := augment.shift:
        draws["shift"] = lambda rng: uniform(rng, -shift, shift, n, 2)

    # Areas and places are uniform, ratios log-uniform; float64, as whole pixels follow from them.
    if augment.crop_p:
        log_low = math.log(augment.crop_ratio[0])
        log_high = math.log(augment.crop_ratio[1])
        draws["crop"] = lambda rng: happens(rng, augment.crop_p, n)
        draws["crop_area"] = lambda rng: _uniform64(rng, *augment.crop_area, n, CROP_TRIES)
        draws["crop_ratio"] = lambda rng: _uniform64(rng, log_low, log_high, n, CROP_TRIES).exp()
        draws["crop_place"] = lambda rng: _uniform64(rng, 0, 1, n, 2)
    if augment.flip_p:
        draws["flip"] = lambda rng: happens(rng, augment.flip_p, n)
    return draws


def _colour(augment: Augment, n: int, channels: int) -> dict[str, _Draw]:
    """Return how colour jitter and grey are drawn; grey images have no saturation and no hue."""
    draws: dict[str, _Draw] = {}
    if augment.jitter_p:
        draws["jitter"] = lambda rng: happens(rng, augment.jitter_p, n)
        draws["jitter_order"] = lambda rng: torch.from_numpy(rng.random((n, 4)).argsort(1))
        draws |= _factor("jitter_brightness", augment.jitter_brightness, n)
        draws |= _factor("jitter_contrast", augment.jitter_contrast, n)
        if channels == 3:
            draws |= _factor("jitter_saturation", augment.jitter_saturation, n)
        if (hue := augment.jitter_hue) and channels == 3:
            draws["jitter_hue"] = lambda rng: uniform(rng, -hue, hue, n)
    if augment.grayscale_p and channels == 3:
        draws["grayscale"] = lambda rng: happens(rng, augment.grayscale_p, n)
    return draws


def _finish(augment: Augment, view: int, n: int, shape: tuple[int, int, int]) -> dict[str, _Draw]:
    """Return how blur, solarization, gain, offset and noise of a view are drawn."""
    draws: dict[str, _Draw] = {}
    if blur_p := augment.blur_p[view - 1]:
        draws["blur"] = lambda rng: happens(rng, blur_p, n)
        draws["blur_sigma"] = lambda rng: uniform(rng, *augment.blur_sigma, n)
    if solarize_p := augment.solarize_p[view - 1]:
        draws["solarize"] = lambda rng: happens(rng, solarize_p, n)
    draws |= _factor("gain", augment.gain, n)
    if offset := augment.offset:
        draws["offset"] = lambda rng: uniform(rng, -offset, offset, n)
    if noise_std := augment.noise_std:
        draws["noise"] = lambda rng: normal(rng, noise_std, n, *shape)
    return draws


def _factor(operation: str, strength: float, n: int) -> dict[str, _Draw]:
    """Return how a factor around 1 is drawn, if its strength is not 0."""
    if not strength:
        return {}
    return {operation: lambda rng: uniform(rng, 1 - strength, 1 + strength, n)}


def _uniform64(rng: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, shape))
