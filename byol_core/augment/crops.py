"""Draws where the view of a photo is cut out, before anything is known of the photo's size.

So crops are drawn before a photo is decoded. The boxes are torchvision's (`RandomResizedCrop`,
`Resize` and `CenterCrop`): whole pixels of the original photo.
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
    """Holds the draws of one photo's view.

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
        """Return the first drawn box that fits into a photo, or the largest in the middle."""
        widths = np.round(np.sqrt(width * height * self.area * self.ratio)).astype(int)
        heights = np.round(np.sqrt(width * height * self.area / self.ratio)).astype(int)
        fitting = np.flatnonzero(
            (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
        )
        if not len(fitting):
            return self._largest(width, height)

        # It lies anywhere inside the photo.
        box_width = int(widths[fitting[0]])
        box_height = int(heights[fitting[0]])
        left = int(self.at[0] * (width - box_width + 1))
        upper = int(self.at[1] * (height - box_height + 1))
        return left, upper, left + box_width, upper + box_height

    def _largest(self, width: int, height: int) -> Box:
        """Return the largest box within the limits, in the middle of a photo."""
        ratio = min(max(width / height, self.limits[0]), self.limits[1])
        box_width = min(width, round(height * ratio))
        box_height = min(height, round(width / ratio))
        left = (width - box_width) // 2
        upper = (height - box_height) // 2
        return left, upper, left + box_width, upper + box_height


def draw_crops(augment: Augment, rng: np.random.Generator, n: int) -> list[Crop]:
    """Draw the crops of n photos, each with draws of its own."""
    # The order of the draws is part of what a run is.
    area = rng.uniform(*augment.crop_area, (n, _TRIES))
    log_low, log_high = (math.log(limit) for limit in augment.crop_ratio)
    ratio = np.exp(rng.uniform(log_low, log_high, (n, _TRIES)))
    at = rng.random((n, 2))
    chance = rng.random((n, 2))

    cut = chance[:, 0] < augment.crop_p
    flip = chance[:, 1] < augment.flip_p
    return [
        Crop(area[i], ratio[i], at[i], augment.crop_ratio, bool(cut[i]), bool(flip[i]))
        for i in range(n)
    ]
