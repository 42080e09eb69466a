"""Locks a root, so that at most one launcher plans and submits there.

The kernel frees the lock when its holder dies.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from byol_core.files import create_file
from orchestrator.errors import RootLockedError, StoreError
from orchestrator.machine.user import user_name
from orchestrator.store.root import Root

_LOOK_AGAIN_S = 1.0
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def launcher_lock(root: Root, wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the launcher lock of a root for the length of a `with` block.

    Args:
        root: what is locked.
        wait: wait for another holder to leave, and call this with each one's name; None: refuse.

    Raises:
        RootLockedError: another launcher holds it; the text says who, and since when.
    """
    try:
        descriptor = create_file(root.lock, os.O_RDWR)
    except OSError as error:
        raise StoreError(
            f"{root.lock}: cannot be opened: {error.strerror}; choose another --root"
        ) from None

    try:
        holder = _try_lock(descriptor)
        if holder and wait is None:
            raise RootLockedError(
                f"another launcher works on {root.path}: {holder}; "
                "wait for it with --queue, or use another --root"
            )
        if holder and wait is not None:
            _wait_for_lock(descriptor, holder, wait)

        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{_holder()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> str | None:
    """Take the lock if it is free; otherwise return the name that its holder has written."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 400, 0).decode(errors="replace").strip() or "unknown"
    return None


def _wait_for_lock(descriptor: int, holder: str, wait: Callable[[str], None]) -> None:
    """Take the lock once it is free; of several that wait, any may be the next."""
    named = None
    while holder:
        if holder != named:
            wait(holder)
            named = holder
        time.sleep(_LOOK_AGAIN_S)
        holder = _try_lock(descriptor) or ""


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
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    process = f"{user_name()}, pid {os.getpid()} on {os.uname().nodename}, since {since}"
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
