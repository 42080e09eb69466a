"""Which file system a path lies on, by the kernel's list of mounts, and whether other machines see it too."""

import re
from pathlib import Path

_NETWORK = """
9p afs beegfs ceph cifs fuse.ceph fuse.glusterfs fuse.juicefs fuse.sshfs glusterfs gpfs lustre nfs nfs4 ocfs2 orangefs panfs
pvfs2 quobyte smb3 virtiofs wekafs
"""  # those that clusters keep results on; what is not here counts as a local disk
NETWORK = frozenset(_NETWORK.split())
_MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")


def file_system(path: Path, mounts: Path = _MOUNTS) -> str:
    """Return the name of the file system below `path`, such as `ext4`, `nfs4` or `lustre`; `unknown` where it cannot be told.

    Args:
        path: there or not.
        mounts: in the format of /proc/self/mountinfo (proc(5)).
    """
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return "unknown"
    found = dict(map(_mount, lines))  # a later mount on the same point covers the earlier
    path = path.resolve()
    return next((found[one] for one in [path, *path.parents] if one in found), "unknown")


def is_network(kind: str) -> bool:
    """Tell whether a file system is one that several machines share."""
    return kind in NETWORK


def _mount(line: str) -> tuple[Path, str]:
    fields, _, rest = line.partition(" - ")
    point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields.split()[4])
    return Path(point), rest.split()[0]
