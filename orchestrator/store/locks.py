"""Locks a root, so that at most one launcher plans and submits there.

The kernel frees the lock when its holder dies.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from byol_core.files import create_file
from orchestrator.errors import RootLockedError, StoreError
from orchestrator.store.root import Root

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def launcher_lock(root: Root) -> Iterator[None]:
    """Hold the launcher lock of a root for the length of a `with` block.

    Raises:
        RootLockedError: another launcher holds it; the text says which.
    """
    try:
        descriptor = create_file(root.lock, os.O_RDWR)
    except OSError as error:
        raise StoreError(
            f"{root.lock}: cannot be opened: {error.strerror}; choose another --root"
        ) from None

    try:
        # Whoever holds the lock has written its name into the file.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "unknown"
            raise RootLockedError(
                f"another launcher works on {root.path} ({holder}); "
                "wait for it, or use another --root"
            ) from None

        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{_holder()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def open_lock(file: Path) -> int:
    """Open a lock file, and make it where it is missing.

    Where nothing can be written, one who may only read the file can hold the lock just as well;
    where there is none, its folder is locked instead.
    """
    try:
        return create_file(file, os.O_RDWR)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
    try:
        return os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(file.parent, os.O_RDONLY)


def _holder() -> str:
    """Name this process for the launcher that finds the lock held."""
    process = f"pid {os.getpid()} on {os.uname().nodename}"
    controller = os.environ.get("SWEEP_CONTROLLER")
    if controller:
        return f"{process}, SLURM job {controller}"
    return process


def is_held(root: Root) -> bool:
    """Tell whether a launcher is at work on this root."""
    try:
        descriptor = os.open(root.lock, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
