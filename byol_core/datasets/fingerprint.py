"""Fingerprints of content: sha256 of files, remembered by size and time of change, so that
unchanged files are not read again.

The memory lies in ``$XDG_CACHE_HOME/byol-sweeps/fingerprints`` (~/.cache): a note for each single
file, one index for a whole folder of photos. It may be deleted at any time.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from byol_core.datasets.photo_folder import PhotoFolder, PhotoSplit
from byol_core.files import make_folder, read_json, write_atomic

_BLOCK_BYTES = 1 << 20
_READERS, _FILES_A_TASK = 16, 256  # many readers: on a network disk the time goes into waiting


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

    Photos that are new or changed are read, in parallel; an interrupted call remembers those that
    it has read.

    Raises:
        OSError: a photo cannot be read.
    """
    index = _cache_folder() / (
        hashlib.sha256(os.fsencode(listing.root)).hexdigest()[:32] + ".photos"
    )
    stored = _read_index(index)
    splits = (listing.train, listing.test)
    keys = [_keys(listing.root, split) for split in splits]
    wanted = list(chain.from_iterable(keys))
    known = {key: stored[key] for key in wanted if key in stored}
    new = [key for key in wanted if key not in known]
    try:
        known.update(zip(new, _hashes([listing.root / _path(key) for key in new]), strict=True))
    finally:
        if known != stored:
            _remember(index, b"".join(b"%s %s\0" % (digest, key) for key, digest in known.items()))
    whole = hashlib.sha256()
    for split, its_keys in zip(splits, keys, strict=True):
        whole.update(b"%d photos\0" % len(split.photos))
        for photo, key in zip(split.photos, its_keys, strict=True):
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
    return os.fsdecode(key.split(b" ", 2)[2])


def _read_index(file: Path) -> dict[bytes, bytes]:
    """Return key → hex digest; records end in NUL, which no file name holds."""
    try:
        content = file.read_bytes()
    except OSError:
        return {}
    pairs = (record.partition(b" ") for record in content.split(b"\0")[:-1])
    return {key: digest for digest, _, key in pairs}


def _hashes(files: Sequence[Path]) -> Iterator[bytes]:
    """Yield the hex digest of each file, in order."""
    tasks = [files[start : start + _FILES_A_TASK] for start in range(0, len(files), _FILES_A_TASK)]
    pool = ThreadPoolExecutor(_READERS)
    try:
        for digests in pool.map(lambda some: [_sha256(file).encode() for file in some], tasks):
            yield from digests
    finally:
        pool.shutdown(cancel_futures=True)


def _file_hash(file: Path) -> str:
    stat = file.stat()
    key = [str(file), stat.st_size, stat.st_mtime_ns]
    note = _cache_folder() / (hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32] + ".json")
    cached = read_json(note)
    if cached is None:
        cached = {"sha256": _sha256(file)}
        _remember(note, json.dumps(cached).encode())
    return str(cached["sha256"])


def _remember(file: Path, content: bytes) -> None:
    try:
        make_folder(file.parent)
        write_atomic(file, content)
    except OSError:
        pass  # a memory that cannot be written costs time, nothing else


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while block := handle.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "byol-sweeps" / "fingerprints"
