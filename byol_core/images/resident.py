"""Keeps images on the GPU that trains: small data sets whole, as the uint8 pixels that they are."""

from dataclasses import replace

import torch

from byol_core.device import to_device
from byol_core.images.memory import Dataset, Split
from byol_core.images.source import Source

_MOST = 0.3
"""The part of the memory that is free which images may take: networks and other runs need the rest."""


def resident(dataset: Dataset, device: torch.device) -> Dataset:
    """Return the data set with its images on a GPU, where they lie in memory and fit there.

    A step then moves its rows and its draws alone. On a processor, for photos that are decoded on
    demand, and where they do not fit, it is the data set as it was.
    """
    splits = {id(split): split for split in (dataset.pretrain, dataset.train, dataset.test)}
    if device.type != "cuda" or not _fit([*splits.values()], device):
        return dataset

    # What is one split stays one.
    moved = {key: _on(split, device) for key, split in splits.items()}
    return Dataset(*(moved[id(split)] for split in (dataset.pretrain, dataset.train, dataset.test)))


def _fit(splits: list[Source], device: torch.device) -> bool:
    sizes_bytes = [split.images.nbytes for split in splits if isinstance(split, Split)]
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return sum(sizes_bytes) <= _MOST * free_bytes


def _on(split: Source, device: torch.device) -> Source:
    if not isinstance(split, Split):
        return split
    return replace(split, images=to_device(split.images, device))
