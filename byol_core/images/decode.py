"""Decodes a photo file once, and cuts its views out of it as pixels.

Views are cut out of the original and resized bicubically with antialiasing (PIL). PIL lets go of
Python's lock while it decodes and resizes, so threads do this in parallel.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from byol_core.augment.crops import crop_boxes
from byol_core.config import Augment
from byol_core.datasets.errors import DataError

Pixels = npt.NDArray[np.uint8]
_WHOLE_TO_MIDDLE = 8 / 7  # 256 → 224


def decode(
    file: Path, views: Sequence[Mapping[str, Tensor]], augment: Augment, side: int
) -> list[Pixels]:
    """Read a photo and cut out its views.

    Args:
        file: JPEG, PNG or whatever PIL reads; grey and CMYK become RGB.
        views: the draws of each, of this photo alone (n = 1); none for the one view of evaluation,
            the middle of the photo.
        augment: what was drawn from.
        side: of a view, in pixels.

    Returns:
        A (3, side, side) array for each view.

    Raises:
        DataError: the file holds no whole image.
    """
    try:
        with Image.open(file) as opened:
            photo = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = f"no photo that can be read ({error})"
        raise DataError(
            f"{str(file)!r}: {reason}; replace it by a whole copy, or delete it"
        ) from None
    if not views:
        return [_channels_first(middle(photo, side))]
    return [_cut(photo, draws, augment, side) for draws in views]


def middle(photo: Image.Image, side: int) -> Image.Image:
    """Return the view of evaluation, the middle of a photo.

    The shorter side is resized to 8/7 of `side` (256 for 224), and the middle cut out of that.
    """
    # The longer side is rounded down, as in torchvision; for the shorter, the division is exact.
    shorter = min(photo.size)
    resized = round(side * _WHOLE_TO_MIDDLE)
    width, height = (resized * length // shorter for length in photo.size)

    left = round((width - side) / 2)
    upper = round((height - side) / 2)
    return _resized(photo, width, height).crop((left, upper, left + side, upper + side))


def _cut(photo: Image.Image, draws: Mapping[str, Tensor], augment: Augment, side: int) -> Pixels:
    """Cut a view out, or show the middle where no crop was drawn, and mirror it."""
    if _happens(draws, "crop"):
        # Cropped first: `resize(box=…)` would let pixels from outside the box in.
        (box,) = crop_boxes(draws, augment, *photo.size).int().tolist()
        view = _resized(photo.crop(box), side, side)
    else:
        view = middle(photo, side)

    pixels = _channels_first(view)
    if _happens(draws, "flip"):
        return pixels[..., ::-1]
    return pixels


def _happens(draws: Mapping[str, Tensor], operation: str) -> bool:
    return operation in draws and bool(draws[operation])


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _channels_first(image: Image.Image) -> Pixels:
    return np.asarray(image).transpose(2, 0, 1)
