"""Judges by the protocol `probe`: a logistic regression on features of drawn views.

The regression is multinomial, on standardized features. ``views`` says which views: the protocol's
own, by a seed that does not depend on the run's.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from byol_core.evaluation.features import features
from byol_core.evaluation.labels import Labelled
from byol_core.evaluation.views import Views
from byol_core.streams import stream

L2 = 1.0  # scikit-learn's C
MAX_ITERATIONS = 1000

# What fits into memory and an hour; of a larger set a mixed choice that is always the same.
MOST_IMAGES = 50_000


def probe(encoder: nn.Module, train: Labelled, test: Labelled, views: Mapping[str, Views]) -> float:
    """Return the accuracy of a logistic regression on standardized features of the views."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = train.choose(chosen_places(len(train.rows)))
    x_train, y_train = _samples(encoder, chosen, views["train"], "train")
    x_test, y_test = _samples(encoder, test, views["test"], "test")
    regression = LogisticRegression(C=L2, max_iter=MAX_ITERATIONS)
    classifier = make_pipeline(StandardScaler(), regression)
    return float(classifier.fit(x_train, y_train).score(x_test, y_test))


def chosen_places(n: int) -> Tensor:
    """Return which of n training images the probe is fitted to."""
    if n <= MOST_IMAGES:
        return torch.arange(n)
    return torch.from_numpy(stream(0, "probe", "rows").permutation(n)[:MOST_IMAGES])


def _samples(encoder: nn.Module, images: Labelled, views: Views, split: str) -> tuple[Any, Any]:
    """Return the features of every view, and the label of each."""
    x = features(encoder, images, views, ("probe", split)).numpy()
    return x, np.tile(images.labels.numpy(), views.draws)
