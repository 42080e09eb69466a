"""Copies the code that runs import, as it is when they are launched, below the root.

A job may wait for days, and a checkout is edited while runs of this machine go on. ``code/<sha>``
holds the three packages as they were; jobs and local processes import them from there, and a worker
whose code has another hash than the one it was submitted with refuses to train. The plug-ins of a
spec stand beside it in ``code/plugins-<sha>``, whose hash is part of a run's id.
"""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from byol_core.files import write_folder
from byol_core.plugins import PlugIns, digest_of
from orchestrator.store.root import Root

CODE_PACKAGES = ("byol_core", "orchestrator", "analysis")
CODE_FILES = frozenset({".py", ".yaml"})
HOME = Path(__file__).parents[2]
"""The folder that this process imports the three packages from."""


class CodeChangedError(Exception):
    """The code that runs is not the code that was submitted."""


@cache
def running_code() -> str:
    """Return the sha256 of the code that this process imports, as it is at the first call."""
    return code_digest(HOME)


def take_snapshot(root: Root, home: Path = HOME) -> Path:
    """Copy the code below the root unless it is there; return the folder, whose name is its sha256.

    A launcher that has taken it goes on with it, whatever becomes of the checkout meanwhile.

    Raises:
        OSError: the root cannot be written.
    """
    sha = running_code() if home == HOME else code_digest(home)
    folder = root.path / "code" / sha
    if folder.exists():
        return folder

    # Named by what is copied, as somebody may edit it at this very moment.
    contents = _contents(home)
    folder = folder.with_name(_digest(contents))
    if folder.exists():
        return folder

    write_folder(folder, contents)
    return folder


def take_plugins(root: Root, plugins: PlugIns) -> Path:
    """Copy a spec's plug-ins below the root unless they are there; return the folder.

    Raises:
        OSError: the root cannot be written.
    """
    folder = root.plugins(plugins.digest)
    if not folder.exists():
        write_folder(folder, {Path(name): content for name, content in plugins.files.items()})
    return folder


def check_plugins(folder: Path, digest: str) -> None:
    """Compare the copy of a spec's plug-ins with what the run was named after.

    Raises:
        CodeChangedError: it is another.
    """
    files = {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    if digest_of(files) != digest:
        raise CodeChangedError(
            f"{folder}: is not the copy of the plug-ins that this run was planned with; delete it "
            "and launch again"
        )


def check_code(sha: str) -> None:
    """Compare the code of this process with what was submitted.

    Raises:
        CodeChangedError: it is another.
    """
    if running_code() != sha:
        raise CodeChangedError(
            f"this run was submitted with code {sha[:10]} and finds {running_code()[:10]} "
            f"in {HOME}; the copy was changed: delete it and launch again"
        )


def code_digest(home: Path) -> str:
    """Return the sha256 over names and bytes of the packages' files in `home`."""
    return _digest(_contents(home))


def _digest(contents: Mapping[Path, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _contents(home: Path) -> dict[Path, bytes]:
    """Return what the files of the code hold, by their names in `home`."""
    return {file.relative_to(home): file.read_bytes() for file in _files(home)}


def _files(home: Path) -> Iterator[Path]:
    """Yield the files of the code in `home`, in an order that is always the same."""
    for package in CODE_PACKAGES:
        files = (home / package).rglob("*")
        yield from sorted(file for file in files if file.suffix in CODE_FILES and file.is_file())
