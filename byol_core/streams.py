"""Gives random numbers by name: each draw depends on (seed, names) alone.

It never depends on what was drawn before. So a run resumes exactly without storing generator
states, and two variants with one seed see the same weights, the same order of images and the same
augmentations wherever they have them in common. A global generator shifts as soon as one variant
has a bias that another lacks.
"""

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray
from torch import Tensor

Name = str | int


class _Key(ISeedSequence):
    """Gives a generator its key, so that it asks the system for no seed, which costs more."""

    def __init__(self, digest: bytes) -> None:
        self._words = np.frombuffer(digest, "<u8")

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        """Return the first words of 64 bits; of others there are none."""
        assert dtype == np.uint64
        return self._words[:n_words]


def stream(seed: int, *names: Name) -> np.random.Generator:
    """Return the generator of (seed, names): counter-based Philox, keyed by their sha256."""
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    bits = np.random.Philox(_Key(digest))  # type: ignore[arg-type]  # numpy takes any ISeedSequence
    return np.random.Generator(bits)


def uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Return float32 draws from U[low, high)."""
    return torch.from_numpy(rng.random(shape, dtype=np.float32)).mul_(high - low).add_(low)


def normal(rng: np.random.Generator, std: float, *shape: int) -> Tensor:
    """Return float32 draws from N(0, std²)."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).mul_(std)


def happens(rng: np.random.Generator, probability: float, n: int) -> Tensor:
    """Return (n,) bool: for each image, whether an operation with this probability happens."""
    return torch.from_numpy(rng.random(n, dtype=np.float32)) < probability
