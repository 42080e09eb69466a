"""Decodes a photo file once, and cuts its views out of it as pixels.

Views are cut out of the original and resized bicubically with antialiasing (PIL). PIL lets go of
Python's lock while it decodes and resizes, so threads do this in parallel.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from byol_core.augment.crops import crop_boxes
from byol_core.augment.draws import ViewDraws
from byol_core.config import Augment
from byol_core.datasets.errors import DataError

Pixels = npt.NDArray[np.uint8]
_WHOLE_TO_MIDDLE = 8 / 7  # 256 → 224


@dataclass(frozen=True)
class _Window:
    """Says what a view shows of a photo.

    Attributes:
        box: left, upper, right, lower edge in pixels; None: the middle, as in evaluation.
        mirrored: left to right.
    """

    box: Sequence[int] | None = None
    mirrored: bool = False


def decode(
    files: Sequence[Path], views: Sequence[ViewDraws], augment: Augment, side: int
) -> Pixels:
    """Read some photos and cut out their views.

    Args:
        files: JPEG, PNG or whatever PIL reads; grey and CMYK become RGB.
        views: the draws of these photos, for each view; none for the one view of evaluation, the
            middle of each photo.
        augment: what was drawn from.
        side: of a view, in pixels.

    Returns:
        (V, n, 3, side, side), V = 1 without views.

    Raises:
        DataError: a file holds no whole image.
    """
    # Opening reads the size, from which the boxes of all photos follow at once.
    photos = [_open(file) for file in files]
    windows = [_windows(draws, augment, photos) for draws in views]
    if not views:
        windows = [[_Window()] * len(files)]

    # Each photo is decoded once for all its views, and let go before the next.
    pixels = np.empty((len(windows), len(files), 3, side, side), dtype=np.uint8)
    for i, (file, photo) in enumerate(zip(files, photos, strict=True)):
        with _naming(file):
            whole = photo.convert("RGB")
        photo.close()
        for view, windows_of_view in enumerate(windows):
            pixels[view, i] = _show(whole, windows_of_view[i], side)
    return pixels


def _open(file: Path) -> Image.Image:
    """Return a photo that is not decoded yet; its bytes are read, so no file stays open."""
    with _naming(file):
        return Image.open(BytesIO(file.read_bytes()))


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Have PIL's complaint name the file."""
    try:
        yield
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = f"no photo that can be read ({error})"
        raise DataError(
            f"{str(file)!r}: {reason}; replace it by a whole copy, or delete it"
        ) from None


def _windows(
    draws: Mapping[str, Tensor], augment: Augment, photos: Sequence[Image.Image]
) -> list[_Window]:
    """Return what a view shows of each photo."""
    nothing = torch.zeros(len(photos), dtype=torch.bool)
    is_cropped = draws.get("crop", nothing).tolist()
    is_mirrored = draws.get("flip", nothing).tolist()
    boxes = [[0, 0, 0, 0]] * len(photos)
    if any(is_cropped):
        sizes = torch.tensor([photo.size for photo in photos], dtype=torch.float64)
        boxes = crop_boxes(draws, augment, *sizes.unbind(1)).int().tolist()

    return [
        _Window(box if cropped else None, mirrored)
        for box, cropped, mirrored in zip(boxes, is_cropped, is_mirrored, strict=True)
    ]


def _show(photo: Image.Image, window: _Window, side: int) -> Pixels:
    """Return the (3, side, side) pixels of a view."""
    pixels = np.asarray(_cut(photo, window.box, side)).transpose(2, 0, 1)
    if window.mirrored:
        return pixels[..., ::-1]
    return pixels


def _cut(photo: Image.Image, box: Sequence[int] | None, side: int) -> Image.Image:
    if box is None:
        return middle(photo, side)

    # Cropped first: `resize(box=…)` would let pixels from outside the box in.
    left, upper, right, lower = box
    return _resized(photo.crop((left, upper, right, lower)), side, side)


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


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    return image.resize((width, height), Image.Resampling.BICUBIC)
