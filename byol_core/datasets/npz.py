"""Knows what an .npz of images must hold, and reads what it says of itself without its images."""

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byol_core.datasets.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
"""What an .npz of images holds."""

SPLITS = ("train", "test", "pretrain")
"""What images are for; a class of the user's own may have more to train on than have a label."""

UNLABELLED = -1
"""Stands for the label of an image that has none."""

UNREADABLE = (
    AttributeError,  # one array, not a zip of them
    ValueError,
    EOFError,
    RuntimeError,  # encrypted, or compressed in an unknown way
    zipfile.BadZipFile,
    zlib.error,
)
"""What comes of reading a file that is no .npz, or is damaged."""

_SMALLEST_SIDE_PX = 8  # as of a folder's views; below it nothing is left behind the encoder's stem
_LABELS = 100_000  # so many votes an image still fit into memory
_HEADER_READERS = {(1, 0): "read_array_header_1_0", (2, 0): "read_array_header_2_0"}

Kinds = Mapping[str, tuple[Any, tuple[int, ...]]]
"""Name of an array → its dtype and shape."""


def kinds_in(file: Path) -> Kinds:
    """Return what arrays an .npz holds; of its bytes, the headers alone are read.

    Raises:
        DataError: it cannot be read, or holds other arrays than images and labels.
    """
    kinds = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for name in ARRAYS:
                if f"{name}.npy" in archive.namelist():
                    kinds[name] = _kind_of(archive, f"{name}.npy")
    except (*UNREADABLE, KeyError):
        raise not_an_npz(file) from None
    check_arrays(file, kinds)
    return kinds


def labels_in(file: Path) -> dict[str, "npt.NDArray[Any]"]:
    """Return the labels of an .npz, by split.

    Raises:
        DataError: they cannot be read, or cannot be labels.
    """
    import numpy as np

    try:
        with np.load(file, allow_pickle=False) as arrays:
            labels = {split: arrays[f"y_{split}"] for split in ("train", "test")}
    except UNREADABLE:
        raise not_an_npz(file) from None
    check_labels(file, labels)
    return labels


def check_arrays(source: Path | str, kinds: Kinds) -> None:
    """Refuse arrays that are no images with labels.

    Args:
        source: the .npz or the user's class that they are of, for the text.
        kinds: what it holds.

    Raises:
        DataError: an array is missing, or is of another kind.
    """
    missing = [name for name in ARRAYS if name not in kinds]
    if missing:
        raise DataError(
            f"{str(source)!r} holds no {', '.join(missing)}; it must hold {', '.join(ARRAYS)}"
        )
    splits = [split for split in SPLITS if f"x_{split}" in kinds]
    for split in splits:
        _check_images(source, f"x_{split}", *kinds[f"x_{split}"])
        _check_label_kind(source, f"y_{split}", kinds, len_of=f"x_{split}")

    # An encoder that was trained on one is judged on the other.
    train = channels_of(kinds["x_train"][1])
    for split in splits:
        channels = channels_of(kinds[f"x_{split}"][1])
        if channels != train:
            raise DataError(
                f"{str(source)!r}: x_train has {train} channels and x_{split} {channels}; "
                "they must be equal"
            )


def check_labels(source: Path | str, labels: Mapping[str, "npt.NDArray[Any]"]) -> None:
    """Refuse labels that name no class, and test images by which no encoder can be judged.

    Raises:
        DataError: it names the array and the label.
    """
    for split, numbers in labels.items():
        for label in (numbers.min(), numbers.max()):
            if not UNLABELLED <= label < _LABELS:
                raise DataError(
                    f"{str(source)!r}: y_{split} holds the label {label}; labels must be whole "
                    f"numbers from 0 to {_LABELS - 1}, one for each class, or {UNLABELLED} for none"
                )
        if numbers.max() == UNLABELLED and split != "pretrain":
            raise DataError(
                f"{str(source)!r}: y_{split} holds no label but {UNLABELLED}, which stands for none; "
                "encoders are judged by images with a label, in both y_train and y_test"
            )

    # Encoders are judged by the test images of classes that they can have learned.
    known = {UNLABELLED, *labels["train"].tolist()}
    unknown = sorted(set(labels["test"].tolist()) - known)
    if unknown:
        raise DataError(
            f"{str(source)!r}: y_test holds the label {unknown[0]}, which y_train does not; "
            "both must hold the same classes"
        )


def channels_of(shape: tuple[int, ...]) -> int:
    """Return how many channels images of a shape have."""
    return shape[3] if len(shape) == 4 else 1


def not_an_npz(file: Path) -> DataError:
    """Return the error for a file that cannot be read as an .npz."""
    return DataError(
        f"{str(file)!r} is no .npz with {', '.join(ARRAYS)}; make one with numpy.savez"
    )


def _kind_of(archive: zipfile.ZipFile, member: str) -> tuple[Any, tuple[int, ...]]:
    """Return dtype and shape of one array.

    Raises:
        ValueError: its header says so, and its bytes are fewer or more.
    """
    from numpy.lib import format as npy

    with archive.open(member) as stream:
        reader = getattr(npy, _HEADER_READERS[npy.read_magic(stream)])
        shape, _, dtype = reader(stream)
        content = archive.getinfo(member).file_size - stream.tell()
    if not dtype.hasobject and content != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{member}: {content} bytes are not {dtype} {shape}")
    return dtype, shape


def _check_images(source: Path | str, name: str, dtype: Any, shape: tuple[int, ...]) -> None:
    """Refuse images that are not square, of one or three channels, and large enough."""
    is_square = len(shape) in (3, 4) and shape[1] == shape[2]
    has_channels = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))
    if str(dtype) != "uint8" or not is_square or not has_channels or 0 in shape:
        allowed = "uint8 (N, side, side) or (N, side, side, 1 or 3)"
        raise DataError(f"{str(source)!r}: {name} is {dtype} {shape}; it must be {allowed}")
    if shape[1] < _SMALLEST_SIDE_PX:
        raise DataError(
            f"{str(source)!r}: {name} has images of {shape[1]} x {shape[1]} pixels; the encoder "
            f"needs {_SMALLEST_SIDE_PX} x {_SMALLEST_SIDE_PX} or more: enlarge them"
        )


def _check_label_kind(source: Path | str, name: str, kinds: Kinds, len_of: str) -> None:
    """Refuse labels that are no whole numbers, or not one for each image."""
    dtype, shape = kinds[name]
    images = kinds[len_of][1][:1]
    if shape != images or dtype.kind not in "iu":
        raise DataError(f"{str(source)!r}: {name} is {dtype} {shape}; it must be integers {images}")
