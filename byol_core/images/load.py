"""Data sets: what BYOL trains on, and what its encoder is judged on. Small ones lie in memory as
uint8 tensors.

Every data set becomes an `Dataset` of sources; the trainer knows no other form. Where the files
lie: ``config.locate``; photos that are decoded on demand: ``photos``.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from byol_core.config import DatasetConfig
from byol_core.datasets.errors import DataError
from byol_core.datasets.locate import locate, locate_photos
from byol_core.datasets.node_copy import copy_photos_to_node, copy_to_node
from byol_core.images.memory import Dataset, Split
from byol_core.images.photos import in_stable_order
from byol_core.streams import stream

DIGITS_TRAIN = 1400
DIGITS_SIDE_PX = 16


def load(dataset: DatasetConfig, threads: int = 0) -> Dataset:
    """Read a data set, or list it where it is decoded on demand.

    Args:
        dataset: which, and how many of its training images.
        threads: that decode, where images are not held in memory; 0 for one per core.

    Raises:
        DataMissingError: its files are not there.
        DataError: they do not hold what they should.
    """
    if dataset.name == "folder":
        photos, test_photos = in_stable_order(
            copy_photos_to_node(locate_photos(dataset)), dataset.side, threads
        )
        some = photos.first(dataset.limit)
        return Dataset(some, some, test_photos)
    readers: dict[str, Callable[[list[Path]], tuple[Split, Split, Split]]]
    readers = {"digits": _digits, "arrays": _arrays, "stl10": _stl10}
    pretrain, train, test = readers[dataset.name](copy_to_node(locate(dataset)))
    return Dataset(pretrain.first(dataset.limit), train.first(dataset.limit), test)


def batches(n: int, batch_size: int, seed: int, epoch: int) -> Iterator[Tensor]:
    """Yield the index batches of an epoch, each (batch_size,) int64; the last partial batch is
    dropped.
    """
    order = torch.from_numpy(stream(seed, "order", epoch).permutation(n))
    yield from torch.split(order[: n - n % batch_size], batch_size)


def _digits(_: list[Path]) -> tuple[Split, Split, Split]:
    """scikit-learn's 8×8 handwritten digits, bilinear at 16×16, split by a hash of the index
    (stable for ever).
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16.0
    large = F.interpolate(small, size=DIGITS_SIDE_PX, mode="bilinear", align_corners=False)
    images, labels = (large * 255).round().to(torch.uint8), torch.from_numpy(bunch.target).long()
    order = sorted(range(len(images)), key=lambda i: hashlib.sha256(b"digits %d" % i).digest())
    train, test = order[:DIGITS_TRAIN], order[DIGITS_TRAIN:]
    split = Split(images[train], labels[train])
    return split, split, Split(images[test], labels[test])


_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def _arrays(files: list[Path]) -> tuple[Split, Split, Split]:
    """An .npz with x_train, x_test as uint8 (N, H, W, 3) or (N, H, W), and y_train, y_test as
    integers (N,).
    """
    file = files[0]
    try:
        with np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in _ARRAYS if name not in arrays]
            parts = {name: arrays[name] for name in _ARRAYS if name not in missing}
    except (ValueError, OSError, zipfile.BadZipFile):
        raise DataError(
            f"{str(file)!r} is no .npz with x_train, y_train, x_test, y_test; make one with numpy.savez"
        ) from None
    if missing:
        raise DataError(
            f"{str(file)!r} holds no {', '.join(missing)}; it must hold {', '.join(_ARRAYS)}"
        )
    train, test = (
        _split_of(file, parts[f"x_{name}"], parts[f"y_{name}"]) for name in ("train", "test")
    )
    return train, train, test


def _split_of(file: Path, x: np.ndarray, y: np.ndarray) -> Split:
    square = x.ndim in (3, 4) and x.shape[1] == x.shape[2] and (x.ndim == 3 or x.shape[3] in (1, 3))
    if x.dtype != np.uint8 or not square:
        allowed = "uint8 (N, side, side) or (N, side, side, 1 or 3)"
        raise DataError(f"{str(file)!r}: images are {x.dtype} {x.shape}; they must be {allowed}")
    if y.shape != (len(x),) or not np.issubdtype(y.dtype, np.integer):
        raise DataError(
            f"{str(file)!r}: labels are {y.dtype} {y.shape}; they must be integers ({len(x)},)"
        )
    channels_last = torch.from_numpy(x if x.ndim == 4 else x[..., None])
    return Split(
        channels_last.permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y.astype(np.int64))
    )


def _stl10(files: list[Path]) -> tuple[Split, Split, Split]:
    """STL-10 through torchvision: 105,000 images train+unlabeled to pretrain on, 5,000 + 8,000
    labelled to judge.
    """
    from torchvision.datasets import STL10

    def read(split: str) -> Split:
        part = STL10(str(files[0].parent.parent), split=split)
        return Split(
            torch.from_numpy(part.data), torch.from_numpy(np.asarray(part.labels, dtype=np.int64))
        )

    try:
        return read("train+unlabeled"), read("train"), read("test")
    except RuntimeError as error:
        where = str(files[0].parent)
        raise DataError(
            f"STL-10 in {where!r} is damaged: {error}; delete it and run: sweep data fetch stl10"
        ) from None
