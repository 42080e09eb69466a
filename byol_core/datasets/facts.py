"""Tells what a data set holds without reading its images: how many, how large, of which channels.

A plan asks for it, so that settings that do not fit the images are refused before any run starts.
Of an .npz the headers are read, of photos the listing.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byol_core.config.errors import ConfigError
from byol_core.config.train_config import DatasetConfig, TrainConfig
from byol_core.datasets.errors import DataError
from byol_core.datasets.locate import Files, find
from byol_core.datasets.photo_folder import PhotoFolder

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
"""What an .npz of images holds."""

DIGITS_TRAIN = 1400
_FIXED = {"digits": (DIGITS_TRAIN, 1), "stl10": (105_000, 3)}
"""Data sets whose files never change: training images, channels."""

_HEADER_READERS = {(1, 0): "read_array_header_1_0", (2, 0): "read_array_header_2_0"}


@dataclass(frozen=True)
class DataFacts:
    """Holds what can be known of the images that a run trains on.

    Attributes:
        images: how many, within the limit of the settings.
        channels: 1 (grey) or 3.
    """

    images: int
    channels: int


def data_facts(dataset: DatasetConfig, files: Files | None = None) -> DataFacts:
    """Tell what a data set holds.

    Args:
        dataset: which.
        files: of it, where they were found already.

    Raises:
        DataMissingError: its files are not there.
        DataError: they hold something else than images and labels.
        OSError: a file cannot be read.
    """
    files = find(dataset) if files is None else files
    if isinstance(files, PhotoFolder):
        images, channels = len(files.train.photos), 3
    elif dataset.name == "arrays":
        images, channels = _count_arrays(files[0])
    else:
        images, channels = _FIXED[dataset.name]
    if dataset.limit:
        images = min(images, dataset.limit)
    return DataFacts(images, channels)


def check_fit(config: TrainConfig, facts: DataFacts) -> None:
    """Refuse a config that these images cannot serve.

    Raises:
        ConfigError: it names the key, the value and what is allowed.
    """
    if config.batch_size > facts.images:
        raise ConfigError(
            "batch_size",
            f"batch_size: {config.batch_size} is larger than the {facts.images} training images; "
            "make it smaller, or dataset.limit larger",
        )
    if config.augment.normalize == "imagenet" and facts.channels != 3:
        raise ConfigError(
            "augment.normalize",
            "augment.normalize: 'imagenet' holds means of three colours and these images are grey; "
            "use none",
        )


def check_arrays(file: Path, shapes: dict[str, tuple[Any, tuple[int, ...]]]) -> None:
    """Refuse an .npz whose arrays are no images with labels.

    Args:
        file: the .npz, for the text.
        shapes: the dtype and shape of each array.

    Raises:
        DataError: an array is missing, or is of another kind.
    """
    import numpy as np

    missing = [name for name in ARRAYS if name not in shapes]
    if missing:
        raise DataError(
            f"{str(file)!r} holds no {', '.join(missing)}; it must hold {', '.join(ARRAYS)}"
        )

    for split in ("train", "test"):
        # Only square images of one or three channels.
        dtype, shape = shapes[f"x_{split}"]
        is_square = len(shape) in (3, 4) and shape[1] == shape[2]
        has_channels = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))
        if dtype != np.uint8 or not is_square or not has_channels or 0 in shape:
            allowed = "uint8 (N, side, side) or (N, side, side, 1 or 3)"
            raise DataError(f"{str(file)!r}: x_{split} is {dtype} {shape}; it must be {allowed}")

        # A label for each image.
        dtype, labels = shapes[f"y_{split}"]
        if labels != shape[:1] or not np.issubdtype(dtype, np.integer):
            raise DataError(
                f"{str(file)!r}: y_{split} is {dtype} {labels}; it must be integers ({shape[0]},)"
            )

    train, test = (_channels(shapes[f"x_{split}"][1]) for split in ("train", "test"))
    if train != test:
        raise DataError(
            f"{str(file)!r}: x_train has {train} channels and x_test {test}; they must be equal"
        )


def not_an_npz(file: Path) -> DataError:
    """Return the error for a file that cannot be read as an .npz."""
    return DataError(
        f"{str(file)!r} is no .npz with {', '.join(ARRAYS)}; make one with numpy.savez"
    )


def _count_arrays(file: Path) -> tuple[int, int]:
    """Return the number of training images in an .npz, and their channels."""
    shapes = _npz_headers(file)
    check_arrays(file, shapes)
    _, shape = shapes["x_train"]
    return shape[0], _channels(shape)


def _channels(shape: tuple[int, ...]) -> int:
    return shape[3] if len(shape) == 4 else 1


def _npz_headers(file: Path) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Return dtype and shape of each array in an .npz; of its bytes, the headers are read."""
    from numpy.lib import format as npy

    shapes = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                with archive.open(member) as stream:
                    reader = getattr(npy, _HEADER_READERS[npy.read_magic(stream)])
                    shape, _, dtype = reader(stream)
                shapes[member.removesuffix(".npy")] = (dtype, shape)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise not_an_npz(file) from None
    return shapes
