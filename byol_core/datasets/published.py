"""Knows the data sets that are published: where, in which files, and what these hold.

Another one is an entry of `PUBLISHED` here, its name in `DatasetConfig.name`, and a reader in
``images.load``.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from byol_core.files import absolute


@dataclass(frozen=True)
class File:
    """Holds what is published of a file: its name, its MD5, and its size where that is known."""

    name: str
    md5: str
    size_bytes: int | None = None


@dataclass(frozen=True)
class Published:
    """Holds what is known of a published data set without reading its images.

    Attributes:
        title: its name in texts.
        site: the address that the files, or the archive of them, are downloaded below.
        archive: what holds the files; None where each of them is published by itself.
        folder: where the files lie, below the data folder and in the archive.
        files: which are read, in the order of the fingerprint.
        images: how many there are to train on.
        side_px: side of an image.
        channels: 1 (grey) or 3.
        split: which are for training and which for testing.
        labels: gives those of the first training images, or of all.
    """

    title: str
    site: str
    archive: File | None
    folder: str
    files: tuple[File, ...]
    images: int
    side_px: int
    channels: int
    split: str
    labels: Callable[[Sequence[Path]], Sequence[int]]

    @property
    def downloads(self) -> tuple[File, ...]:
        """Return what is to be downloaded: the archive, or the files."""
        return self.files if self.archive is None else (self.archive,)


def data_root() -> Path:
    """Return the folder of fetched data sets: $SWEEP_DATA, or ./data."""
    return absolute(os.environ.get("SWEEP_DATA", "data"))


def _begins_with(*labels: int) -> Callable[[Sequence[Path]], Sequence[int]]:
    """Return what knows the first labels, of more than one class, without reading a file."""
    return lambda _: labels


def _of_stl10(files: Sequence[Path]) -> Sequence[int]:
    """Return the labels in train_y.bin, a byte each."""
    return files[1].read_bytes()


# Names, MD5s and addresses as in torchvision.datasets, which reads the files.
PUBLISHED = {
    "stl10": Published(
        "STL-10",
        "http://ai.stanford.edu/~acoates/stl10/",
        File("stl10_binary.tar.gz", "91f7769df0f17e558f3565bffb0c7dfb", 2_640_397_119),
        "stl10_binary",
        (
            File("train_X.bin", "918c2871b30a85fa023e0c44e0bee87f", 138_240_000),
            File("train_y.bin", "5a34089d4802c674881badbb80307741", 5_000),
            File("unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4", 2_764_800_000),
            File("test_X.bin", "7f263ba9f9e0b06b93213547f721ac82", 221_184_000),
            File("test_y.bin", "36f9794fa4beb8a2c72628de14fa638e", 8_000),
        ),
        images=105_000,
        side_px=96,
        channels=3,
        split="train+unlabeled/test",
        labels=_of_stl10,
    ),
    "cifar10": Published(
        "CIFAR-10",
        "https://www.cs.toronto.edu/~kriz/",
        File("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", 170_498_071),
        "cifar-10-batches-py",
        (
            File("data_batch_1", "c99cafc152244af753f735de768cd75f", 31_035_704),
            File("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec", 31_035_320),
            File("data_batch_3", "54ebc095f3ab1f0389bbae665268c751", 31_035_999),
            File("data_batch_4", "634d18415352ddfa80567beed471001a", 31_035_696),
            File("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb", 31_035_623),
            File("test_batch", "40351d587109b95175f43aff81a1287e", 31_035_526),
            File("batches.meta", "5ff9c542aee3614f3951f8cda6e48888", 158),
        ),
        images=50_000,
        side_px=32,
        channels=3,
        split="train/test",
        labels=_begins_with(6, 9),
    ),
    "cifar100": Published(
        "CIFAR-100",
        "https://www.cs.toronto.edu/~kriz/",
        File("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", 169_001_437),
        "cifar-100-python",
        (
            File("train", "16019d7e3df5f24257cddd939b257f8d"),
            File("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
            File("meta", "7973b15100ade9c7d40fb424638fde48"),
        ),
        images=50_000,
        side_px=32,
        channels=3,
        split="train/test",
        labels=_begins_with(19, 29),
    ),
    "fashion_mnist": Published(
        "Fashion-MNIST",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        None,
        "FashionMNIST/raw",
        (
            File("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
            File("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", 29_515),
            File("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", 4_422_102),
            File("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", 5_148),
        ),
        images=60_000,
        side_px=28,
        channels=1,
        split="train/test",
        labels=_begins_with(9, 0),
    ),
}
