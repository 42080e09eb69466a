"""Judges by the protocol `knn`: the 20 nearest clean training images vote, weighted by cosine."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from byol_core.evaluation.features import BATCH, features
from byol_core.evaluation.labels import Labelled
from byol_core.evaluation.views import Views

NEIGHBOURS = 20
TEMPERATURE = 0.07


def knn(encoder: nn.Module, train: Labelled, test: Labelled, views: Mapping[str, Views]) -> float:
    """Return the accuracy of a vote, each with weight exp(cosine / temperature).

    Wu et al. 2018, section 3.4; they let 200 neighbours vote.
    """
    trained_on = F.normalize(features(encoder, train, views["train"], ("knn", "train")), dim=1)
    queries = F.normalize(features(encoder, test, views["test"], ("knn", "test")), dim=1)

    # Classes by their place among those that occur: a label may be as large as it likes.
    classes = torch.tensor(sorted(set(train.labels.tolist())))
    class_of = torch.searchsorted(classes, train.labels)

    # In parts, since all cosines at once would not fit into memory.
    hits = 0
    parts = zip(torch.split(queries, BATCH), torch.split(test.labels, BATCH), strict=True)
    for part, labels in parts:
        similarity, nearest = (part @ trained_on.T).topk(min(NEIGHBOURS, len(trained_on)), dim=1)
        votes = torch.zeros(len(part), len(classes))
        votes.scatter_add_(1, class_of[nearest], (similarity / TEMPERATURE).exp())
        hits += int((classes[votes.argmax(1)] == labels).sum())
    return hits / len(queries)
