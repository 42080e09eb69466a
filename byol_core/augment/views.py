"""Makes random views of a batch of images from their draws (``draws``).

Applying draws is a pure function of tensors, the same on CPU and GPU: no random number, nothing
that waits for a GPU, no image that depends on its batch mates. On the CPU only the images that an
operation was drawn for go through it, to the same pixels (``choice``). Colours follow torchvision's
definitions (blends with black, with the mean grey and with the grey image; hue as a turn in HSV)
and keep pixels in [0, 1]. The order is that of BYOL's appendix B (arXiv 2006.07733); brightness is
a factor here, an addend in its code.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from byol_core.augment.choice import change_chosen, per_image
from byol_core.augment.colour import grey, jitter, solarize
from byol_core.augment.extra import apply_extra
from byol_core.augment.geometry import blur_chosen, place
from byol_core.config import Augment

_MEAN_AND_STD = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
}


def to_float(images: Tensor) -> Tensor:
    """Return uint8 pixels as float32 in [0, 1]."""
    return images.float() / 255.0


def normalized(images: Tensor, augment: Augment) -> Tensor:
    """Return images as the encoder sees them: standardized by channel if the config says so."""
    if augment.normalize == "none":
        return images
    means, stds = _MEAN_AND_STD[augment.normalize]

    # Numbers, not tensors: a tensor would be copied to the device at every step.
    channels = [
        (channel - mean).div_(std)
        for channel, mean, std in zip(images.unbind(1), means, stds, strict=True)
    ]
    return torch.stack(channels, 1)


def apply_view(images: Tensor, draws: Mapping[str, Tensor], augment: Augment) -> Tensor:
    """Make the view of each image that was drawn.

    Args:
        images: (n, C, H, W) floating point, in [0, 1].
        draws: of these images, on their device (`draw_view`).
        augment: what was drawn from.

    Returns:
        (n, C, H, W), normalized.
    """
    return finish_view(place(images, draws, augment), draws, augment)


def finish_view(images: Tensor, draws: Mapping[str, Tensor], augment: Augment) -> Tensor:
    """Do what follows crop and flip; as `apply_view`, but images may be overwritten."""
    # Colour, blur and solarization.
    if "jitter" in draws:
        images = jitter(images, draws)
    if "grayscale" in draws:
        images = change_chosen(images, draws["grayscale"], {}, lambda chosen, _: grey(chosen))
    if "blur" in draws:
        images = blur_chosen(images, draws, augment.blur_sigma[1])
    if "solarize" in draws:
        images = change_chosen(images, draws["solarize"], {}, lambda chosen, _: solarize(chosen))

    # The user's own, on pixels that are still in [0, 1].
    if augment.extra != "none":
        images = apply_extra(augment.extra, images, draws)

    # Gain, offset and noise, after which pixels may leave [0, 1].
    if "gain" in draws:
        images = images * per_image(draws["gain"], images)
    if "offset" in draws:
        images = images + per_image(draws["offset"], images)
    if "noise" in draws:
        images = images + draws["noise"]
    return normalized(images, augment)
