"""Hashes the code that decides what a run trains and measures, so that two runs can be compared.

A commit says too much: it changes with a comment in a YAML file or a word of the command line. The
digest covers the modules that train or evaluate, and those of the settings that they read.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_TRAINS = (
    "augment",
    "config/architectures.py",
    "config/augment_config.py",
    "config/canonical.py",
    "config/effect.py",
    "config/fields.py",
    "config/network_config.py",
    "config/objective_config.py",
    "config/train_config.py",
    "protocols.py",
    "datasets/kinds.py",
    "datasets/npz.py",
    "datasets/photo_folder.py",
    "device.py",
    "evaluation",
    "images",
    "losses",
    "metrics",
    "networks",
    "optim",
    "kept_networks.py",
    "plugins.py",
    "precision.py",
    "streams.py",
    "train",
)
"""Files and folders of byol_core. Presets are not among them: a run holds its whole config."""


@cache
def trainer_digest() -> str:
    """Return the sha256 of the trainer that this process imports, as it is at the first call."""
    return digest_of(_PACKAGE)


def digest_of(package: Path) -> str:
    """Return the sha256 over names and bytes of the trainer's modules in a copy of byol_core."""
    digest = hashlib.sha256()
    for file in _files(package):
        content = file.read_bytes()
        name = file.relative_to(package).as_posix()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _files(package: Path) -> Iterator[Path]:
    """Yield the trainer's modules, in an order that is always the same."""
    for name in _TRAINS:
        path = package / name
        if path.suffix == ".py":
            yield path
        else:
            yield from sorted(path.rglob("*.py"))
