"""Features of a frozen encoder, of augmented or of clean images."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from byol_core.config import Augment
from byol_core.images.source import Batch, Request, Source

BATCH = 256


def clean_features(encoder: nn.Module, source: Source, how: Augment) -> Tensor:
    """Return the features, (N, F) float32 on the CPU, of all images as they are."""
    device = device_of(encoder)
    requests = [Request(part, how) for part in torch.split(torch.arange(len(source)), BATCH)]
    return features(encoder, source, requests, lambda batch, _: batch.clean(how, device))


@torch.no_grad()
def features(
    encoder: nn.Module,
    source: Source,
    requests: list[Request],
    pixels: Callable[[Batch, int], Tensor],
) -> Tensor:
    """Return (N, F) float32 on the CPU; `pixels` gets each batch and its number."""
    return torch.cat(
        [encoder(pixels(batch, i)).float().cpu() for i, batch in enumerate(source.read(requests))]
    )


def device_of(encoder: nn.Module) -> torch.device:
    """Return where an encoder computes."""
    return next(encoder.parameters()).device
