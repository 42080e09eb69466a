"""Computes the features that a frozen encoder gives augmented or clean images."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from byol_core.config import Augment
from byol_core.images.source import Batch, Request, Source

BATCH = 256


def clean_features(encoder: nn.Module, source: Source, augment: Augment) -> Tensor:
    """Return the features, (N, F) float32 on the CPU, of all images as they are."""
    device = device_of(encoder)
    requests = [Request(rows, augment) for rows in torch.split(torch.arange(len(source)), BATCH)]
    return features(encoder, source, requests, lambda batch, _: batch.clean(augment, device))


@torch.no_grad()
def features(
    encoder: nn.Module,
    source: Source,
    requests: list[Request],
    pixels: Callable[[Batch, int], Tensor],
) -> Tensor:
    """Return (N, F) float32 on the CPU; `pixels` gets each batch and its number."""
    parts = []
    for number, batch in enumerate(source.read(requests)):
        parts.append(encoder(pixels(batch, number)).float().cpu())
    return torch.cat(parts)


def device_of(encoder: nn.Module) -> torch.device:
    """Return where an encoder computes."""
    return next(encoder.parameters()).device
