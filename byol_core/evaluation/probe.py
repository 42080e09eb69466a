"""Judges by the protocol `probe`: a logistic regression on features of drawn views.

The regression is multinomial, on standardized features. ``views`` says which views: the protocol's
own, by a seed that does not depend on the run's.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from byol_core.evaluation.features import device_of, features
from byol_core.evaluation.labels import Labelled
from byol_core.evaluation.regression import fit
from byol_core.evaluation.views import Views
from byol_core.streams import stream

L2 = 1.0  # one over scikit-learn's C

# What fits into memory and an hour; of a larger set a mixed choice that is always the same.
MOST_IMAGES = 50_000


def probe(
    encoders: Mapping[str, nn.Module], train: Labelled, test: Labelled, views: Mapping[str, Views]
) -> dict[str, dict[str, Any]]:
    """Return the accuracy of a logistic regression on standardized features of the views.

    Of each encoder it says, too, whether the regression has `converged`.
    """
    device = device_of(encoders)
    chosen = train.choose(chosen_places(len(train.rows)))
    trained_on = features(encoders, chosen, views["train"], ("probe", "train"))
    queries = features(encoders, test, views["test"], ("probe", "test"))

    # Classes by their place among those that occur: a label may be as large as it likes.
    classes, y = torch.unique(chosen.labels, return_inverse=True)
    y = y.repeat(views["train"].draws)
    answers = test.labels.repeat(views["test"].draws)
    judged: dict[str, dict[str, Any]] = {}
    for name in encoders:
        regression = fit(trained_on.pop(name), y, len(classes), L2, device)
        predicted = classes[regression.predict(queries.pop(name)).cpu()]
        hits = int((predicted == answers).sum())
        judged[name] = {"accuracy": hits / len(answers), "converged": regression.converged}
    return judged


def chosen_places(n: int) -> Tensor:
    """Return which of n training images the probe is fitted to."""
    if n <= MOST_IMAGES:
        return torch.arange(n)
    return torch.from_numpy(stream(0, "probe", "rows").permutation(n)[:MOST_IMAGES])
