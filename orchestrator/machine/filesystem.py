"""Tells what kind of file system a path lies on: local, or shared by several machines."""

from dataclasses import dataclass
from pathlib import Path

NETWORK = frozenset(
    {
        "nfs",
        "nfs4",
        "lustre",
        "gpfs",
        "beegfs",
        "cifs",
        "smb3",
        "ceph",
        "glusterfs",
        "afs",
        "pvfs2",
        "9p",
        "panfs",
        "wekafs",
    }
)
"""Types in /proc/self/mountinfo whose locks and shared memory fail between machines."""

_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


@dataclass(frozen=True)
class FileSystem:
    """Describes a mounted file system: its type as the kernel names it, and where it is mounted."""

    kind: str
    mounted_at: str

    @property
    def is_network(self) -> bool:
        """Tell whether other machines may see it.

        Unknown user-space file systems count, since most are remote.
        """
        return self.kind in NETWORK or self.kind.startswith("fuse.")


def filesystem_of(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> FileSystem:
    """Return the file system of a path that need not exist yet.

    Args:
        path: of a file or folder; the nearest folder that exists decides.
        mounts: the kernel's list; where there is none (not Linux), the answer is an unknown local
            one.
    """
    absolute = path.absolute()
    existing = next(folder for folder in (absolute, *absolute.parents) if folder.exists())
    resolved = existing.resolve()
    nearest = FileSystem("unknown", "/")
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return nearest

    # The deepest mount counts, and of several at the same place the last, which hides the others.
    for line in lines:
        left, _, right = line.partition(" - ")
        mounted_at = _unescaped(left.split()[4])
        if resolved.is_relative_to(mounted_at) and len(mounted_at) >= len(nearest.mounted_at):
            nearest = FileSystem(right.split()[0], mounted_at)
    return nearest


def _unescaped(text: str) -> str:
    """Return a path without the escapes that the kernel writes for spaces and the like."""
    for code, character in _ESCAPES.items():
        text = text.replace(code, character)
    return text
