"""The lock of a root: at most one launcher plans and submits there. The kernel frees it when its
holder dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from byol_core.files import create_file
from orchestrator.errors import RootLockedError, StoreError
from orchestrator.store.root import Root


@contextmanager
def launcher_lock(root: Root) -> Iterator[None]:
    """Hold the lock.

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
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "unknown"
            text = f"another launcher works on {root.path} ({holder}); wait for it, or use another --root"
            raise RootLockedError(text) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{_holder()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def open_lock(file: Path) -> int:
    """Open a lock file, made where it is missing; one who may only read it can hold the lock just
    as well.
    """
    try:
        return create_file(file, os.O_RDWR)
    except PermissionError:
        return os.open(file, os.O_RDONLY)


def _holder() -> str:
    controller = os.environ.get("SWEEP_CONTROLLER")
    job = f", SLURM job {controller}" if controller else ""
    return f"pid {os.getpid()} on {os.uname().nodename}{job}"


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
