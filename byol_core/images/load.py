"""Opens data sets: what BYOL trains on, and what its encoder is judged on.

Every data set becomes a `Dataset` of sources; the trainer knows no other form. Small ones lie in
memory as uint8 tensors, each by a reader of its own (`READERS`); photos are decoded on demand
(``photos``). ``datasets.locate`` says where the files lie.
"""

import gzip
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from byol_core.config import DatasetConfig
from byol_core.datasets.archives import differing
from byol_core.datasets.errors import DataError
from byol_core.datasets.facts import check_classes
from byol_core.datasets.kinds import DIGITS_SIDE_PX, DIGITS_TRAIN
from byol_core.datasets.locate import find
from byol_core.datasets.node_copy import copy_own_to_node, copy_photos_to_node, copy_to_node
from byol_core.datasets.npz import ARRAYS, UNREADABLE, check_arrays, check_labels, not_an_npz
from byol_core.datasets.own_files import OwnFiles
from byol_core.datasets.photo_folder import PhotoFolder
from byol_core.datasets.published import PUBLISHED
from byol_core.images.memory import Dataset, Split
from byol_core.images.own import own_arrays
from byol_core.images.photos import in_stable_order
from byol_core.streams import stream

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

_held: dict[DatasetConfig, Dataset] = {}
"""What was read ahead."""

Splits = tuple[Split, Split, Split]
"""What a reader returns: images to train on without labels, and those to judge an encoder by."""


def load(dataset: DatasetConfig, threads: int = 0) -> Dataset:
    """Read a data set, or list it where it is decoded on demand.

    Args:
        dataset: which, and how many of its training images.
        threads: that decode, where images are not held in memory; 0 for one per core.

    Raises:
        DataMissingError: its files are not there.
        DataError: they do not hold what they should.
        PlugInError: a class of the user's own does not give images and labels.
        ConfigError: the limit leaves too few of its images.
    """
    if dataset in _held:
        return _held[dataset]
    files = find(dataset)
    if isinstance(files, PhotoFolder):
        listing = copy_photos_to_node(files)
        photos, test_photos = in_stable_order(listing, dataset.side, threads)
        train_photos = photos.first(dataset.limit)
        return Dataset(train_photos, train_photos, test_photos)

    if isinstance(files, OwnFiles):
        pretrain, train, test = _own(dataset, files)
    else:
        pretrain, train, test = READERS[dataset.name](copy_to_node(files))
    return Dataset(pretrain.first(dataset.limit), train.first(dataset.limit), test)


def hold(dataset: DatasetConfig) -> None:
    """Read a data set for the processes that will be forked from this one, if it lies in memory.

    They share that memory. Photos, and a class of the user's own, are left to them.

    Raises:
        Exception: what `load` raises.
    """
    if dataset.name in READERS:
        _held[dataset] = load(dataset, threads=1)


def let_go() -> None:
    """Forget what is held: `load` reads the files again."""
    _held.clear()


def batches(n: int, batch_size: int, seed: int, epoch: int) -> Iterator[Tensor]:
    """Yield the rows of each batch of an epoch, (batch_size,) int64; a partial batch is dropped."""
    order = torch.from_numpy(stream(seed, "order", epoch).permutation(n))
    if n >= batch_size:
        yield from torch.split(order[: n - n % batch_size], batch_size)


def _digits(files: list[Path]) -> Splits:
    """Return scikit-learn's handwritten digits, 8×8 pixels made 16×16.

    Its file is read here, as importing scikit-learn takes a second and more.
    """
    # A line holds the pixels of an image, 0 to 16, and its digit.
    with gzip.open(files[0], "rt") as file:
        lines = torch.from_numpy(np.loadtxt(file, delimiter=","))
    small = lines[:, :-1].float().reshape(-1, 1, 8, 8) / 16.0
    large = F.interpolate(small, size=DIGITS_SIDE_PX, mode="bilinear", align_corners=False)
    images = (large * 255).round().to(torch.uint8)
    labels = lines[:, -1].long()

    # A hash of the index splits them the same way for ever.
    order = sorted(range(len(images)), key=lambda i: hashlib.sha256(b"digits %d" % i).digest())
    train_rows = order[:DIGITS_TRAIN]
    test_rows = order[DIGITS_TRAIN:]
    train = Split(images[train_rows], labels[train_rows])
    test = Split(images[test_rows], labels[test_rows])
    return train, train, test


def _arrays(files: list[Path]) -> Splits:
    """Return the images of an .npz.

    It holds x_train and x_test, uint8 (N, H, W, 3) or (N, H, W), and y_train and y_test, integers
    (N,), −1 where there is no label.
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


def _own(dataset: DatasetConfig, files: OwnFiles) -> Splits:
    """Return the images that a class of the user's own gives; it may leave out those to train on.

    Raises:
        ConfigError: the limit leaves too few images to judge an encoder by.
        DataError: there are no others.
    """
    arrays = own_arrays(dataset.name, copy_own_to_node(files))
    train = _split_of(arrays["x_train"], arrays["y_train"])
    pretrain = train
    if "x_pretrain" in arrays:
        pretrain = _split_of(arrays["x_pretrain"], arrays["y_pretrain"])

    # A plan could not tell.
    check_classes(dataset, train.first(dataset.limit).labels.tolist())
    return pretrain, train, _split_of(arrays["x_test"], arrays["y_test"])


def _stl10(files: list[Path]) -> Splits:
    """Return STL-10, read by torchvision.

    105,000 images, train and unlabeled, are there to pretrain on, 5,000 and 8,000 labelled ones to
    judge an encoder.
    """
    from torchvision.datasets import STL10

    root = files[0].parent.parent
    with _naming_the_damage("stl10", files):
        train_and_unlabeled = STL10(root, split="train+unlabeled")
        test = STL10(root, split="test")

    # The labelled images come first.
    pretrain = _split_of_channels_first(train_and_unlabeled.data, train_and_unlabeled.labels)
    train = pretrain.first(int((pretrain.labels >= 0).sum()))
    return pretrain, train, _split_of_channels_first(test.data, test.labels)


def _cifar10(files: list[Path]) -> Splits:
    """Return CIFAR-10, read by torchvision."""
    from torchvision.datasets import CIFAR10

    return _cifar("cifar10", CIFAR10, files)


def _cifar100(files: list[Path]) -> Splits:
    """Return CIFAR-100 with its 100 fine classes, read by torchvision."""
    from torchvision.datasets import CIFAR100

    return _cifar("cifar100", CIFAR100, files)


def _cifar(name: str, read: "type[CIFAR10]", files: list[Path]) -> Splits:
    """Return CIFAR images; torchvision compares every MD5 before it unpickles anything."""
    root = files[0].parent.parent
    with _naming_the_damage(name, files):
        train, test = (read(root, train=is_train) for is_train in (True, False))
    train_split = _split_of(train.data, np.asarray(train.targets))
    return train_split, train_split, _split_of(test.data, np.asarray(test.targets))


def _fashion_mnist(files: list[Path]) -> Splits:
    """Return Fashion-MNIST, read by torchvision.

    It reads unpacked files alone, of which no MD5 is published: they are unpacked here from those
    that are checked, to a folder that is gone afterwards.
    """
    from torchvision.datasets import FashionMNIST

    _check_published("fashion_mnist", files)
    with TemporaryDirectory(prefix="byol-sweeps-") as root:
        raw = Path(root) / PUBLISHED["fashion_mnist"].folder
        raw.mkdir(parents=True)
        for file in files:
            (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
        train, test = (FashionMNIST(root, train=is_train) for is_train in (True, False))
    train_split = _split_of(train.data.numpy(), train.targets.numpy())
    return train_split, train_split, _split_of(test.data.numpy(), test.targets.numpy())


def _split_of(x: np.ndarray, y: np.ndarray) -> Split:
    """Return images (N, H, W, C) or (N, H, W), and their labels, as tensors."""
    # Channels last → channels first; a grey image gets its one channel.
    if x.ndim == 3:
        x = x[..., None]
    return _split_of_channels_first(x.transpose(0, 3, 1, 2), y)


def _split_of_channels_first(x: np.ndarray, y: np.ndarray) -> Split:
    images = torch.from_numpy(x).contiguous()
    return Split(images, torch.from_numpy(y.astype(np.int64)))


@contextmanager
def _naming_the_damage(name: str, files: list[Path]) -> Iterator[None]:
    """Have torchvision's complaint name the files that are at fault.

    Raises:
        DataError: a file is not the published one.
    """
    try:
        yield
    except RuntimeError as error:
        _check_published(name, files)
        raise DataError(f"{PUBLISHED[name].title} cannot be read: {error}") from None


def _check_published(name: str, files: list[Path]) -> None:
    """Refuse files that are not the published ones.

    Raises:
        DataError: it names them.
    """
    damaged = [file.name for file in differing(name, files)]
    if damaged:
        raise DataError(
            f"{PUBLISHED[name].title} in {str(files[0].parent)!r} is damaged: "
            f"{', '.join(damaged)} has another MD5 than is published; "
            f"delete it and run: sweep data fetch {name}"
        )


READERS: dict[str, Callable[[list[Path]], Splits]] = {
    "digits": _digits,
    "arrays": _arrays,
    "stl10": _stl10,
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "fashion_mnist": _fashion_mnist,
}
"""Name of a data set that is held in memory → what reads its files."""
