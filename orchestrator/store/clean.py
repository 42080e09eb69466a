"""Frees space that no result needs (`sweep clean`).

It never touches the small files: results, events, evaluations, plans.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from byol_core.files import DamagedFileError, remove_tree
from byol_core.kept_networks import NETWORKS
from orchestrator.errors import StoreError
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root, RunFolder
from orchestrator.store.standing import standing
from orchestrator.store.state import State


@dataclass(frozen=True)
class Freed:
    """Describes something that can be deleted: its path, its size in bytes, and the reason."""

    path: Path
    size_bytes: int
    why: str


def find(
    root: Root, queue: Queue, encoders: bool, note: Callable[[str], None] = lambda _: None
) -> Iterator[Freed]:
    """Yield what can be deleted; with `encoders`, kept encoders and networks of completed runs too.

    Runs that are active, or could still go on from a checkpoint, keep everything; so does a run of
    which a file cannot be read, and `note` is called with a sentence that names it.
    """
    for run in root.runs():
        try:
            if standing(run, queue).state == State.COMPLETED:
                yield from list(_of_completed(run, encoders))
        except (DamagedFileError, StoreError) as error:
            note(f"{error}; all of this run is kept")
        except OSError as error:
            note(f"{error.filename}: cannot be read: {error.strerror}; all of this run is kept")


def remove(freed: Freed) -> None:
    """Delete what `find` has found."""
    remove_tree(freed.path)


def _of_completed(run: RunFolder, encoders: bool) -> Iterator[Freed]:
    if run.read_description()["keep"] != "checkpoints":
        yield from _sized(run.path / "checkpoints", "checkpoints of a completed run")

    # Trained again with --rerun, a run keeps those of each earlier result in its attempt.
    if encoders:
        yield from _sized(run.path / "encoder", "kept encoder")
        yield from _sized(run.path / NETWORKS, "kept networks")
        for attempt in run.attempts():
            yield from _sized(attempt.path / "encoder", "encoder of an earlier result")
            yield from _sized(attempt.path / NETWORKS, "networks of an earlier result")

    # A finished write renames what it wrote aside; these were never renamed.
    for leftover in run.path.rglob(".*.tmp"):
        yield from _sized(leftover, "left by a killed writer")


def _sized(path: Path, why: str) -> Iterator[Freed]:
    """Yield the path with its size; nothing where it does not exist."""
    if path.is_file():
        yield Freed(path, path.stat().st_size, why)
    elif path.exists():
        files = (file for file in path.rglob("*") if file.is_file())
        yield Freed(path, sum(file.stat().st_size for file in files), why)
