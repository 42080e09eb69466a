"""The protocol `probe`: multinomial logistic regression on standardized features of augmented
images.

Each training image is drawn twice, at most 50,000 of them, and each test image five times, by a
fixed seed. On clean small images a random encoder already scores close to a trained one; under
augmentation the rows of an ablation come apart.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from byol_core.config import Augment
from byol_core.evaluation.features import BATCH, device_of, features
from byol_core.images.memory import Dataset
from byol_core.images.source import Request, Source
from byol_core.streams import stream

_PROBE_SEED, _TRAIN_DRAWS, _TEST_DRAWS = 0, 2, 5

_PROBE_IMAGES = 50_000  # what fits into memory and an hour; a larger set gives a mixed choice that is always the same

_PROBE_L2 = 1.0  # scikit-learn's C


def probe(encoder: nn.Module, images: Dataset, how: Augment) -> float:
    """Return the accuracy of a logistic regression on augmented, standardized features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train_rows, test_rows = _probe_rows(len(images.train)), torch.arange(len(images.test))
    x_train, y_train = _augmentedfeatures(
        encoder, images.train, train_rows, how, "train", _TRAIN_DRAWS
    )
    x_test, y_test = _augmentedfeatures(encoder, images.test, test_rows, how, "test", _TEST_DRAWS)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=_PROBE_L2, max_iter=1000))
    return float(classifier.fit(x_train, y_train).score(x_test, y_test))


def _probe_rows(n: int) -> Tensor:
    """Return which training images the probe is fitted to."""
    if n <= _PROBE_IMAGES:
        return torch.arange(n)
    return torch.from_numpy(stream(_PROBE_SEED, "probe", "rows").permutation(n)[:_PROBE_IMAGES])


def _augmentedfeatures(
    encoder: nn.Module, source: Source, rows: Tensor, how: Augment, name: str, draws: int
) -> tuple[Any, Any]:
    features = [_augmented_draw(encoder, source, rows, how, (name, draw)) for draw in range(draws)]
    return torch.cat(features).numpy(), np.tile(source.labels[rows].numpy(), draws)


def _augmented_draw(
    encoder: nn.Module, source: Source, rows: Tensor, how: Augment, name: tuple[str, int]
) -> Tensor:
    device = device_of(encoder)
    parts = torch.split(rows, BATCH)
    requests = [
        Request(part, how, (stream(_PROBE_SEED, "probe crop", *name, i),))
        for i, part in enumerate(parts)
    ]
    return features(
        encoder,
        source,
        requests,
        lambda batch, i: batch.view(1, how, stream(_PROBE_SEED, "probe", *name, i), device),
    )
