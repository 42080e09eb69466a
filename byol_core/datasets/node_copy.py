"""A copy of the images on this node's own disk, where $SWEEP_DATA_COPY names a folder for it: read
once over the network.
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

from byol_core.datasets.photo_folder import Photo, PhotoFolder, PhotoSplit
from byol_core.files import make_folder

_READERS = 16
"""Photos on their way at a time: over a network each of them waits more than it is read."""


def copy_to_node(files: Sequence[Path]) -> list[Path]:
    """Return the same files as they lie on the node's disk, copied there if they are not yet;
    without $SWEEP_DATA_COPY, as is.

    Jobs that start together on a node wait for one copy. A file that has changed since, by size or
    time, is copied anew.

    Raises:
        OSError: the folder cannot be written, or is full.
    """
    target = _target()
    return list(files) if target is None else [_copy_file_to_node(file, target) for file in files]


def copy_photos_to_node(listing: PhotoFolder) -> PhotoFolder:
    """Return the same photos as they lie on the node's disk; each listing has a copy of its own,
    which is looked through once.

    Raises:
        OSError: as `nearby`; the next job goes on with what is there.
    """
    target = _target()
    if target is None:
        return listing
    folder = target / _digest_of(listing)
    splits = [
        replace(split, folder=folder / split.folder.name) for split in (listing.train, listing.test)
    ]
    with _one_at_a_time(folder, "photos"):
        if not (folder / "complete").exists():
            for split, copied in zip((listing.train, listing.test), splits, strict=True):
                _copy_split(split, copied.folder)
            (folder / "complete").touch()
    return PhotoFolder(folder, *splits)


def _target() -> Path | None:
    target = os.environ.get("SWEEP_DATA_COPY")
    return Path(target) / "byol-sweeps" if target else None


def _digest_of(listing: PhotoFolder) -> str:
    digest = hashlib.sha256(os.fsencode(listing.root))
    for split in (listing.train, listing.test):
        for photo in split.photos:
            digest.update(os.fsencode(f"{photo.name} {photo.size} {photo.mtime_ns}\n"))
    return digest.hexdigest()[:16]


def _copy_split(split: PhotoSplit, folder: Path) -> None:
    for parent in {Path(photo.name).parent for photo in split.photos}:
        make_folder(folder / parent)

    def copy(photo: Photo) -> None:
        _copy(split.folder / photo.name, folder / photo.name)

    with ThreadPoolExecutor(_READERS, thread_name_prefix="copy") as pool:
        for _ in pool.map(copy, split.photos):
            pass  # an error of a copy is raised here


def _copy_file_to_node(file: Path, target: Path) -> Path:
    folder = target / hashlib.sha256(str(file.parent).encode()).hexdigest()[:16] / file.parent.name
    with _one_at_a_time(folder, file.name):
        return _copy(file, folder / file.name)


def _copy(file: Path, copy: Path) -> Path:
    if not _is_same(file, copy):
        aside = copy.with_name(f".{copy.name}.tmp")
        shutil.copy2(file, aside)
        aside.replace(copy)
    return copy


@contextmanager
def _one_at_a_time(folder: Path, name: str) -> Iterator[None]:
    make_folder(folder)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_same(file: Path, copy: Path) -> bool:
    there, here = file.stat(), copy.stat() if copy.exists() else None
    return here is not None and (here.st_size, here.st_mtime_ns) == (
        there.st_size,
        there.st_mtime_ns,
    )
