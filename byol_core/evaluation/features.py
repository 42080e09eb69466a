"""Computes the features that a frozen encoder gives augmented or clean images."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from byol_core.config import Augment
from byol_core.images.source import Batch, Request, Source

BATCH = 256


class NotFiniteError(ArithmeticError):
    """An encoder gives features that are infinite or no numbers, so nothing can be judged."""


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
    """Return (N, F) float32 on the CPU; `pixels` gets each batch and its number.

    Raises:
        NotFiniteError: a feature is not finite.
    """
    parts = []
    for number, batch in enumerate(source.read(requests)):
        parts.append(encoder(pixels(batch, number)).float().cpu())
    joined = torch.cat(parts)
    if not joined.isfinite().all():
        raise NotFiniteError("the encoder's features are not finite")
    return joined


def device_of(encoder: nn.Module) -> torch.device:
    """Return where an encoder computes."""
    return next(encoder.parameters()).device
