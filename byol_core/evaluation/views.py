"""Says on which views of an image a protocol judges: on its own, whatever the run trained on.

With the run's augmentation, one and the same encoder got .425, .551, .806 or .454 from the probe: a
table of augmentations would have compared probes. Of the run's settings a protocol takes one, what
pixels are normalized by, since that is part of what the encoder learned to see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from byol_core.config import Augment, TrainConfig

_OFF: dict[str, Any] = {
    "rotate_rad": 0.0,
    "scale": (1.0, 1.0),
    "shift": 0.0,
    "crop_p": 0.0,
    "flip_p": 0.0,
    "jitter_p": 0.0,
    "grayscale_p": 0.0,
    "blur_p": (0.0, 0.0),
    "solarize_p": (0.0, 0.0),
    "extra": "none",
    "gain": 0.0,
    "offset": 0.0,
    "noise_std": 0.0,
}

# Digits have no left and right, and their place and size say nothing. On clean ones a random
# encoder already scores close to a trained one; on such views the rows of an ablation come apart.
_TURNS: dict[str, Any] = {
    "rotate_rad": 0.4,
    "scale": (0.6, 1.2),
    "shift": 0.25,
    "gain": 0.5,
    "offset": 0.2,
    "noise_std": 0.05,
}

# What linear evaluation trains on everywhere (BYOL, appendix C.1); the area is that of the blog and
# of SimSiam, as a small image keeps too little at the paper's 0.08.
_CROPS: dict[str, Any] = {
    "crop_p": 1.0,
    "crop_area": (0.2, 1.0),
    "crop_ratio": (3 / 4, 4 / 3),
    "flip_p": 0.5,
}


@dataclass(frozen=True)
class Views:
    """Says which views of each image are judged.

    Attributes:
        draws: how many; each is an answer of its own.
        operations: what they are drawn from, as keys of `Augment`; empty: images as they are.
        normalize: what pixels are normalized by, as in `Augment`.
    """

    draws: int
    operations: Mapping[str, Any]
    normalize: Literal["none", "imagenet", "cifar10"] = "none"

    @property
    def augment(self) -> Augment:
        """Return the augmentation; whatever is not named is off."""
        return Augment(**{**_OFF, **self.operations, "normalize": self.normalize})

    def record(self) -> dict[str, Any]:
        """Return what a result says of them."""
        of_views = self.augment.model_dump(mode="json", include={*self.operations})
        return {"draws": self.draws, **of_views, "normalize": self.normalize}


_CLEAN = Views(1, {})
_CHAINS = {
    ("probe", "digits"): {"train": Views(2, _TURNS), "test": Views(5, _TURNS)},
    ("probe", None): {"train": Views(2, _CROPS), "test": _CLEAN},
    ("knn", None): {"train": _CLEAN, "test": _CLEAN},
}
"""Protocol and data set (None: every other one) → split → views.

A value here is part of the protocol: whoever changes one raises its version.
"""


def views_of(protocol: str, config: TrainConfig) -> dict[str, Views]:
    """Return the views that a protocol judges a run on, by split: "train" and "test".

    Args:
        protocol: its name.
        config: of the run: the name of the data set chooses, and pixels are normalized as it says.
    """
    chain = _CHAINS.get((protocol, config.dataset.name)) or _CHAINS[protocol, None]
    normalize = config.augment.normalize
    return {split: replace(views, normalize=normalize) for split, views in chain.items()}
