"""Gives random numbers by name: each draw depends on (seed, names) alone.

It never depends on what was drawn before. So a run resumes exactly without storing generator
states, and two variants with one seed see the same weights, the same order of images and the same
augmentations wherever they have them in common. A global generator shifts as soon as one variant
has a bias that another lacks.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor

Name = str | int


def stream(seed: int, *names: Name) -> np.random.Generator:
    """Return the generator of (seed, names): counter-based Philox, keyed by their sha256."""
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Return float32 draws from U[low, high)."""
    return torch.from_numpy(rng.random(shape, dtype=np.float32)) * (high - low) + low


def normal(rng: np.random.Generator, std: float, *shape: int) -> Tensor:
    """Return float32 draws from N(0, std²)."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) * std


def happens(rng: np.random.Generator, probability: float, n: int) -> Tensor:
    """Return (n,) bool: for each image, whether an operation with this probability happens."""
    return uniform(rng, 0.0, 1.0, n) < probability
