"""Says who may read what we write: its owner, or a group as well.

A folder's mode says it for all that is made inside. New files are 0600 and new folders 0700,
whatever the umask. Inside a folder of mode 2750 they are 0640 and 2750 and belong to that folder's
group. So a root that is opened once (`share`) stays open to its group for all that any job makes
later, and the mode bits on the disk are the only record of it.
"""

import grp
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_SHARED_FOLDER = stat.S_ISGID | stat.S_IRGRP | stat.S_IXGRP
_KEEP_GROUP = -1


class GroupError(ValueError):
    """Says that a group does not exist here, or that the user is not in it."""

    def __init__(self, name: str, reason: str) -> None:
        own = ", ".join(sorted(_group_name(number) for number in _own_groups()))
        super().__init__(f"--group {name!r}: {reason}; name one of yours: {own}")


@dataclass(frozen=True)
class Access:
    """Holds modes for new files and folders, their group, and the umask that gives the same."""

    file: int = 0o600
    folder: int = 0o700
    group: int = _KEEP_GROUP
    umask: int = 0o077


def access_of(folder: Path) -> Access:
    """Return the access of what is made in `folder`."""
    status = folder.stat()
    if status.st_mode & (_SHARED_FOLDER | stat.S_IRWXO) != _SHARED_FOLDER:
        return Access()
    return Access(file=0o640, folder=0o2750, group=status.st_gid, umask=0o027)


def create_file(path: Path, flags: int) -> int:
    """Open a file of ours, made where it is missing; return its descriptor.

    Args:
        path: symbolic links in its last part are refused.
        flags: of `os.open`, without O_CREAT.
    """
    flags |= os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    access = access_of(path.parent)
    _settle(path, access.group, access.file)
    return descriptor


def create_folders(path: Path) -> list[Path]:
    """Make a folder and its missing parents; return those that were made, the outermost first."""
    made = []
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            with suppress(FileExistsError):  # another process was faster
                folder.mkdir(mode=0o700)
                access = access_of(folder.parent)
                _settle(folder, access.group, access.folder)
                made.append(folder)
    return made


def open_like(path: Path, folder: Path) -> None:
    """Open a file of ours that lies elsewhere to the group that `folder` is open to.

    Another owner's file is left alone.
    """
    with suppress(FileNotFoundError, PermissionError):
        access = access_of(folder)
        if access.group != _KEEP_GROUP:
            _settle(path, access.group, access.file)


def find_group(name: str) -> int:
    """Return a group's number.

    Raises:
        GroupError: there is no such group, or the user is not in it.
    """
    try:
        number = grp.getgrnam(name).gr_gid
    except KeyError:
        raise GroupError(name, "no such group on this machine") from None
    if number not in _own_groups() and os.geteuid() != 0:
        raise GroupError(name, "you are not in this group")
    return number


def share(root: Path, group: int) -> None:
    """Open a folder and all below it to a group: readable, never writable.

    A folder is opened before it is listed, so what others make in it meanwhile is open too. Links
    are left alone.
    """
    _share_path(root, group)
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            with suppress(FileNotFoundError):  # a file that its writer has just renamed
                _share_path(Path(folder, name), group)


@contextmanager
def umask_of(folder: Path) -> Iterator[None]:
    """Hold the umask that gives files of other programs the access of `folder`.

    Jobs submitted meanwhile inherit it.
    """
    before = os.umask(access_of(folder).umask)
    try:
        yield
    finally:
        os.umask(before)


def _share_path(path: Path, group: int) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return

    # The group may read and enter what the owner may, and what is made in a folder gets its group.
    readable = (mode & (stat.S_IRUSR | stat.S_IXUSR)) >> 3
    shared = mode & stat.S_IRWXU | readable
    if stat.S_ISDIR(mode):
        shared |= stat.S_ISGID
    _settle(path, group, shared)


def _settle(path: Path, group: int, mode: int) -> None:
    """Set group and mode where they differ."""
    # The group first, since a change of it clears the bit that hands it down.
    if group not in (_KEEP_GROUP, path.stat().st_gid):
        os.chown(path, -1, group)
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)


def _own_groups() -> set[int]:
    return {os.getegid(), *os.getgroups()}


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
