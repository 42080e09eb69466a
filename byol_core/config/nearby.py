"""A copy of the images on this node's own disk, where $SWEEP_DATA_COPY names a folder for it: read once over the network."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from byol_core.files import make_folder


def nearby(files: Sequence[Path]) -> list[Path]:
    """Return the same files as they lie on the node's disk, copied there if they are not yet; without $SWEEP_DATA_COPY, as is.

    Jobs that start together on a node wait for one copy. A file that has changed since, by size or time, is copied anew.

    Raises:
        OSError: the folder cannot be written, or is full.
    """
    target = os.environ.get("SWEEP_DATA_COPY")
    if not target:
        return list(files)
    return [_copy(file, Path(target) / "byol-sweeps") for file in files]


def _copy(file: Path, target: Path) -> Path:
    folder = target / hashlib.sha256(str(file.parent).encode()).hexdigest()[:16] / file.parent.name
    make_folder(folder)
    copy = folder / file.name
    with (folder / f".{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_same(file, copy):
            aside = folder / f".{file.name}.tmp"
            shutil.copy2(file, aside)
            aside.replace(copy)
    return copy


def _is_same(file: Path, copy: Path) -> bool:
    there, here = file.stat(), copy.stat() if copy.exists() else None
    return here is not None and (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns)
