"""Reads photos on the disk as a source: threads decode a few batches ahead of the step.

No more than those are held. Which pixels come out depends on the request alone, not on the number
of threads or on what was read before.
"""

import os
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from byol_core.datasets.photo_folder import (
    PhotoFolder,
    PhotoSplit,
    class_of,
    classes_of,
    mixed,
)
from byol_core.images.decode import Pixels, decode
from byol_core.images.source import Cut, Request

BATCHES_AHEAD = 2

# As many are read at a time; each more is a compressed file in memory, for every thread.
_PHOTOS_A_TASK = 4


@dataclass(frozen=True)
class Photos:
    """Reads the photos of a split.

    Attributes:
        folder: of the split.
        names: of the files below it, in the data set's order.
        labels: (N,) int64.
        side: of a view, in pixels.
        threads: that decode.
    """

    folder: Path
    names: Sequence[str]
    labels: Tensor
    side: int
    threads: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return 3 channels, as all photos are read as RGB, and the sides of a view."""
        return 3, self.side, self.side

    def __len__(self) -> int:
        return len(self.names)

    def first(self, n: int) -> "Photos":
        """Return the first n photos; all of them for n = 0."""
        if not n:
            return self
        return replace(self, names=self.names[:n], labels=self.labels[:n])

    def read(self, requests: Iterable[Request]) -> Generator[Cut, None, None]:
        """Yield a batch for each request, in order; decode up to `BATCHES_AHEAD` more meanwhile.

        Raises:
            DataError: a file holds no whole image.
        """
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="decode")
        ahead: deque[_Decoding] = deque()
        try:
            for request in requests:
                ahead.append(self._start(pool, request))
                if len(ahead) > BATCHES_AHEAD:
                    yield ahead.popleft().batch()
            while ahead:
                yield ahead.popleft().batch()
        finally:
            pool.shutdown(cancel_futures=True)

    def _start(self, pool: ThreadPoolExecutor, request: Request) -> "_Decoding":
        """Have the threads fill in the pixels of a batch."""
        files = [self.folder / self.names[row] for row in request.rows.tolist()]
        views = max(1, len(request.views))
        pixels = np.empty((views, len(files), *self.shape), dtype=np.uint8)

        def fill(start: int) -> None:
            task = slice(start, start + _PHOTOS_A_TASK)
            draws = [view.rows(task) for view in request.views]
            pixels[:, task] = decode(files[task], draws, request.augment, self.side)

        starts = range(0, len(files), _PHOTOS_A_TASK)
        tasks = [pool.submit(fill, start) for start in starts]
        return _Decoding(pixels, self.labels[request.rows], request, tasks)


@dataclass(frozen=True)
class _Decoding:
    """Holds a batch on its way: (views, B, 3, side, side) pixels, and the tasks that fill them."""

    pixels: Pixels
    labels: Tensor
    request: Request
    tasks: list[Future[None]]

    def batch(self) -> Cut:
        """Wait for the tasks; return the batch."""
        for task in self.tasks:
            task.result()
        return Cut(torch.from_numpy(self.pixels), self.labels, self.request)


def in_stable_order(listing: PhotoFolder, side: int, threads: int) -> tuple[Photos, Photos]:
    """Return both splits as sources, each in the order of the sha256 of its names.

    That order mixes the classes, and is the same for ever.

    Args:
        listing: whose training classes, in alphabetical order, are the labels.
        side: of a view, in pixels.
        threads: that decode; 0 for one per core.

    Raises:
        DataError: a test photo's class has no training photos.
    """
    labels = {name: label for label, name in enumerate(classes_of(listing))}
    decoders = threads or len(os.sched_getaffinity(0))
    train = _source(listing.train, labels, side, decoders)
    test = _source(listing.test, labels, side, decoders)
    return train, test


def _source(split: PhotoSplit, labels: Mapping[str, int], side: int, threads: int) -> Photos:
    photos = mixed(split.photos)
    names = [photo.name for photo in photos]
    labels_in_order = torch.tensor([labels[class_of(photo)] for photo in photos])
    return Photos(split.folder, names, labels_in_order, side, threads)
