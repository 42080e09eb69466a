"""The protocol `knn`: a cosine-weighted vote of the 20 nearest clean training images."""

import torch
import torch.nn.functional as F
from torch import nn

from byol_core.config import Augment
from byol_core.evaluation.features import BATCH, clean_features
from byol_core.images.memory import Dataset

_NEIGHBOURS, _KNN_TEMPERATURE = 20, 0.07


def knn(encoder: nn.Module, images: Dataset, how: Augment) -> float:
    """Return the accuracy of a cosine-weighted vote (Wu et al. 2018, section 3.4) on clean images."""
    train, test = (
        F.normalize(clean_features(encoder, source, how), dim=1)
        for source in (images.train, images.test)
    )
    classes = int(images.train.labels.max()) + 1
    hits = 0
    for queries, labels in zip(
        torch.split(test, BATCH), torch.split(images.test.labels, BATCH), strict=True
    ):
        similarity, nearest = (queries @ train.T).topk(min(_NEIGHBOURS, len(train)), dim=1)
        votes = torch.zeros(len(queries), classes)
        votes.scatter_add_(1, images.train.labels[nearest], (similarity / _KNN_TEMPERATURE).exp())
        hits += int((votes.argmax(1) == labels).sum())
    return hits / len(test)
