"""Reads a data set of the user's own: arrays that an object of their class gives."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from byol_core.datasets.npz import SPLITS, check_arrays, check_labels
from byol_core.plugins import PlugInError, build_part, call_part

Arrays = dict[str, npt.NDArray[Any]]

_NEEDS = "train() and test(), each giving images and labels, and may have pretrain()"


def own_arrays(name: str, path: Path) -> Arrays:
    """Return the images and labels of a data set, named as in an .npz.

    Args:
        name: of the user's class, `package.module:Class`, which is made with the path.
        path: of its files.

    Returns:
        x_train, y_train, x_test and y_test; x_pretrain and y_pretrain where it has `pretrain`.

    Raises:
        PlugInError: the class cannot be made, lacks a method, or one fails or gives something else.
        DataError: what it gives are no images with labels.
        OSError: it cannot read a file.
    """
    data = build_part(name, object, path)
    splits = [split for split in SPLITS if split != "pretrain" or hasattr(data, split)]
    arrays: Arrays = {}
    for split in splits:
        arrays |= _arrays_of(name, data, split)

    # What holds for an .npz holds here.
    check_arrays(name, {array: (x.dtype, x.shape) for array, x in arrays.items()})
    check_labels(name, {split: arrays[f"y_{split}"] for split in splits})
    return arrays


def _arrays_of(name: str, data: Any, split: str) -> Arrays:
    """Return what one method gives.

    Raises:
        PlugInError: it is no pair of arrays.
    """
    given = call_part(name, data, split, needs=_NEEDS)
    try:
        images, labels = given
        return {f"x_{split}": _plain(images), f"y_{split}": _plain(labels)}
    except (TypeError, ValueError):  # no pair, or lists of unequal length
        raise PlugInError(
            f"{name}: {split} gives a {type(given).__name__}; it must give a pair, "
            "an array of images and one of labels"
        ) from None


def _plain(values: Any) -> npt.NDArray[Any]:
    """Return values as an array that a tensor may share: in order, and not read-only."""
    return np.require(values, requirements=["C", "W"])
