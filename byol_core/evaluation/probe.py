"""Judges by the protocol `probe`: a logistic regression on features of augmented images.

The regression is multinomial, on standardized features. Each training image is drawn twice, at most
50,000 of them, and each test image five times, by a fixed seed. On clean small images a random
encoder already scores close to a trained one; under augmentation the rows of an ablation come
apart.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from byol_core.config import Augment
from byol_core.evaluation.features import BATCH, device_of, features
from byol_core.images.memory import Dataset
from byol_core.images.source import Batch, Request, Source
from byol_core.streams import stream

_PROBE_SEED = 0
_TRAIN_DRAWS = 2
_TEST_DRAWS = 5

# What fits into memory and an hour; of a larger set a mixed choice that is always the same.
_PROBE_IMAGES = 50_000

_PROBE_L2 = 1.0  # scikit-learn's C


def probe(encoder: nn.Module, dataset: Dataset, augment: Augment) -> float:
    """Return the accuracy of a logistic regression on augmented, standardized features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train_rows = _probe_rows(len(dataset.train))
    x_train, y_train = _augmented_features(
        encoder, dataset.train, train_rows, augment, "train", _TRAIN_DRAWS
    )
    test_rows = torch.arange(len(dataset.test))
    x_test, y_test = _augmented_features(
        encoder, dataset.test, test_rows, augment, "test", _TEST_DRAWS
    )

    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=_PROBE_L2, max_iter=1000))
    return float(classifier.fit(x_train, y_train).score(x_test, y_test))


def _probe_rows(n: int) -> Tensor:
    """Return which training images the probe is fitted to."""
    if n <= _PROBE_IMAGES:
        return torch.arange(n)
    return torch.from_numpy(stream(_PROBE_SEED, "probe", "rows").permutation(n)[:_PROBE_IMAGES])


def _augmented_features(
    encoder: nn.Module, source: Source, rows: Tensor, augment: Augment, split: str, draws: int
) -> tuple[Any, Any]:
    """Return the features of several draws of each image, and the labels."""
    parts = [
        _features_of_draw(encoder, source, rows, augment, split, draw) for draw in range(draws)
    ]
    labels = source.labels[rows].numpy()
    return torch.cat(parts).numpy(), np.tile(labels, draws)


def _features_of_draw(
    encoder: nn.Module, source: Source, rows: Tensor, augment: Augment, split: str, draw: int
) -> Tensor:
    """Return the features of one draw of each image."""
    device = device_of(encoder)
    requests = []
    for number, part in enumerate(torch.split(rows, BATCH)):
        crops = stream(_PROBE_SEED, "probe crop", split, draw, number)
        requests.append(Request(part, augment, (crops,)))

    def pixels(batch: Batch, number: int) -> Tensor:
        rng = stream(_PROBE_SEED, "probe", split, draw, number)
        return batch.view(1, augment, rng, device)

    return features(encoder, source, requests, pixels)
