"""Writes whole files and folders so that a crash leaves the old state or the new one, never half.

The order is the one that survives power loss on ext4 and XFS: write aside, fsync the file, rename,
fsync the folder (Pillai et al., OSDI 2014, "All File Systems Are Not Created Equal").
"""

import errno
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from byol_core.files.access import create_file, create_folders

NOT_READABLE = (IsADirectoryError, NotADirectoryError, PermissionError)
"""What stays so until somebody mends it; other errors of a disk may pass."""
_STAYS = (errno.ELOOP, errno.ENAMETOOLONG, errno.EIO)
"""More of it, for which Python has no name: a link in a circle, a bad place of a disk."""


class DamagedFileError(ValueError):
    """Says that a file is there but does not hold what its writer put into it.

    Attributes:
        path: of the file.
        problem: what is wrong with it.
    """

    def __init__(self, path: Path, problem: str = "it is no JSON") -> None:
        self.path = path
        self.problem = problem
        super().__init__(
            f"{path}: damaged, {problem}; put a backup in its place, or move it away: docs/reliability.md "
            "says what becomes then of what it described"
        )


def unreadable(path: Path, error: OSError) -> DamagedFileError:
    """Return the error for a file that cannot be read as it is: a folder, or another's."""
    return DamagedFileError(path, f"it cannot be read ({error.strerror})")


def make_folder(path: Path) -> None:
    """Create `path` and its missing parents, each as open as the one above it.

    ``access`` says what that means.
    """
    for made in create_folders(path):
        sync_folder(made.parent)


def claim_folder(path: Path, name: str, claim: Any) -> bool:
    """Create `path` with the JSON file `name` in it; True for exactly one of many callers.

    The folder appears with its claim in one rename, which fails on a folder that holds something.
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    make_folder(aside)
    try:
        write_json(aside / name, claim)
        aside.rename(path)
    except OSError as error:
        remove_tree(aside)
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    sync_folder(path.parent)
    return True


def write_atomic(path: Path, content: bytes) -> None:
    """Replace `path` by `content`; readers see the old file or the new one.

    Raises:
        OSError: disk full, read-only or failing; then `path` is as it was.
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with _naming(path):
            descriptor = create_file(aside, os.O_WRONLY | os.O_EXCL)
            try:
                write_all(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, for `publish_folder` to bring to the disk.

    Raises:
        OSError: disk full, read-only or failing; a part may be written.
    """
    with _naming(path):
        descriptor = create_file(path, os.O_WRONLY | os.O_EXCL)
        try:
            write_all(descriptor, content)
        finally:
            os.close(descriptor)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have an error name its file: what the system says of a descriptor, as of a full disk, does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as strict, readable JSON.

    It raises what `to_json` and `write_atomic` raise.
    """
    write_atomic(path, to_json(value))


def to_json(value: Any) -> bytes:
    """Return `value` as strict JSON with a line for each item.

    Raises:
        ValueError: it holds a NaN or an infinity, which strict JSON does not know.
    """
    if not isinstance(value, dict):
        return f"{_encode(value)}\n".encode()
    items = [f"{_encode(str(key))}: {_encode(item)}" for key, item in value.items()]
    return "{{\n {}\n}}\n".format(",\n ".join(items)).encode()


# Line breaks by separators: with indent, the encoder is not the fast one in C.
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",\n  ", ": ")).encode


def read_json(path: Path) -> Any | None:
    """Return the parsed file, or None where there is none.

    Raises:
        DamagedFileError: it holds no JSON, or is a folder, or may not be read.
    """
    try:
        return json.loads(read_bytes(path), parse_constant=_refuse_constant)
    except FileNotFoundError:
        return None
    except DamagedFileError:
        raise
    except (ValueError, RecursionError):
        raise DamagedFileError(path) from None


def read_bytes(path: Path, offset: int = 0) -> bytes:
    """Return what a file holds from a byte on.

    Raises:
        FileNotFoundError: there is none.
        DamagedFileError: it is no plain file, leads nowhere, or may not be read.
    """
    with _read_or_named(path):
        # A pipe in its place would keep us waiting for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DamagedFileError(path, "it is no plain file")
            file.seek(offset)
            return file.read()


def is_there(path: Path) -> bool:
    """Tell whether a path can be seen; False too where a folder above it lets nobody look."""
    try:
        return path.exists()
    except OSError:
        return False


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, sorted; none where there is no such folder.

    Raises:
        DamagedFileError: it is no folder, or may not be read.
    """
    try:
        with _read_or_named(folder):
            return sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []


@contextmanager
def _read_or_named(path: Path) -> Iterator[None]:
    """Turn an error that stays so until somebody mends it into one that names the file."""
    try:
        yield
    except FileNotFoundError:
        if path.is_symlink():
            raise DamagedFileError(path, "it is a link that leads nowhere") from None
        raise
    except OSError as error:
        if isinstance(error, NOT_READABLE) or error.errno in _STAYS:
            raise unreadable(path, error) from None
        raise


def _refuse_constant(word: str) -> None:
    """Refuse NaN and Infinity, which Python's JSON knows and ours never holds."""
    raise ValueError(word)


def publish_folder(aside: Path, path: Path) -> None:
    """Rename the finished folder `aside` to `path`, all that is in it synced first."""
    for inside in aside.rglob("*"):
        _sync(inside)
    _sync(aside)
    aside.rename(path)
    sync_folder(path.parent)


def remove_tree(path: Path) -> None:
    """Delete a folder or a file; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it: one call to the system may take a part only."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(path: Path) -> None:
    """Make the names in `path` survive a power loss."""
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with _naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
