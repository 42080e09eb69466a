"""Random views of a batch of images, every image with draws of its own, the same code on CPU and
GPU.

Draws come from the CPU, so a view is the same on every device. Colour operations follow
torchvision's definitions (blends with black, with the mean grey and with the grey image; hue as a
turn in HSV) and keep pixels in [0, 1].
"""

import numpy as np
from torch import Tensor

from byol_core.augment.colour import choose_per_image, grey, jitter, per_image, solarize
from byol_core.augment.geometry import blur, crop_and_flip
from byol_core.config import Augment
from byol_core.streams import happens, normal, uniform

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def to_float(images: Tensor) -> Tensor:
    """uint8 pixels → float32 in [0, 1]."""
    return images.float() / 255.0


def normalized(images: Tensor, how: Augment) -> Tensor:
    """Return images as the encoder sees them: channel-wise standardized where the config says so."""
    if how.normalize == "none":
        return images
    mean, std = (
        images.new_tensor(values).view(1, -1, 1, 1) for values in (_IMAGENET_MEAN, _IMAGENET_STD)
    )
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
    return colour_and_noise(crop_and_flip(images, how, rng), how, rng, which)


def colour_and_noise(
    view: Tensor, how: Augment, rng: np.random.Generator, which: int = 1
) -> Tensor:
    """Draw what follows crop and flip; arguments and result as of `random_view`."""
    if how.jitter_p:
        view = jitter(view, how, rng)
    if how.grayscale_p:
        view = choose_per_image(
            happens(rng, how.grayscale_p, len(view)), grey(view).expand_as(view), view
        )
    if blur_p := how.blur_p[which - 1]:
        sigma = uniform(rng, *how.blur_sigma, len(view))
        view = choose_per_image(happens(rng, blur_p, len(view)), blur(view, sigma), view)
    if solarize_p := how.solarize_p[which - 1]:
        view = choose_per_image(happens(rng, solarize_p, len(view)), solarize(view), view)
    if how.gain or how.offset:
        view = view * per_image(uniform(rng, 1 - how.gain, 1 + how.gain, len(view)), view)
        view = view + per_image(uniform(rng, -how.offset, how.offset, len(view)), view)
    if how.noise_std:
        view = view + normal(rng, how.noise_std, *view.shape).to(view.device)
    return normalized(view, how)
