"""Where the view of a photo is cut out: drawn without knowing how large the photo is, so before it
is decoded.

The boxes are torchvision's (`RandomResizedCrop`, `Resize` and `CenterCrop`): whole pixels of the
original photo.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from byol_core.config import Augment

Box = tuple[int, int, int, int]
"""Left, upper, right, lower edge in pixels."""
_TRIES = 10


@dataclass(frozen=True)
class Crop:
    """The draws of one photo's view.

    Attributes:
        area: (tries,) fractions of the photo's area.
        ratio: (tries,) width over height.
        at: two fractions in [0, 1), where the box lies.
        limits: of the ratio.
        cut: whether a box is cut out; otherwise the view is the middle, as in evaluation.
        flip: whether it is mirrored.
    """

    area: npt.NDArray[np.float64]
    ratio: npt.NDArray[np.float64]
    at: npt.NDArray[np.float64]
    limits: tuple[float, float]
    cut: bool
    flip: bool

    def box(self, width: int, height: int) -> Box:
        """Return the first drawn box that fits into a photo; where none does, the largest within
        the limits, in the middle.
        """
        widths = np.round(np.sqrt(width * height * self.area * self.ratio)).astype(int)
        heights = np.round(np.sqrt(width * height * self.area / self.ratio)).astype(int)
        fitting = np.flatnonzero(
            (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
        )
        if not len(fitting):
            ratio = min(max(width / height, self.limits[0]), self.limits[1])
            return _middle(
                width, height, min(width, round(height * ratio)), min(height, round(width / ratio))
            )
        w, h = int(widths[fitting[0]]), int(heights[fitting[0]])
        left, upper = int(self.at[0] * (width - w + 1)), int(self.at[1] * (height - h + 1))
        return left, upper, left + w, upper + h


def draw_crops(how: Augment, rng: np.random.Generator, n: int) -> list[Crop]:
    """Draw the crops of n photos, each with draws of its own."""
    area = rng.uniform(*how.crop_area, (n, _TRIES))
    ratio = np.exp(
        rng.uniform(math.log(how.crop_ratio[0]), math.log(how.crop_ratio[1]), (n, _TRIES))
    )
    at, chance = rng.random((n, 2)), rng.random((n, 2))
    cut, flip = chance[:, 0] < how.crop_p, chance[:, 1] < how.flip_p
    return [
        Crop(area[i], ratio[i], at[i], how.crop_ratio, bool(cut[i]), bool(flip[i]))
        for i in range(n)
    ]


def _middle(width: int, height: int, w: int, h: int) -> Box:
    left, upper = (width - w) // 2, (height - h) // 2
    return left, upper, left + w, upper + h
