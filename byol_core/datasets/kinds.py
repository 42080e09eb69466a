"""Holds the table of data sets: of each name, where its files lie and what is known of them.

It is what `locate` and `facts` ask; nothing here reads an image, or loads torch.
"""

import importlib.util
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byol_core.config.train_config import DatasetConfig
from byol_core.datasets.errors import DataMissingError
from byol_core.datasets.fingerprint import of_files, of_own, of_photos
from byol_core.datasets.npz import channels_of, kinds_in, labels_in
from byol_core.datasets.own_files import OwnFiles, find_own
from byol_core.datasets.photo_folder import (
    SUFFIXES,
    PhotoFolder,
    class_of,
    classes_of,
    list_photos,
    mixed,
)
from byol_core.datasets.published import PUBLISHED, Published, data_root
from byol_core.files import absolute
from byol_core.plugins import is_plug_in

DIGITS_TRAIN = 1400
DIGITS_SIDE_PX = 16
_PHOTOS = (
    "DIR/train/<class>/* and DIR/val/<class>/* or DIR/test/<class>/*, "
    f"files ending in {', '.join(SUFFIXES)}"
)

Files = list[Path] | PhotoFolder | OwnFiles
"""What a data set lies in: files that are held in memory, listed photos, or the user's own."""


@dataclass(frozen=True)
class Size:
    """Holds how many training images there are, and their channels: 1 (grey) or 3.

    Both are None where only a class of the user's own can tell.

    Attributes:
        side_px: the longer side of an image; None where that is not known, or a setting.
    """

    images: int | None
    channels: int | None
    side_px: int | None = None


@dataclass(frozen=True)
class Kind:
    """Says what is to be known of a data set before it is loaded.

    Attributes:
        find: gives its files, in a fixed order, or raises `DataMissingError`.
        size: tells how many training images the files hold.
        labels: gives the labels of the first n training images (0: all), −1 where there is none;
            fewer where these are known to be of several classes; None where nothing is known.
        split: which images are for training and which for testing.
        way_out: what to do where a file is missing.
        fingerprint: gives the sha256 of all content.
    """

    find: Callable[[DatasetConfig], Files]
    size: Callable[[Any], Size]
    labels: Callable[[Any, int], Sequence[Hashable] | None]
    split: str
    way_out: str = "check dataset.path"
    fingerprint: Callable[[Any], str] = of_files


def _find_digits(dataset: DatasetConfig) -> list[Path]:
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataMissingError(
            "data set 'digits' is part of scikit-learn, which is not installed: "
            "pip install scikit-learn"
        )
    return [Path(package.origin).parent / "datasets/data/digits.csv.gz"]


def _find_array(dataset: DatasetConfig) -> list[Path]:
    if dataset.path is None:
        raise DataMissingError(
            "data set 'arrays' needs dataset.path: "
            "an .npz file with x_train, y_train, x_test, y_test"
        )
    return [absolute(dataset.path)]


def _size_of_array(files: list[Path]) -> Size:
    _, shape = kinds_in(files[0])["x_train"]
    return Size(shape[0], channels_of(shape), max(shape[1:3]))


def _labels_of_array(files: list[Path], n: int) -> Sequence[Hashable]:
    labels: list[int] = labels_in(files[0])["train"].tolist()
    return labels[:n] if n else labels


def _find_photos(dataset: DatasetConfig) -> PhotoFolder:
    """Return the listing of a folder of photos.

    Raises:
        DataMissingError: a split has no photos; the text says which and how they must lie.
    """
    if dataset.path is None:
        raise DataMissingError(f"data set 'folder' needs dataset.path: a folder DIR with {_PHOTOS}")
    root = absolute(dataset.path)
    if root.is_file():
        raise DataMissingError(
            f"data set 'folder': {str(root)!r} is a file; an .npz wants dataset.name=arrays, "
            f"photos a folder DIR with {_PHOTOS}"
        )
    listing = list_photos(root)
    for name, split in (("train", listing.train), ("val or test", listing.test)):
        if not split.photos:
            problem = f"data set 'folder' is not there: {str(root)!r} has no photos in {name}"
            raise DataMissingError(f"{problem}; as dataset.path DIR it must hold {_PHOTOS}")
    return listing


def _labels_of_photos(listing: PhotoFolder, n: int) -> Sequence[Hashable]:
    """Return the class of each photo; their order, which takes a while, matters under a limit."""
    classes_of(listing)
    photos = mixed(listing.train.photos)[:n] if n else listing.train.photos
    return [class_of(photo) for photo in photos]


def _published(name: str, published: Published) -> Kind:
    """Return the kind of a data set that is fetched."""

    def find(dataset: DatasetConfig) -> list[Path]:
        folder = absolute(dataset.path) if dataset.path else data_root()
        return [folder / published.folder / file.name for file in published.files]

    def labels(files: list[Path], n: int) -> Sequence[Hashable]:
        known = published.labels(files)
        return known[:n] if n else known

    return Kind(
        find=find,
        size=lambda _: Size(published.images, published.channels, published.side_px),
        labels=labels,
        split=published.split,
        way_out=f"fetch it with: sweep data fetch {name}",
    )


KINDS = {
    "digits": Kind(
        find=_find_digits,
        size=lambda _: Size(DIGITS_TRAIN, 1, DIGITS_SIDE_PX),
        labels=lambda _, n: range(10)[: n or None],  # its first images are of different classes
        split="1400/397 by sha256 of the index",
    ),
    "arrays": Kind(
        find=_find_array,
        size=_size_of_array,
        labels=_labels_of_array,
        split="as stored",
    ),
    "folder": Kind(
        find=_find_photos,
        size=lambda listing: Size(len(listing.train.photos), 3),
        labels=_labels_of_photos,
        split="train/test folders, in the order of the names' sha256",
        fingerprint=of_photos,
    ),
    **{name: _published(name, published) for name, published in PUBLISHED.items()},
}
"""Name of a data set → what is to be known of it."""

_OWN = Kind(
    find=find_own,
    size=lambda _: Size(None, None),
    labels=lambda _, n: None,
    split="as its class gives them",
    fingerprint=of_own,
)


def kind_of(name: str) -> Kind:
    """Return what is to be known of a data set, of ours or of the user's own."""
    return _OWN if is_plug_in(name) else KINDS[name]
