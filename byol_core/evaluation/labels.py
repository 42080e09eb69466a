"""Finds the images that have a label: by them alone an encoder is judged."""

from dataclasses import dataclass

import torch
from torch import Tensor

from byol_core.datasets.errors import DataError
from byol_core.datasets.npz import UNLABELLED
from byol_core.images.memory import Dataset
from byol_core.images.source import Source


class NoLabelsError(DataError):
    """The images lack what an encoder could be judged by: labels of two classes or more."""


@dataclass(frozen=True)
class Labelled:
    """Holds the images of a split that have a label.

    Attributes:
        source: the whole split.
        rows: which of its images have one, (N,) int64, in order.
    """

    source: Source
    rows: Tensor

    @property
    def labels(self) -> Tensor:
        """Return the label of each of these images, (N,) int64."""
        return self.source.labels[self.rows]

    def choose(self, places: Tensor) -> "Labelled":
        """Return some of them: those at these places."""
        return Labelled(self.source, self.rows[places])


def labelled(dataset: Dataset) -> tuple[Labelled, Labelled]:
    """Return the labelled images of `train` and of `test`.

    Raises:
        NoLabelsError: there is none of them in `test`, or not of two classes in `train`.
    """
    train = _with_labels(dataset.train)
    test = _with_labels(dataset.test)
    if not len(test.rows):
        raise NoLabelsError(
            f"none of the {len(dataset.test)} test images has a label (all are {UNLABELLED}), and "
            "an encoder is judged by labelled ones; give some of them labels from 0 up"
        )
    classes = len(set(train.labels.tolist()))
    if classes < 2:
        raise NoLabelsError(
            f"the training images have labels of {classes} classes, {len(train.rows)} of "
            f"{len(dataset.train)} have one, and an encoder is judged by telling classes apart; "
            "label images of two classes or more"
        )
    return train, test


def _with_labels(split: Source) -> Labelled:
    return Labelled(split, torch.nonzero(split.labels != UNLABELLED).flatten())
