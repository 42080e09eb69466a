"""Knows the archives that data sets are published in, and puts the files of one into place.

For machines without network: somebody downloads the archive elsewhere and carries it here.
"""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from byol_core.datasets.errors import DataError
from byol_core.datasets.locate import data_root
from byol_core.files.outputs import output

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class File:
    """Holds what is published of a file: its name, size and MD5."""

    name: str
    size_bytes: int
    md5: str


@dataclass(frozen=True)
class Archive:
    """Holds what is published of an archive.

    Attributes:
        url: where it is downloaded from.
        file: the archive itself.
        folder: what it unpacks to.
        members: the files of that folder which are read.
    """

    url: str
    file: File
    folder: str
    members: tuple[File, ...]


ARCHIVES = {
    # MD5 as in torchvision.datasets.STL10, whose downloads are checked against the same.
    "stl10": Archive(
        "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
        File("stl10_binary.tar.gz", 2_640_397_119, "91f7769df0f17e558f3565bffb0c7dfb"),
        "stl10_binary",
        (
            File("train_X.bin", 138_240_000, "918c2871b30a85fa023e0c44e0bee87f"),
            File("train_y.bin", 5_000, "5a34089d4802c674881badbb80307741"),
            File("unlabeled_X.bin", 2_764_800_000, "5242ba1fed5e4be9e1e742405eb56ca4"),
            File("test_X.bin", 221_184_000, "7f263ba9f9e0b06b93213547f721ac82"),
            File("test_y.bin", 8_000, "36f9794fa4beb8a2c72628de14fa638e"),
        ),
    ),
}


def describe(name: str) -> Iterator[str]:
    """Yield where an archive comes from, its size and checksums; the first line is the URL alone."""
    archive = ARCHIVES[name]
    yield archive.url
    yield from map(_file_line, (archive.file, *archive.members))
    yield f"the files lie in {archive.folder}/ of the archive; put them into place with:"
    yield f"sweep data fetch {name} --from {archive.file.name}"


def put_in_place(name: str, source: Path) -> Path:
    """Copy a data set that was carried here to where runs look for it; every MD5 is checked.

    Args:
        name: which data set.
        source: the archive, or a folder with its unpacked files.

    Returns:
        The folder it lies in.

    Raises:
        DataError: a file is missing, is another one, or cannot be copied.
    """
    archive = ARCHIVES[name]
    folder = data_root() / archive.folder
    missing = {file.name for file in archive.members}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_there = source.is_dir() and _unpacked(archive, source).samefile(folder)
        for file, stream in _streams(archive, source):
            if is_there:
                _check(file, source, *_drain(stream))
            else:
                _copy(stream, file, source, folder / file.name)
            missing.remove(file.name)
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{str(source)!r} cannot be unpacked: {error}; carry it again") from None
    except OSError as error:
        problem = f"{error.filename or source}: {error.strerror or error}"
        raise DataError(f"{problem}; mend that, then run the same command again") from None
    if missing:
        raise DataError(
            f"{str(source)!r} holds no {', '.join(sorted(missing))}; "
            f"`sweep data fetch {name} --print-url` says what it must hold"
        )
    return folder.parent


def _file_line(file: File) -> str:
    return f"{file.size_bytes:>10} bytes  md5 {file.md5}  {file.name}"


def _streams(archive: Archive, source: Path) -> Iterator[tuple[File, IO[bytes]]]:
    """Yield the files of a data set, open to be read, as far as they are there."""
    if source.is_dir():
        yield from _of_folder(archive, _unpacked(archive, source))
    else:
        yield from _of_archive(archive, source)


def _unpacked(archive: Archive, source: Path) -> Path:
    """Return the folder of the files themselves, which may be in the folder that was named."""
    inside = source / archive.folder
    return inside if inside.is_dir() else source


def _of_folder(archive: Archive, folder: Path) -> Iterator[tuple[File, IO[bytes]]]:
    for file in archive.members:
        path = folder / file.name
        if path.is_file():
            with path.open("rb") as stream:
                yield file, stream


def _of_archive(archive: Archive, source: Path) -> Iterator[tuple[File, IO[bytes]]]:
    # The whole is judged first: an archive that was cut on the way is named as such.
    with source.open("rb") as stream:
        _check(archive.file, source, *_drain(stream))

    # In the order of the archive, which is compressed and so read from one end to the other.
    by_name = {f"{archive.folder}/{file.name}": file for file in archive.members}
    with tarfile.open(source) as tar:
        for entry in tar:
            stream_of_entry = tar.extractfile(entry) if entry.name in by_name else None
            if stream_of_entry is not None:
                yield by_name[entry.name], stream_of_entry


def _copy(stream: IO[bytes], file: File, source: Path, target: Path) -> None:
    """Copy a file whole, or not at all.

    Raises:
        DataError: it is another file than the one that is published.
    """
    with output(target) as copy:
        _check(file, source, *_drain(stream, copy))


def _drain(stream: IO[bytes], copy: IO[bytes] | None = None) -> tuple[int, str]:
    """Read a stream to its end, to a copy of it too if wanted; return its size and MD5."""
    digest = hashlib.md5(usedforsecurity=False)
    size_bytes = 0
    while piece := stream.read(_PIECE_BYTES):
        digest.update(piece)
        size_bytes += len(piece)
        if copy is not None:
            copy.write(piece)
    return size_bytes, digest.hexdigest()


def _check(file: File, source: Path, size_bytes: int, md5: str) -> None:
    """Refuse a file that is not the one which is published.

    Raises:
        DataError: it names both sizes, or both checksums.
    """
    if size_bytes != file.size_bytes:
        problem = f"{size_bytes} bytes; it must have {file.size_bytes}"
    elif md5 != file.md5:
        problem = f"MD5 {md5}; it must be {file.md5}"
    else:
        return
    raise DataError(f"{file.name} from {str(source)!r} has {problem}: carry it here again")
