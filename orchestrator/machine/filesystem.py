"""What kind of file system a path lies on: local, or one that several machines share."""

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
"""Types in /proc/self/mountinfo whose locks and shared memory cannot be relied on between machines.
"""
_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


@dataclass(frozen=True)
class FileSystem:
    """A mounted file system: its type as the kernel names it, and where it is mounted."""

    kind: str
    mounted_at: str

    @property
    def is_network(self) -> bool:
        """Tell whether other machines may see it. Unknown user-space file systems count, since most
        are remote.
        """
        return self.kind in NETWORK or self.kind.startswith("fuse.")


def filesystem_of(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> FileSystem:
    """Return the file system of a path that need not exist yet.

    Args:
        path: of a file or folder; the nearest folder that exists decides.
        mounts: the kernel's list; where there is none (not Linux), the answer is an unknown local
            one.
    """
    there = next(
        folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists()
    ).resolve()
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return FileSystem("unknown", "/")
    found = FileSystem("unknown", "/")
    for line in lines:  # later mounts hide earlier ones at the same place
        left, _, right = line.partition(" - ")
        point = _unescaped(left.split()[4])
        if there.is_relative_to(point) and len(point) >= len(found.mounted_at):
            found = FileSystem(right.split()[0], point)
    return found


def _unescaped(text: str) -> str:
    for code, character in _ESCAPES.items():
        text = text.replace(code, character)
    return text
