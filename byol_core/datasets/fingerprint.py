"""Fingerprints content: sha256 of files, so remembered that unchanged ones are not read again.

A file is known again by its size and time of change. The memory lies in
``$XDG_CACHE_HOME/byol-sweeps/fingerprints`` (~/.cache): a note for each single file, one index for
a whole folder of photos. It may be deleted at any time.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path

from byol_core.datasets.own_files import OwnFiles
from byol_core.datasets.photo_folder import PhotoFolder, PhotoSplit
from byol_core.files import DamagedFileError, make_folder, read_bytes, read_json, write_atomic

_BLOCK_BYTES = 1 << 20
_DIGEST = re.compile("[0-9a-f]{64}")
_READERS = 16  # many, since on a network disk the time goes into waiting
_FILES_A_TASK = 256


def of_files(files: Sequence[Path]) -> str:
    """Return the sha256 over the content of files, in their order.

    Raises:
        OSError: a file cannot be read.
    """
    whole = hashlib.sha256()
    for file in files:
        whole.update(_file_hash(file).encode())
    return whole.hexdigest()


def of_photos(listing: PhotoFolder) -> str:
    """Return the sha256 over a folder's photos: for each split, names within it and content.

    Raises:
        OSError: a photo cannot be read.
    """
    return _of_splits(listing.root, (listing.train, listing.test), "photos")


def of_own(data: OwnFiles) -> str:
    """Return the sha256 over the content of a file, or over names and content in a folder.

    Raises:
        OSError: a file cannot be read.
    """
    if data.listing is None:
        return of_files([data.path])
    return _of_splits(data.path, (data.listing,), "files")


def _of_splits(root: Path, splits: Sequence[PhotoSplit], kind: str) -> str:
    """Return the sha256 over the files of each split: names within it and content.

    Files that are new or changed are read, in parallel. An interrupted call remembers what it has
    read.

    Args:
        root: above all splits.
        splits: which.
        kind: of the index, which a root has one of.
    """
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:32]
    index = _cache_folder() / f"{name}.{kind}"
    keys = [_keys(root, split) for split in splits]

    # What is remembered of the files that are there now.
    stored = _read_index(index)
    wanted = list(chain.from_iterable(keys))
    known = {key: stored[key] for key in wanted if key in stored}
    new = [key for key in wanted if key not in known]

    # The others are read; what has been read is remembered even if one cannot be.
    try:
        known.update(zip(new, _hashes([root / _path(key) for key in new]), strict=True))
    finally:
        if known != stored:
            _remember(index, b"".join(b"%s %s\0" % (digest, key) for key, digest in known.items()))

    # Names and contents, split by split.
    whole = hashlib.sha256()
    for split, keys_of_split in zip(splits, keys, strict=True):
        whole.update(b"%d photos\0" % len(split.photos))
        for photo, key in zip(split.photos, keys_of_split, strict=True):
            whole.update(b"%s\0%s" % (os.fsencode(photo.name), known[key]))
    return whole.hexdigest()


def _keys(root: Path, split: PhotoSplit) -> list[bytes]:
    """Return what each photo is known by: size, time and path below the root."""
    folder = os.fsencode(split.folder.relative_to(root))
    return [
        b"%d %d %s/%s" % (photo.size, photo.mtime_ns, folder, os.fsencode(photo.name))
        for photo in split.photos
    ]


def _path(key: bytes) -> str:
    """Return the path in a key."""
    return os.fsdecode(key.split(b" ", 2)[2])


def _read_index(file: Path) -> dict[bytes, bytes]:
    """Return key → hex digest; records end in NUL, which no file name holds."""
    try:
        content = read_bytes(file)
    except (DamagedFileError, OSError):
        return {}
    pairs = (record.partition(b" ") for record in content.split(b"\0")[:-1])
    return {key: digest for digest, _, key in pairs}


def _hashes(files: Sequence[Path]) -> Iterator[bytes]:
    """Yield the hex digest of each file, in order."""

    def hash_all(part: Sequence[Path]) -> list[bytes]:
        return [_sha256(file).encode() for file in part]

    parts = [files[start : start + _FILES_A_TASK] for start in range(0, len(files), _FILES_A_TASK)]
    pool = ThreadPoolExecutor(_READERS)
    try:
        for digests in pool.map(hash_all, parts):
            yield from digests
    finally:
        pool.shutdown(cancel_futures=True)


def _file_hash(file: Path) -> str:
    """Return the sha256 of a file, from its note where there is one."""
    stat = file.stat()
    key = json.dumps([str(file), stat.st_size, stat.st_mtime_ns])
    note = _cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    digest = _noted(note)
    if digest is None:
        digest = _sha256(file)
        _remember(note, json.dumps({"sha256": digest}).encode())
    return digest


def _noted(note: Path) -> str | None:
    """Return the digest in a note; None where there is none that can be read."""
    try:
        content = read_json(note)
    except (DamagedFileError, OSError):
        return None
    digest = content.get("sha256") if isinstance(content, dict) else None
    is_digest = isinstance(digest, str) and _DIGEST.fullmatch(digest)
    return digest if is_digest else None


def _remember(file: Path, content: bytes) -> None:
    # A memory that cannot be written costs time, nothing else.
    with suppress(OSError):
        make_folder(file.parent)
        write_atomic(file, content)


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while block := handle.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "byol-sweeps" / "fingerprints"
