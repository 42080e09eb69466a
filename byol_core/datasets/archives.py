"""Tells what is published of a data set, and puts into place what was carried here.

For machines without network: somebody downloads the files elsewhere. No file is used, and none is
put into place, whose size and MD5 are not those that are published.
"""

import hashlib
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from byol_core.datasets.errors import DataError
from byol_core.datasets.published import PUBLISHED, File, Published, data_root
from byol_core.files.outputs import output

_PIECE_BYTES = 1 << 20


def describe(name: str) -> Iterator[str]:
    """Yield where a data set comes from, its sizes and MD5s; the first lines are the URLs alone."""
    published = PUBLISHED[name]
    for file in published.downloads:
        yield f"{published.site}{file.name}"

    if published.archive is not None:
        yield _file_line(published.archive)
    yield from map(_file_line, published.files)

    if published.archive is not None:
        yield f"the files lie in {published.folder}/ of the archive; put them into place with:"
        yield f"sweep data fetch {name} --from {published.archive.name}"
    else:
        yield "carry them here in a folder DIR, and put them into place with:"
        yield f"sweep data fetch {name} --from DIR"


def put_in_place(name: str, source: Path) -> Path:
    """Copy a data set that was carried here to where runs look for it; every MD5 is checked.

    Args:
        name: which data set.
        source: the archive, a folder that holds it, or one with the unpacked files.

    Returns:
        The data folder, below which it lies.

    Raises:
        DataError: a file is missing, is another one, or cannot be copied.
    """
    published = PUBLISHED[name]
    source = _archive_in(published, source) or source
    folder = data_root() / published.folder
    missing = {file.name for file in published.files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_there = source.is_dir() and _unpacked(published, source).samefile(folder)
        for file, stream in _streams(published, source):
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
    return data_root()


def differing(name: str, files: Sequence[Path]) -> list[Path]:
    """Return which files of a data set, in the order of its table, are not the published ones.

    Raises:
        OSError: a file is there and cannot be read.
    """
    pairs = zip(PUBLISHED[name].files, files, strict=True)
    return [path for file, path in pairs if not _is_published(file, path)]


def _is_published(file: File, path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return _difference(file, *_drain(stream)) is None


def _file_line(file: File) -> str:
    size = f"{file.size_bytes} bytes" if file.size_bytes is not None else ""
    return f"{size:>16}  md5 {file.md5}  {file.name}"


def _streams(published: Published, source: Path) -> Iterator[tuple[File, IO[bytes]]]:
    """Yield the files of a data set, open to be read, as far as they are there.

    Raises:
        DataError: the archive is another one, or the data set is published in none.
    """
    if source.is_dir():
        yield from _of_folder(published, _unpacked(published, source))
    elif published.archive is not None:
        yield from _of_archive(published, published.archive, source)
    else:
        source.stat()
        raise DataError(
            f"{str(source)!r} is a file; {published.title} comes in {len(published.files)} files: "
            "name the folder that holds them"
        )


def _archive_in(published: Published, source: Path) -> Path | None:
    """Return the archive in a folder; None where there is none, or the files lie beside it."""
    if published.archive is None or (source / published.folder).is_dir():
        return None
    archive = source / published.archive.name
    return archive if archive.is_file() else None


def _unpacked(published: Published, source: Path) -> Path:
    """Return the folder of the files themselves, which may be in the folder that was named."""
    inside = source / published.folder
    return inside if inside.is_dir() else source


def _of_folder(published: Published, folder: Path) -> Iterator[tuple[File, IO[bytes]]]:
    for file in published.files:
        path = folder / file.name
        if path.is_file():
            with path.open("rb") as stream:
                yield file, stream


def _of_archive(
    published: Published, archive: File, source: Path
) -> Iterator[tuple[File, IO[bytes]]]:
    # The whole is judged first: an archive that was cut on the way is named as such.
    with source.open("rb") as stream:
        _check(archive, source, *_drain(stream))

    # In the order of the archive, which is compressed and so read from one end to the other.
    by_name = {f"{published.folder}/{file.name}": file for file in published.files}
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
    difference = _difference(file, size_bytes, md5)
    if difference is not None:
        raise DataError(f"{file.name} from {str(source)!r} has {difference}: carry it here again")


def _difference(file: File, size_bytes: int, md5: str) -> str | None:
    """Return in what a file differs from the published one; None where it is the same."""
    if file.size_bytes is not None and size_bytes != file.size_bytes:
        return f"{size_bytes} bytes; it must have {file.size_bytes}"
    if md5 != file.md5:
        return f"MD5 {md5}; it must be {file.md5}"
    return None
