"""Opens data sets: what BYOL trains on, and what its encoder is judged on.

Every data set becomes a `Dataset` of sources; the trainer knows no other form. Small ones lie in
memory as uint8 tensors; photos are decoded on demand (``photos``). ``datasets.locate`` says where
the files lie.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from byol_core.config import DatasetConfig
from byol_core.datasets.errors import DataError
from byol_core.datasets.facts import DIGITS_TRAIN
from byol_core.datasets.locate import locate, locate_photos
from byol_core.datasets.node_copy import copy_photos_to_node, copy_to_node
from byol_core.datasets.npz import ARRAYS, UNREADABLE, check_arrays, check_labels, not_an_npz
from byol_core.images.memory import Dataset, Split
from byol_core.images.photos import in_stable_order
from byol_core.streams import stream

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
        listing = copy_photos_to_node(locate_photos(dataset))
        photos, test_photos = in_stable_order(listing, dataset.side, threads)
        train_photos = photos.first(dataset.limit)
        return Dataset(train_photos, train_photos, test_photos)

    readers: dict[str, Callable[[list[Path]], tuple[Split, Split, Split]]]
    readers = {"digits": _digits, "arrays": _arrays, "stl10": _stl10}
    pretrain, train, test = readers[dataset.name](copy_to_node(locate(dataset)))
    return Dataset(pretrain.first(dataset.limit), train.first(dataset.limit), test)


def batches(n: int, batch_size: int, seed: int, epoch: int) -> Iterator[Tensor]:
    """Yield the rows of each batch of an epoch, (batch_size,) int64; a partial batch is dropped."""
    order = torch.from_numpy(stream(seed, "order", epoch).permutation(n))
    yield from torch.split(order[: n - n % batch_size], batch_size)


def _digits(_: list[Path]) -> tuple[Split, Split, Split]:
    """Return scikit-learn's handwritten digits, 8×8 pixels made 16×16."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16.0
    large = F.interpolate(small, size=DIGITS_SIDE_PX, mode="bilinear", align_corners=False)
    images = (large * 255).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()

    # A hash of the index splits them the same way for ever.
    order = sorted(range(len(images)), key=lambda i: hashlib.sha256(b"digits %d" % i).digest())
    train_rows = order[:DIGITS_TRAIN]
    test_rows = order[DIGITS_TRAIN:]
    train = Split(images[train_rows], labels[train_rows])
    test = Split(images[test_rows], labels[test_rows])
    return train, train, test


def _arrays(files: list[Path]) -> tuple[Split, Split, Split]:
    """Return the images of an .npz.

    It holds x_train and x_test, uint8 (N, H, W, 3) or (N, H, W), and y_train and y_test, integers
    (N,).
    """
    file = files[0]
    try:
        with np.load(file, allow_pickle=False) as npz:
            arrays = {name: npz[name] for name in npz.files if name in ARRAYS}
    except (*UNREADABLE, OSError):
        raise not_an_npz(file) from None
    check_arrays(file, {name: (array.dtype, array.shape) for name, array in arrays.items()})
    check_labels(file, {split: arrays[f"y_{split}"] for split in ("train", "test")})
    train = _split_of(arrays["x_train"], arrays["y_train"])
    test = _split_of(arrays["x_test"], arrays["y_test"])
    return train, train, test


def _split_of(x: np.ndarray, y: np.ndarray) -> Split:
    """Return the images and labels of a split as tensors."""
    # Channels last → channels first; a grey image gets its one channel.
    if x.ndim == 3:
        x = x[..., None]
    images = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()
    return Split(images, torch.from_numpy(y.astype(np.int64)))


def _stl10(files: list[Path]) -> tuple[Split, Split, Split]:
    """Return STL-10, read by torchvision.

    105,000 images, train and unlabeled, are there to pretrain on, 5,000 and 8,000 labelled ones to
    judge an encoder.
    """
    from torchvision.datasets import STL10

    def read(split: str) -> Split:
        part = STL10(str(files[0].parent.parent), split=split)
        labels = np.asarray(part.labels, dtype=np.int64)
        return Split(torch.from_numpy(part.data), torch.from_numpy(labels))

    try:
        return read("train+unlabeled"), read("train"), read("test")
    except RuntimeError as error:
        folder = str(files[0].parent)
        raise DataError(
            f"STL-10 in {folder!r} is damaged: {error}; delete it and run: sweep data fetch stl10"
        ) from None
