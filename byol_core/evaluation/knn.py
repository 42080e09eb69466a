"""Judges by the protocol `knn`: the 20 nearest clean training images vote, weighted by cosine."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from byol_core.evaluation.features import device_of, features
from byol_core.evaluation.labels import Labelled
from byol_core.evaluation.views import Views

NEIGHBOURS = 20
TEMPERATURE = 0.07

_COSINES = 2**26
"""How many are computed at once, about: all would not fit into memory."""
_QUERIES = 256


def knn(
    encoders: Mapping[str, nn.Module], train: Labelled, test: Labelled, views: Mapping[str, Views]
) -> dict[str, dict[str, Any]]:
    """Return the accuracy of a vote, each with weight exp(cosine / temperature).

    Wu et al. 2018, section 3.4; they let 200 neighbours vote.
    """
    device = device_of(encoders)
    trained_on = features(encoders, train, views["train"], ("knn", "train"))
    queries = features(encoders, test, views["test"], ("knn", "test"))

    # Classes by their place among those that occur: a label may be as large as it likes.
    classes, class_of = torch.unique(train.labels, return_inverse=True)
    class_of = class_of.to(device)
    judged: dict[str, dict[str, Any]] = {}
    for name in encoders:
        votes = _votes(trained_on.pop(name), class_of, len(classes), queries.pop(name), device)
        hits = int((classes[votes] == test.labels).sum())
        judged[name] = {"accuracy": hits / len(test.labels)}
    return judged


def _votes(
    trained_on: Tensor, class_of: Tensor, classes: int, queries: Tensor, device: torch.device
) -> Tensor:
    """Return the class that most votes are for, of each query: (Q,) int64 on the CPU."""
    keys = F.normalize(trained_on.to(device), dim=1)
    numbers = torch.arange(classes, device=device)
    size = max(_QUERIES, _COSINES // len(keys)) if device.type == "cuda" else _QUERIES
    elected: list[Tensor] = []
    for part in torch.split(queries, size):
        similarity = F.normalize(part.to(device), dim=1) @ keys.T
        cosine, nearest = first_nearest(similarity, min(NEIGHBOURS, len(keys)))
        weight = (cosine / TEMPERATURE).exp()
        votes = similarity.new_zeros(len(part), classes)
        for place in range(nearest.shape[1]):
            votes += weight[:, place, None] * (class_of[nearest[:, place], None] == numbers)
        elected.append(votes.argmax(1))
    return torch.cat(elected).cpu()


def first_nearest(similarity: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return similarity and place of the k most similar; of equal ones those that come first.

    Args:
        similarity: (Q, N), of N images to each of Q queries.
        k: at most N.

    Returns:
        (Q, k) each.
    """
    n = similarity.shape[1]
    values, places = similarity.topk(min(k + 1, n), dim=1)
    if k < n:
        # Which of equal values `topk` takes is left open; it matters where the last has an equal.
        tied = (values[:, k - 1] == values[:, k]).nonzero().flatten()
        if len(tied):
            ordered = similarity[tied].sort(dim=1, descending=True, stable=True)
            values[tied, :k] = ordered.values[:, :k]
            places[tied, :k] = ordered.indices[:, :k]
    return values[:, :k], places[:, :k]
