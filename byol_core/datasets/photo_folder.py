"""What lies in a folder of photos, ROOT/train/<class>/*.jpeg and ROOT/val or ROOT/test: names,
sizes, times. Opens no file.

From ImageNet's 1.3 million names it takes seconds, so it is read anew each time and never stored.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".jpeg", ".jpg", ".png", ".webp", ".bmp")
_TEST_FOLDERS = ("val", "test")


@dataclass(frozen=True, slots=True)
class Photo:
    """A file.

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
    """The photos of one split, sorted by name."""

    folder: Path
    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class PhotoFolder:
    """A data set of photos."""

    root: Path
    train: PhotoSplit
    test: PhotoSplit


def list_photos(root: Path) -> PhotoFolder:
    """List the photos below `root`; a split without any comes back empty, and `val` goes before
    `test`.
    """
    tests = [_split(root / name) for name in _TEST_FOLDERS]
    return PhotoFolder(
        root, _split(root / "train"), next((split for split in tests if split.photos), tests[0])
    )


def _split(folder: Path) -> PhotoSplit:
    classes = (
        [entry.path for entry in os.scandir(folder) if entry.is_dir()] if folder.is_dir() else []
    )
    prefix = len(str(folder)) + 1
    found = (photo for one in classes for photo in _photos_below(one, prefix))
    return PhotoSplit(folder, tuple(sorted(found, key=lambda photo: photo.name)))


def _photos_below(folder: str, prefix: int) -> Iterator[Photo]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _photos_below(entry.path, prefix)
            elif entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith("."):
                stat = entry.stat()
                yield Photo(entry.path[prefix:], stat.st_size, stat.st_mtime_ns)
