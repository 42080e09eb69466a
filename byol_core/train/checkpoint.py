"""Keeps checkpoints: folders with a state file and a manifest of its sha256.

A checkpoint is published whole or not at all. The newest folder that verifies is used; a damaged
one is passed over, and replaced when its step comes again. Files hold tensors and plain values, and
are read with ``weights_only``: a planted pickle does not run.
"""

import hashlib
import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from byol_core.config import trainer_digest
from byol_core.device import device_model
from byol_core.files import (
    make_folder,
    publish_folder,
    read_bytes,
    read_json,
    remove_tree,
    to_json,
    write_new,
)
from byol_core.kept_networks import MANIFEST, STATE
from byol_core.networks.fused.norm import is_available

KEPT = 2

_UNREADABLE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    EOFError,
    pickle.UnpicklingError,
)
"""What comes of reading a manifest or a state that is damaged, or that somebody has made up."""


@dataclass(frozen=True)
class Checkpoint:
    """Holds a verified checkpoint: the step that comes next, its state, and where it was made."""

    step: int
    state: dict[str, Any]
    numerics: dict[str, Any]


class Checkpoints:
    """Saves and finds the checkpoints of one run.

    Args:
        folder: made on the first save.
        writer: told apart in the names, so that two attempts never write one folder.
    """

    def __init__(self, folder: Path, writer: str) -> None:
        self.folder = folder
        self.writer = writer

    def save(
        self,
        step: int,
        state: dict[str, Any],
        numerics: dict[str, Any],
        before_publishing: Callable[[], None] = lambda: None,
    ) -> None:
        """Publish the state before `step`, then drop all but the two newest.

        Args:
            step: the next one.
            state: tensors and plain values.
            numerics: what `numerics` returned.
            before_publishing: called when all is written and not yet to be seen; it raises to
                prevent it.
        """
        path = self.folder / f"step-{step:08d}.{self.writer}"
        save_state(path, state, {"step": step, "numerics": numerics}, before_publishing)

        # Those of later steps are damaged, or training would have gone on from them; or they are of
        # a newer attempt, which this one must not disturb. None may push out what is whole.
        newest_first = self._newest_first()
        later = [other for other in newest_first if other.name > path.name]
        for other in later:
            if load_state(other) is None:
                remove_tree(other)
        for old in newest_first[len(later) + KEPT :]:
            remove_tree(old)

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint that verifies."""
        return next(self._verified(), None)

    def clear(self) -> None:
        """Delete all checkpoints."""
        remove_tree(self.folder)

    def _verified(self) -> Iterator[Checkpoint]:
        for path in self._newest_first():
            loaded = load_state(path)
            if loaded is not None:
                state, manifest = loaded
                step = manifest.get("step")
                numerics_of_it = manifest.get("numerics")
                if isinstance(step, int) and isinstance(numerics_of_it, dict):
                    yield Checkpoint(step, state, numerics_of_it)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"), reverse=True)


def save_state(
    path: Path,
    state: dict[str, Any],
    manifest: dict[str, Any],
    before_publishing: Callable[[], None] = lambda: None,
) -> None:
    """Publish `state` as folder `path`; a whole one of that name stays, a damaged one is replaced.

    Args:
        path: of the folder.
        state: tensors and plain values.
        manifest: what else is to be known of it.
        before_publishing: called when all is written and not yet to be seen; it raises to prevent
            it.

    Raises:
        OSError: the disk is full or fails; then nothing is published.
    """
    # What a try that was cut off has left.
    aside = path.with_name(f".{path.name}.tmp")
    damaged = path.with_name(f".{path.name}.damaged.tmp")
    for leftover in (aside, damaged):
        remove_tree(leftover)
    if load_state(path) is not None:
        return

    try:
        make_folder(aside)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        hashes = {STATE: hashlib.sha256(content).hexdigest()}

        # Publishing brings these files to the disk, all at once.
        write_new(aside / STATE, content)
        write_new(aside / MANIFEST, to_json({**manifest, "sha256": hashes}))
        before_publishing()
        with _moved_aside(path, damaged):
            publish_folder(aside, path)
    except BaseException:
        remove_tree(aside)
        raise


@contextmanager
def _moved_aside(path: Path, damaged: Path) -> Iterator[None]:
    """Move what stands at `path` to `damaged`, as no folder takes the place of a full one.

    It is deleted when the block has ended well, else put back: a damaged state may still tell a
    person something.
    """
    with suppress(FileNotFoundError):
        path.rename(damaged)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            damaged.rename(path)
        raise
    remove_tree(damaged)


def load_state(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return (state, manifest) of a folder, or None where it is missing or damaged."""
    try:
        manifest = read_json(path / MANIFEST)
        content = read_bytes(path / STATE)
        if manifest is None or hashlib.sha256(content).hexdigest() != manifest["sha256"][STATE]:
            return None

        # Only tensors and plain values, whoever has written the file.
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (OSError, *_UNREADABLE):
        return None
    return (state, manifest) if isinstance(state, dict) else None


def numerics(device: torch.device, path: str) -> dict[str, Any]:
    """Return what must be equal for a resumed run to equal an uninterrupted one bit for bit.

    What an older checkpoint does not say is not equal to anything.

    Args:
        device: that computes.
        path: how (``compute_path``).
    """
    return {
        "device": device.type,
        "path": path,
        "norms": "fused" if path != "plain" and is_available() else "plain",
        "kind": device_model(device),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "libraries": _libraries(),
        "threads": torch.get_num_threads(),
        "trainer": trainer_digest(),
    }


@cache
def _libraries() -> dict[str, str]:
    """Return the versions of what decodes images and draws numbers."""
    return {name: version(name) for name in ("numpy", "pillow", "torchvision")}
