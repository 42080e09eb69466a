"""Copies images to this node's own disk, so that they are read over the network once.

$SWEEP_DATA_COPY names the folder for it; where it is not set, nothing is copied.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from byol_core.datasets.own_files import OwnFiles
from byol_core.datasets.photo_folder import Photo, PhotoFolder, PhotoSplit
from byol_core.files import make_folder

_READERS = 16
"""Photos on their way at a time: over a network each of them waits more than it is read."""


def copy_to_node(files: Sequence[Path]) -> list[Path]:
    """Return the same files as they lie on the node's disk, copied there if they are not yet.

    Without $SWEEP_DATA_COPY they are returned as they are. Jobs that start together on a node wait
    for one copy. A file that has changed since, by size or time, is copied anew.

    Raises:
        OSError: the folder cannot be written, or is full.
    """
    target = _target()
    if target is None:
        return list(files)
    return [_copy_file_to_node(file, target) for file in files]


def copy_photos_to_node(listing: PhotoFolder) -> PhotoFolder:
    """Return the same photos as they lie on the node's disk, copied there if they are not yet.

    Each listing has a copy of its own, which is looked through once.

    Raises:
        OSError: as `copy_to_node`; the next job goes on with what is there.
    """
    target = _target()
    if target is None:
        return listing
    folder = target / _digest_of(listing.root, (listing.train, listing.test))
    train = replace(listing.train, folder=folder / listing.train.folder.name)
    test = replace(listing.test, folder=folder / listing.test.folder.name)

    with _one_at_a_time(folder, "photos"):
        if not (folder / "complete").exists():
            _copy_split(listing.train, train.folder)
            _copy_split(listing.test, test.folder)
            (folder / "complete").touch()
    return PhotoFolder(folder, train, test)


def copy_own_to_node(files: OwnFiles) -> Path:
    """Return the same file or folder as it lies on the node's disk, copied there if it is not yet.

    Raises:
        OSError: as `copy_to_node`.
    """
    target = _target()
    if target is None:
        return files.path
    if files.listing is None:
        return _copy_file_to_node(files.path, target)

    # What says that it is complete stands beside it, as a class may read all that is in it.
    place = target / _digest_of(files.path, (files.listing,))
    folder = place / files.path.name
    with _one_at_a_time(place, "files"):
        if not (place / ".complete").exists():
            _copy_split(files.listing, folder)
            (place / ".complete").touch()
    return folder


def _target() -> Path | None:
    """Return the folder for copies on this node, or None where none are wanted."""
    folder = os.environ.get("SWEEP_DATA_COPY")
    if not folder:
        return None
    return Path(folder) / "byol-sweeps"


def _digest_of(root: Path, splits: Sequence[PhotoSplit]) -> str:
    """Return what names the copy of a listing; any file that changes gives another."""
    digest = hashlib.sha256(os.fsencode(root))
    for split in splits:
        for photo in split.photos:
            digest.update(os.fsencode(f"{photo.name} {photo.size} {photo.mtime_ns}\n"))
    return digest.hexdigest()[:16]


def _copy_split(split: PhotoSplit, folder: Path) -> None:
    for parent in {Path(photo.name).parent for photo in split.photos}:
        make_folder(folder / parent)

    def copy(photo: Photo) -> None:
        _copy(split.folder / photo.name, folder / photo.name)

    # Reading the results raises the error of a copy that failed.
    with ThreadPoolExecutor(_READERS, thread_name_prefix="copy") as pool:
        for _ in pool.map(copy, split.photos):
            pass


def _copy_file_to_node(file: Path, target: Path) -> Path:
    folder = target / hashlib.sha256(str(file.parent).encode()).hexdigest()[:16] / file.parent.name
    with _one_at_a_time(folder, file.name):
        return _copy(file, folder / file.name)


def _copy(file: Path, copy: Path) -> Path:
    """Copy a file unless it is there already, whole or not at all."""
    if not _is_same(file, copy):
        aside = copy.with_name(f".{copy.name}.tmp")
        shutil.copy2(file, aside)
        aside.replace(copy)
    return copy


@contextmanager
def _one_at_a_time(folder: Path, name: str) -> Iterator[None]:
    """Hold a lock in a folder, which is made where it is missing."""
    make_folder(folder)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_same(file: Path, copy: Path) -> bool:
    """Tell whether a copy is there with the file's size and time."""
    if not copy.exists():
        return False
    original = file.stat()
    copied = copy.stat()
    return (copied.st_size, copied.st_mtime_ns) == (original.st_size, original.st_mtime_ns)
