"""Judges by the protocol `knn`: the 20 nearest clean training images vote, weighted by cosine."""

import torch
import torch.nn.functional as F
from torch import nn

from byol_core.config import Augment
from byol_core.evaluation.features import BATCH, clean_features
from byol_core.images.memory import Dataset

_NEIGHBOURS = 20
_KNN_TEMPERATURE = 0.07


def knn(encoder: nn.Module, dataset: Dataset, augment: Augment) -> float:
    """Return the accuracy of a cosine-weighted vote on clean images (Wu et al. 2018, 3.4)."""
    train = F.normalize(clean_features(encoder, dataset.train, augment), dim=1)
    test = F.normalize(clean_features(encoder, dataset.test, augment), dim=1)
    train_labels = dataset.train.labels
    classes = int(train_labels.max()) + 1

    # In parts, since all cosines at once would not fit into memory.
    hits = 0
    parts = zip(torch.split(test, BATCH), torch.split(dataset.test.labels, BATCH), strict=True)
    for queries, labels in parts:
        similarity, nearest = (queries @ train.T).topk(min(_NEIGHBOURS, len(train)), dim=1)
        votes = torch.zeros(len(queries), classes)
        votes.scatter_add_(1, train_labels[nearest], (similarity / _KNN_TEMPERATURE).exp())
        hits += int((votes.argmax(1) == labels).sum())
    return hits / len(test)
