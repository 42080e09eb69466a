"""Makes random views of a batch of images, every image with draws of its own.

The code is the same on CPU and GPU. Draws come from the CPU, so a view is the same on every device.
Colour operations follow
torchvision's definitions (blends with black, with the mean grey and with the grey image; hue as a
turn in HSV) and keep pixels in [0, 1].
"""

import numpy as np
from torch import Tensor

from byol_core.augment.colour import choose_per_image, grey, jitter, per_image, solarize
from byol_core.augment.geometry import blur, crop_and_flip
from byol_core.config import Augment
from byol_core.streams import happens, normal, uniform

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def to_float(images: Tensor) -> Tensor:
    """Return uint8 pixels as float32 in [0, 1]."""
    return images.float() / 255.0


def normalized(images: Tensor, augment: Augment) -> Tensor:
    """Return images as the encoder sees them: standardized by channel if the config says so."""
    if augment.normalize == "none":
        return images
    mean = images.new_tensor(_IMAGENET_MEAN).view(1, -1, 1, 1)
    std = images.new_tensor(_IMAGENET_STD).view(1, -1, 1, 1)
    return (images - mean) / std


def random_view(
    images: Tensor, augment: Augment, rng: np.random.Generator, view: int = 1
) -> Tensor:
    """Draw one view of each image.

    Args:
        images: (B, C, H, W) float32 in [0, 1].
        augment: what is drawn from.
        rng: the stream of this batch and view.
        view: 1 or 2; the views may differ in how often they are blurred and solarized.

    Returns:
        (B, C, H, W) float32, normalized.
    """
    return colour_and_noise(crop_and_flip(images, augment, rng), augment, rng, view)


def colour_and_noise(
    images: Tensor, augment: Augment, rng: np.random.Generator, view: int = 1
) -> Tensor:
    """Draw what follows crop and flip; arguments and result are those of `random_view`."""
    n = len(images)

    # Colour, blur and solarization. What is off draws nothing.
    if augment.jitter_p:
        images = jitter(images, augment, rng)
    if augment.grayscale_p:
        is_grey = happens(rng, augment.grayscale_p, n)
        images = choose_per_image(is_grey, grey(images).expand_as(images), images)
    if blur_p := augment.blur_p[view - 1]:
        sigma = uniform(rng, *augment.blur_sigma, n)
        images = choose_per_image(happens(rng, blur_p, n), blur(images, sigma), images)
    if solarize_p := augment.solarize_p[view - 1]:
        images = choose_per_image(happens(rng, solarize_p, n), solarize(images), images)

    # Gain, offset and noise, after which pixels may leave [0, 1].
    if augment.gain or augment.offset:
        gain = uniform(rng, 1 - augment.gain, 1 + augment.gain, n)
        images = images * per_image(gain, images)
        offset = uniform(rng, -augment.offset, augment.offset, n)
        images = images + per_image(offset, images)
    if augment.noise_std:
        images = images + normal(rng, augment.noise_std, *images.shape).to(images.device)
    return normalized(images, augment)
