"""Photos on the disk as a source: decoded by threads, a few batches ahead of the step, never held.

Which pixels come out depends on the request alone, not on the number of threads or on what was read
before.
"""

import hashlib
import os
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from byol_core.augment.crops import draw_crops
from byol_core.datasets.errors import DataError
from byol_core.datasets.photo_folder import Photo, PhotoFolder, PhotoSplit
from byol_core.images.decode import Pixels, decode
from byol_core.images.source import Cut, Request

BATCHES_AHEAD = 2
_PHOTOS_A_TASK = 16


@dataclass(frozen=True)
class Photos:
    """The photos of a split.

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
    def channels(self) -> int:
        """3: all photos are read as RGB."""
        return 3

    def __len__(self) -> int:
        return len(self.names)

    def first(self, n: int) -> "Photos":
        """Return the first n photos; all of them for n = 0."""
        return replace(self, names=self.names[:n], labels=self.labels[:n]) if n else self

    def read(self, requests: Iterable[Request]) -> Generator[Cut, None, None]:
        """Yield a batch for each request, in order; up to `BATCHES_AHEAD` more are decoded
        meanwhile.

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
        rows = request.rows.tolist()
        by_view = [draw_crops(request.how, rng, len(rows)) for rng in request.crops]
        by_photo = list(zip(*by_view, strict=True)) or [()] * len(rows)
        pixels = np.empty(
            (max(1, len(by_view)), len(rows), 3, self.side, self.side), dtype=np.uint8
        )

        def fill(start: int) -> None:
            for i in range(start, min(start + _PHOTOS_A_TASK, len(rows))):
                for view, cut in enumerate(
                    decode(self.folder / self.names[rows[i]], by_photo[i], self.side)
                ):
                    pixels[view, i] = cut

        return _Decoding(
            pixels, [pool.submit(fill, start) for start in range(0, len(rows), _PHOTOS_A_TASK)]
        )


@dataclass(frozen=True)
class _Decoding:
    """A batch on its way: (views, B, 3, side, side) pixels and the tasks that fill them."""

    pixels: Pixels
    tasks: list[Future[None]]

    def batch(self) -> Cut:
        """Wait for the tasks."""
        for task in self.tasks:
            task.result()
        return Cut(tuple(torch.from_numpy(view) for view in self.pixels))


def in_stable_order(listing: PhotoFolder, side: int, threads: int) -> tuple[Photos, Photos]:
    """Return both splits as sources, each in the order of the sha256 of its names: mixed, and the
    same for ever.

    Args:
        listing: whose training classes, in alphabetical order, are the labels.
        side: of a view, in pixels.
        threads: that decode; 0 for one per core.

    Raises:
        DataError: a test photo's class has no training photos.
    """
    labels = {
        name: label
        for label, name in enumerate(sorted({_class_of(photo) for photo in listing.train.photos}))
    }
    for photo in listing.test.photos:
        if _class_of(photo) not in labels:
            where = f"{str(listing.test.folder)!r} holds class {_class_of(photo)!r}"
            raise DataError(
                f"{where}, of which {str(listing.train.folder)!r} has no photos; both must hold the same classes"
            )
    decoders = threads or len(os.sched_getaffinity(0))
    return _mixed(listing.train, labels, side, decoders), _mixed(
        listing.test, labels, side, decoders
    )


def _mixed(split: PhotoSplit, labels: Mapping[str, int], side: int, threads: int) -> Photos:
    photos = sorted(
        split.photos, key=lambda photo: hashlib.sha256(os.fsencode(photo.name)).digest()
    )
    classes = torch.tensor([labels[_class_of(photo)] for photo in photos])
    return Photos(split.folder, [photo.name for photo in photos], classes, side, threads)


def _class_of(photo: Photo) -> str:
    return photo.name.split("/", 1)[0]
