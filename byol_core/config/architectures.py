"""Describes the encoders that can be built: the numbers of a ResNet, as data."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Arch:
    """Describes a ResNet; every stage after the first halves the resolution.

    Attributes:
        stem: its channels.
        widths: the channels of each stage.
        blocks: how many blocks each stage has; of tiny, `encoder.tiny_blocks` times as many.
        block: which kind; a bottleneck computes with a quarter of its channels inside.
    """

    stem: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    block: Literal["basic", "bottleneck"]

    def group_counts(self) -> list[int]:
        """Return the numbers of groups that divide the channels of every norm."""
        channels = {self.stem, *self.widths}
        if self.block == "bottleneck":
            channels |= {width // 4 for width in self.widths}
        common = math.gcd(*channels)
        return [count for count in range(1, common + 1) if common % count == 0]

    def last_map_px(self, side_px: int, stem: str) -> int:
        """Return the side of the last stage's maps, of images with that side."""
        halvings = {"3x3": 0, "3x3_stride2": 1, "7x7_pool": 2}[stem] + len(self.widths) - 1
        shrinkage: int = 2**halvings
        return math.ceil(side_px / shrinkage)


ARCHS = {
    "tiny": Arch(16, (16, 32, 64), (1, 1, 1), "basic"),
    # These are of He et al. 2015, table 1.
    "resnet18": Arch(64, (64, 128, 256, 512), (2, 2, 2, 2), "basic"),
    "resnet34": Arch(64, (64, 128, 256, 512), (3, 4, 6, 3), "basic"),
    "resnet50": Arch(64, (256, 512, 1024, 2048), (3, 4, 6, 3), "bottleneck"),
    # BYOL's wider one (2x) doubles every width, not the inner ones alone as torchvision's wide one.
    "resnet50x2": Arch(128, (512, 1024, 2048, 4096), (3, 4, 6, 3), "bottleneck"),
}
