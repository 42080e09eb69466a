"""Names what is measured: cases as data, and who stands against whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

OURS = "byol-sweeps"
GROUP_NORM = "byol-sweeps, GN+WS"
RIVALS = {"lightly": "lightly", "solo-learn": "solo-learn"}
"""What `--rivals` takes → the name in tables."""
MODES = {
    "step": "step alone: the same ready views at each step, no augmentation on either side",
    "used": "as used: each with its own loader and augmentation of pictures in memory",
}


@dataclass(frozen=True)
class Case:
    """Describes one measurement.

    Attributes:
        name: to select it by.
        what: for people.
        preset: of byol_core, with `settings` laid over it.
        side: of the images, in pixels.
        channels: of the images.
        batch: on a processor and on a GPU.
        views: which transforms the others use, a key of `pictures`' recipes.
        threads: of a run on a processor; 0: all.
        fixed: who stands against us whatever `--rivals` says.
    """

    name: str
    what: str
    preset: str
    side: int
    batch: tuple[int, int]
    views: str
    channels: int = 3
    threads: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()

    def sized(self, batch: int | None, side: int | None, on_gpu: bool) -> "Case":
        """Return the case at a batch and a side; None keeps its own."""
        batch = batch or self.batch[on_gpu]
        return replace(self, batch=(batch, batch), side=side or self.side)


_PLAIN_RATE = {"optimizer.schedule": "constant", "optimizer.warmup_epochs": 0.0}
_GROUP_NORM = {
    "encoder.norm": "gn",
    "encoder.weight_standardization": "biased",
    "projector.norm": "gn",
    "projector.weight_standardization": "biased",
    "predictor.norm": "gn",
    "predictor.weight_standardization": "biased",
}
_R50 = {
    **_PLAIN_RATE,
    "optimizer.name": "sgd",
    "optimizer.lr": 0.05,
    "optimizer.lars_form": None,
    "target.start": "copy",
}

CASES = {
    case.name: case
    for case in (
        Case(
            "digits-tiny",
            "the demo's net, 16×16 grey",
            "digits-tiny",
            16,
            (128, 128),
            "digits",
            channels=1,
            threads=1,
        ),
        Case("r18-32", "ResNet-18, 32×32, 3×3 stem", "cifar10-r18", 32, (64, 512), "cifar"),
        Case(
            "r18-32-7x7",
            "ResNet-18, 32×32, 7×7 stem",
            "cifar10-r18",
            32,
            (64, 512),
            "cifar",
            settings={"encoder.stem": "7x7_pool"},
        ),
        Case(
            "r18-96",
            "ResNet-18, 96×96, 7×7 stem, the blog's views",
            "stl10-r18-blog",
            96,
            (16, 256),
            "blog",
        ),
        Case(
            "r50-224",
            "ResNet-50, 224×224, the paper's views",
            "imagenet-r50-300ep",
            224,
            (8, 128),
            "imagenet",
            settings=_R50,
        ),
        Case(
            "norms",
            "ResNet-18, 32×32, 3×3 stem: BN against GN+WS",
            "cifar10-r18",
            32,
            (64, 512),
            "cifar",
            fixed=(GROUP_NORM,),
        ),
    )
}


def settings_of(case: Case, contestant: str, precision: str, on_gpu: bool) -> dict[str, Any]:
    """Return what is laid over the case's preset, for one of ours."""
    settings: dict[str, Any] = {
        **case.settings,
        "batch_size": case.batch[on_gpu],
        "precision": precision,
    }
    if contestant == GROUP_NORM:
        settings |= _GROUP_NORM
    return {key: value for key, value in settings.items() if value is not None}
