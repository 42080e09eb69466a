"""Tells every batch norm of a network over what its statistics are, and when they stand still."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from byol_core.device import to_device
from byol_core.networks.batch_norm import BatchNorm


def batch_norms(network: nn.Module) -> list[BatchNorm]:
    """Return every batch norm of a network."""
    return [layer for layer in network.modules() if isinstance(layer, BatchNorm)]


def set_statistics(network: nn.Module, target: Literal["own", "ema", "eval"]) -> None:
    """Say whose running averages a network keeps: `batch_norm.target`.

    Args:
        network: the target.
        target: own: of its own batches. ema: nothing but what is written into them. eval: the same,
            and they normalize while training too, as in EMAN (arXiv 2101.08482).
    """
    for layer in batch_norms(network):
        layer.tracks = target == "own"
        if target == "eval":
            layer.source = "running"


def set_frozen(network: nn.Module, frozen: bool) -> None:
    """Have running averages normalize and stand still from now on, or let them go on."""
    for layer in batch_norms(network):
        layer.frozen = frozen


def set_order(network: nn.Module, order: NDArray[np.int64]) -> None:
    """Have groups of images form in this order of a part's images (MoCo's shuffling).

    The first call makes the tensors; later ones write into them, so that a captured step sees them.
    """
    layers = batch_norms(network)
    if not layers:
        return
    first = layers[0]
    if first.order is None or first.inverse_order is None:
        device = first.running_mean.device
        first.order = torch.empty(len(order), dtype=torch.int64, device=device)
        first.inverse_order = torch.empty_like(first.order)
    device = first.order.device
    first.order.copy_(to_device(torch.from_numpy(order), device))
    first.inverse_order.copy_(to_device(torch.from_numpy(np.argsort(order)), device))

    # All layers share them.
    for layer in layers:
        layer.order = first.order
        layer.inverse_order = first.inverse_order


@contextmanager
def averaging(network: nn.Module) -> Iterator[None]:
    """Have running averages become the plain mean over all batches that pass within the context.

    An encoder that is never trained gets its statistics so; the batches normalize themselves.
    """
    layers = batch_norms(network)
    with _normalizing_by_the_batch(layers):
        for layer in layers:
            layer.averaged = 0
        try:
            yield
        finally:
            for layer in layers:
                layer.averaged = None


@contextmanager
def keeping_averages(network: nn.Module) -> Iterator[None]:
    """Have a forward pass normalize by the whole batch and leave the running averages alone."""
    layers = batch_norms(network)
    with _normalizing_by_the_batch(layers):
        for layer in layers:
            layer.tracks = False
            layer.group = 0
        yield


@contextmanager
def _normalizing_by_the_batch(layers: list[BatchNorm]) -> Iterator[None]:
    """Have batches normalize themselves, and give every layer its settings back in the end."""
    before = [(layer.source, layer.group, layer.tracks, layer.frozen) for layer in layers]
    for layer in layers:
        layer.source = "batch"
        layer.frozen = False
    try:
        yield
    finally:
        for layer, settings in zip(layers, before, strict=True):
            layer.source, layer.group, layer.tracks, layer.frozen = settings
