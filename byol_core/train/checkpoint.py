"""Keeps checkpoints: folders with a state file and a manifest of its sha256.

A checkpoint is published whole or not at all. The newest folder that verifies is used; a damaged
one is passed over. Files hold tensors and plain values, and are read with ``weights_only``: a
planted pickle does not run.
"""

import hashlib
import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from byol_core.config import trainer_digest
from byol_core.files import (
    make_folder,
    publish_folder,
    read_bytes,
    read_json,
    remove_tree,
    write_atomic,
    write_json,
)
from byol_core.train.device import device_model

_STATE = "state.pt"
_MANIFEST = "manifest.json"
KEPT = 2


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

    def save(self, step: int, state: dict[str, Any], numerics: dict[str, Any]) -> None:
        """Publish the state before `step`, then drop all but the two newest."""
        path = self.folder / f"step-{step:08d}.{self.writer}"
        if path.exists():
            return
        save_state(path, state, {"step": step, "numerics": numerics})
        for old in self._newest_first()[KEPT:]:
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


def save_state(path: Path, state: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Publish `state` as folder `path`; an earlier folder of that name stays.

    Raises:
        OSError: the disk is full or fails; then nothing is published.
    """
    aside = path.with_name(f".{path.name}.tmp")
    remove_tree(aside)
    try:
        make_folder(aside)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        write_atomic(aside / _STATE, content)

        hashes = {_STATE: hashlib.sha256(content).hexdigest()}
        write_json(aside / _MANIFEST, {**manifest, "sha256": hashes})
        publish_folder(aside, path)
    except BaseException:
        remove_tree(aside)
        raise


def load_state(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return (state, manifest) of a folder, or None where it is missing or damaged."""
    try:
        manifest = read_json(path / _MANIFEST)
        content = read_bytes(path / _STATE)
        if manifest is None or hashlib.sha256(content).hexdigest() != manifest["sha256"][_STATE]:
            return None

        # Only tensors and plain values, whoever has written the file.
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return state, manifest
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, pickle.UnpicklingError):
        return None


def numerics(device: torch.device) -> dict[str, Any]:
    """Return what must be equal for a resumed run to equal an uninterrupted one bit for bit.

    What an older checkpoint does not say is not equal to anything.
    """
    return {
        "device": device.type,
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
    """Return the versions of what decodes images, draws numbers and fits the probe."""
    return {name: version(name) for name in ("numpy", "pillow", "scikit-learn", "torchvision")}
