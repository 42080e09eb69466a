"""Copies the code that jobs run, as it is when they are submitted, below the root.

A job may wait for days, and a checkout is edited meanwhile. ``code/<sha>`` holds the three packages
as they were; jobs import them from there, and a worker whose code has another hash than the one it
was submitted with refuses to train.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from byol_core.files import publish_folder, remove_tree, write_many
from orchestrator.store.root import Root

CODE_PACKAGES = ("byol_core", "orchestrator", "analysis")
_KINDS = frozenset({".py", ".yaml"})
_HOME = Path(__file__).parents[2]


class CodeChangedError(Exception):
    """The code that runs is not the code that was submitted."""


@cache
def running_code() -> str:
    """Return the sha256 of the code that this process imports, as it is at the first call."""
    return code_digest(_HOME)


def take_snapshot(root: Root, home: Path = _HOME) -> Path:
    """Copy the code below the root unless it is there; return the folder, whose name is its sha256.

    Raises:
        OSError: the root cannot be written.
    """
    folder = root.path / "code" / code_digest(home)
    if folder.exists():
        return folder

    # Written aside and renamed, so that a folder with that name is always whole.
    aside = folder.with_name(f".{folder.name}.tmp")
    remove_tree(aside)
    write_many({aside / file.relative_to(home): file.read_bytes() for file in _files(home)})
    publish_folder(aside, folder)
    return folder


def check_code(sha: str) -> None:
    """Compare the code of this process with what was submitted.

    Raises:
        CodeChangedError: it is another.
    """
    if running_code() != sha:
        raise CodeChangedError(
            f"this job was submitted with code {sha[:10]} and finds {running_code()[:10]} "
            f"in {_HOME}; the copy was changed: delete it and launch again"
        )


def code_digest(home: Path) -> str:
    """Return the sha256 over names and bytes of the packages' files in `home`."""
    digest = hashlib.sha256()
    for file in _files(home):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(home)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _files(home: Path) -> Iterator[Path]:
    """Yield the files of the code in `home`, in an order that is always the same."""
    for package in CODE_PACKAGES:
        files = (home / package).rglob("*")
        yield from sorted(file for file in files if file.suffix in _KINDS and file.is_file())
