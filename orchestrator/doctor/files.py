"""Tries out whether the root can hold runs: file system, locks, claims, clock, space and quota."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from byol_core.files import claim_folder, write_atomic
from orchestrator.doctor.finding import Finding, fail, ok, warn
from orchestrator.machine.filesystem import filesystem_of

_LOCKER = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
_TIMEOUT_S = 30
_SKEW_S = 5.0
_LOW_BYTES = 10e9
_LOW_INODES = 100_000


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """Make a folder beside the runs for trying things out, and remove it.

    Raises:
        OSError: nothing can be written there.
    """
    folder = Path(tempfile.mkdtemp(prefix=".sweep-doctor-", dir=existing(root)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def existing(path: Path) -> Path:
    """Return the nearest folder that is there: the doctor makes no root."""
    return next(folder for folder in [path, *path.parents] if folder.is_dir())


def check_files(root: Path, on_cluster: bool) -> Iterator[Finding]:
    """Try out everything that a root needs of its file system."""
    yield kind(root, on_cluster)

    # Where nothing can be written, none of these can be tried.
    try:
        with scratch(root) as folder:
            for check in (permissions, locks, claims, clock):
                yield check(folder)
    except OSError as error:
        yield fail(
            "writing",
            f"{existing(root)}: {error.strerror}",
            "choose another --root, or make room there",
        )

    yield space(root)
    yield inodes(root)
    yield quota()


def kind(root: Path, on_cluster: bool) -> Finding:
    """Tell which file system the root is on; compute nodes must see it."""
    system = filesystem_of(root)
    text = f"{root} is on {system.kind}"
    if on_cluster and not system.is_network:
        return warn(
            "file system",
            f"{text}, a disk of this machine",
            "if nodes do not see it, use a --root that they do (--submit)",
        )
    return ok("file system", text)


def permissions(folder: Path) -> Finding:
    """Check that files are the owner's alone, whatever the umask."""
    file = folder / "mode"
    write_atomic(file, b"")
    mode = file.stat().st_mode & 0o777
    text = f"files are made with mode {mode:04o}"
    if mode != 0o600:
        return warn(
            "permissions", text, "this file system does not keep modes: others may read the results"
        )
    return ok("permissions", f"{text}, for you alone")


def locks(folder: Path) -> Finding:
    """Check that a second process is refused a lock that the first holds.

    The launcher's lock depends on it.
    """
    file = folder / "lock"
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return fail(
                "locks",
                f"flock is refused: {error.strerror}",
                "mount it with locks (Lustre: -o flock), or move --root",
            )

        # A process that holds a lock may take it again, so another one has to try.
        second = subprocess.run(
            [sys.executable, "-I", "-c", _LOCKER, file], capture_output=True, timeout=_TIMEOUT_S
        )
    if second.returncode == 0:
        return fail(
            "locks",
            "two processes got the same lock",
            "use a --root where flock works: two launchers would collide",
        )
    return ok("locks", "a second process is refused")


def claims(folder: Path) -> Finding:
    """Check that a folder can be claimed once; the fence between two workers depends on it."""
    claim = folder / "claim"
    got = [claim_folder(claim, "claim.json", {"number": number}) for number in (1, 2)]
    if got != [True, False]:
        return fail(
            "claims",
            f"of two claims these succeeded: {got}",
            "use another --root: rename is not exclusive here",
        )
    return ok("claims", "of two claims one succeeds")


def clock(folder: Path) -> Finding:
    """Compare this machine's clock with the one that stamps files."""
    offset_s = file_clock_offset_s(folder)
    text = f"files are stamped {round(offset_s, 1) + 0:+.1f} s from this machine's clock"
    if abs(offset_s) > _SKEW_S:
        return warn(
            "clock", text, "ages in `sweep status` will be off; ask for a time service (ntp) here"
        )
    return ok("clock", text)


def file_clock_offset_s(folder: Path) -> float:
    """Return the seconds by which the clock of the file system is ahead of this machine's."""
    file = folder / "clock"
    before_s = time.time()
    write_atomic(file, b"")
    return file.stat().st_mtime - (before_s + time.time()) / 2


def space(root: Path) -> Finding:
    """Look at the free space."""
    free = shutil.disk_usage(existing(root)).free
    text = f"{free / 1e9:,.1f} GB free"
    if free < _LOW_BYTES:
        return warn(
            "space", text, "`sweep clean` frees checkpoints; a plan says what its runs will keep"
        )
    return ok("space", text)


def inodes(root: Path) -> Finding:
    """Look at the free inodes; a run takes about twenty."""
    status = os.statvfs(existing(root))
    if status.f_files == 0:
        return ok("inodes", "without a fixed number")
    text = f"{status.f_favail:,} of {status.f_files:,} free"
    if status.f_favail < _LOW_INODES:
        return warn("inodes", text, "a run takes about 20 files: remove old sweeps, or move --root")
    return ok("inodes", text)


def quota() -> Finding:
    """Ask `quota` which limits are reached; it is silent where none is."""
    tool = shutil.which("quota")
    if tool is None:
        return ok(
            "quota", "no `quota` command here: ask your site (Lustre: lfs quota -u $USER DIR)"
        )
    try:
        done = subprocess.run([tool, "-q"], capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return warn(
            "quota", f"`quota -q` did not answer within {_TIMEOUT_S} s", "look at it by hand"
        )

    reached = " ".join(done.stdout.split())
    if reached:
        return warn("quota", f"reached: {reached}", "remove files, or move --root")
    return ok("quota", "no limit is reached")
