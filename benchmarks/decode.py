"""Times decoding of photos: ours beside torchvision's ImageFolder and DataLoader.

They take turns on the same files, with two crops a photo.

    python benchmarks/decode.py DIR [--side 224] [--batch 128] [--workers 2] [--rounds 3]

DIR holds train/<class>/*.jpeg and val/<class>/*.jpeg. Prints photos per second; each gives both
views of each photo, cropped, resized bicubically and mirrored, as uint8.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from byol_core.config import DatasetConfig, resolve
from byol_core.images.load import batches, load
from byol_core.images.source import Request
from byol_core.streams import stream


class TwoCrops:
    """The geometry of the paper's views through torchvision."""

    def __init__(self, side):
        bicubic = transforms.InterpolationMode.BICUBIC
        crop = transforms.RandomResizedCrop(side, (0.08, 1.0), interpolation=bicubic)
        self.view = transforms.Compose(
            [crop, transforms.RandomHorizontalFlip(), transforms.PILToTensor()]
        )

    def __call__(self, photo):
        """Return two crops."""
        return self.view(photo), self.view(photo)


def ours(folder, side, batch, workers, epoch) -> Iterable:
    photos = load(DatasetConfig(name="folder", path=str(folder), side=side), workers).train
    augment = resolve("imagenet-r50-300ep", {}).augment
    streams = ((stream(epoch, i, 1), stream(epoch, i, 2)) for i in range(len(photos)))
    return photos.read(
        Request(rows, augment, crops)
        for rows, crops in zip(batches(len(photos), batch, 0, epoch), streams, strict=False)
    )


def theirs(folder, side, batch, workers, epoch) -> Iterable:
    torch.manual_seed(epoch)
    return DataLoader(
        ImageFolder(str(folder / "train"), TwoCrops(side)),
        batch,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
    )


def rate(make, *arguments) -> float:
    start = time.perf_counter()
    photos = 0
    for _ in make(*arguments):
        photos += arguments[2]
    return photos / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    for name, default in (("side", 224), ("batch", 128), ("workers", 2), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    for epoch in range(given.rounds):
        rates = [
            rate(make, given.folder, given.side, given.batch, given.workers, epoch)
            for make in (ours, theirs)
        ]
        print(
            f"round {epoch}: ours {rates[0]:.0f} photos/s, ImageFolder + DataLoader {rates[1]:.0f} photos/s",
            flush=True,
        )


if __name__ == "__main__":
    main()
