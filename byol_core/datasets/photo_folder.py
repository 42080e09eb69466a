"""Lists what lies in a folder of photos, ROOT/train/<class>/*.jpeg and ROOT/val or ROOT/test.

A listing holds names, sizes and times; no file is opened. From ImageNet's 1.3 million names it
takes seconds, so it is read anew each time and never stored.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from byol_core.datasets.errors import DataError

SUFFIXES = (".jpeg", ".jpg", ".png", ".webp", ".bmp")
_TEST_FOLDERS = ("val", "test")


@dataclass(frozen=True, slots=True)
class Photo:
    """Describes the file of a photo, or another file of images.

    Attributes:
        name: below its split's folder, with "/": `<class>/<file>`.
        size: in bytes.
        mtime_ns: when it was last changed.
    """

    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class PhotoSplit:
    """Holds the photos of one split, sorted by name."""

    folder: Path
    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class PhotoFolder:
    """Holds both splits of a data set of photos."""

    root: Path
    train: PhotoSplit
    test: PhotoSplit


def list_photos(root: Path) -> PhotoFolder:
    """List the photos below `root`; a split without any comes back empty.

    Of the folders for test photos, the first that has any counts.
    """
    tests = [_split(root / name) for name in _TEST_FOLDERS]
    test = next((split for split in tests if split.photos), tests[0])
    return PhotoFolder(root, _split(root / "train"), test)


def list_files(folder: Path) -> PhotoSplit:
    """List whatever files lie below a folder; what has a name with a dot in front is left out."""
    below = _files_below(str(folder), prefix=len(str(folder)) + 1)
    files = [file for file in below if "/." not in f"/{file.name}"]
    return PhotoSplit(folder, tuple(sorted(files, key=lambda file: file.name)))


def classes_of(listing: PhotoFolder) -> list[str]:
    """Return the training classes in alphabetical order, which numbers them.

    Raises:
        DataError: a test photo's class has no training photos.
    """
    classes = {class_of(photo) for photo in listing.train.photos}
    for photo in listing.test.photos:
        if class_of(photo) not in classes:
            problem = (
                f"{str(listing.test.folder)!r} holds class {class_of(photo)!r}, "
                f"of which {str(listing.train.folder)!r} has no photos"
            )
            raise DataError(f"{problem}; both must hold the same classes")
    return sorted(classes)


def mixed(photos: Iterable[Photo]) -> list[Photo]:
    """Return photos by the sha256 of their names: that mixes the classes, the same way for ever."""
    return sorted(photos, key=_hash_of_name)


def class_of(photo: Photo) -> str:
    """Return the name of a photo's class."""
    return photo.name.split("/", 1)[0]


def _hash_of_name(photo: Photo) -> bytes:
    """Return what photos are ordered by; names may hold bytes that are no text."""
    return hashlib.sha256(os.fsencode(photo.name)).digest()


def _split(folder: Path) -> PhotoSplit:
    """List the photos of a split; a folder that is missing has none."""
    if not folder.is_dir():
        return PhotoSplit(folder, ())
    prefix = len(str(folder)) + 1
    photos: list[Photo] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                photos.extend(_files_below(entry.path, prefix, SUFFIXES))
    return PhotoSplit(folder, tuple(sorted(photos, key=lambda photo: photo.name)))


def _files_below(folder: str, prefix: int, suffixes: tuple[str, ...] = ("",)) -> Iterator[Photo]:
    """Yield the files below a folder; their names begin behind `prefix` characters of the path."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files_below(entry.path, prefix, suffixes)
            elif entry.name.lower().endswith(suffixes) and not entry.name.startswith("."):
                stat = entry.stat()
                yield Photo(entry.path[prefix:], stat.st_size, stat.st_mtime_ns)
