"""How good a frozen encoder is: protocols with versions, each from encoder and images to accuracies in [0, 1].

`probe`: multinomial logistic regression on standardized features of augmented images (2 draws of the training images, at
most 50,000 of them, and 5 of the test images, drawn by a fixed seed). On clean small images a random encoder already scores
close to a trained one; under augmentation the rows of an ablation come apart. `knn`: cosine-weighted vote of the 20 nearest
clean training images.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from byol_core.config import Augment
from byol_core.images.load import Images
from byol_core.images.source import Batch, Request, Source
from byol_core.streams import stream

VERSIONS = {"probe": 1, "knn": 1}
"""Raised when a protocol would give other numbers for the same encoder."""

_BATCH = 256
_PROBE_SEED, _TRAIN_DRAWS, _TEST_DRAWS = 0, 2, 5
_PROBE_IMAGES = 50_000  # what fits into memory and an hour; a larger set gives a mixed choice that is always the same
_PROBE_L2 = 1.0  # scikit-learn's C
_NEIGHBOURS, _KNN_TEMPERATURE = 20, 0.07


def evaluate(protocol: str, encoders: dict[str, nn.Module], images: Images, how: Augment) -> dict[str, Any]:
    """Judge encoders by one protocol; they are left in eval mode, their statistics untouched.

    Args:
        protocol: a key of `VERSIONS`.
        encoders: "online" and "target".
        images: labelled `train` and `test`.
        how: the run's augmentation, for protocols that augment.

    Returns:
        protocol, version and for each encoder its accuracy on the test images.
    """
    judge: Callable[[nn.Module, Images, Augment], float] = {"probe": probe, "knn": knn}[protocol]
    accuracies = {name: {"accuracy": judge(encoder.eval(), images, how)} for name, encoder in encoders.items()}
    return {"protocol": protocol, "version": VERSIONS[protocol], **accuracies}


def probe(encoder: nn.Module, images: Images, how: Augment) -> float:
    """Return the accuracy of a logistic regression on augmented, standardized features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train_rows, test_rows = _probe_rows(len(images.train)), torch.arange(len(images.test))
    x_train, y_train = _augmented_features(encoder, images.train, train_rows, how, "train", _TRAIN_DRAWS)
    x_test, y_test = _augmented_features(encoder, images.test, test_rows, how, "test", _TEST_DRAWS)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=_PROBE_L2, max_iter=1000))
    return float(classifier.fit(x_train, y_train).score(x_test, y_test))


def knn(encoder: nn.Module, images: Images, how: Augment) -> float:
    """Return the accuracy of a cosine-weighted vote (Wu et al. 2018, section 3.4) on clean images."""
    train, test = (F.normalize(_clean_features(encoder, source, how), dim=1) for source in (images.train, images.test))
    classes = int(images.train.labels.max()) + 1
    hits = 0
    for queries, labels in zip(torch.split(test, _BATCH), torch.split(images.test.labels, _BATCH), strict=True):
        similarity, nearest = (queries @ train.T).topk(min(_NEIGHBOURS, len(train)), dim=1)
        votes = torch.zeros(len(queries), classes)
        votes.scatter_add_(1, images.train.labels[nearest], (similarity / _KNN_TEMPERATURE).exp())
        hits += int((votes.argmax(1) == labels).sum())
    return hits / len(test)


def _probe_rows(n: int) -> Tensor:
    """Return which training images the probe is fitted to."""
    if n <= _PROBE_IMAGES:
        return torch.arange(n)
    return torch.from_numpy(stream(_PROBE_SEED, "probe", "rows").permutation(n)[:_PROBE_IMAGES])


def _augmented_features(
    encoder: nn.Module, source: Source, rows: Tensor, how: Augment, name: str, draws: int
) -> tuple[Any, Any]:
    features = [_augmented_draw(encoder, source, rows, how, (name, draw)) for draw in range(draws)]
    return torch.cat(features).numpy(), np.tile(source.labels[rows].numpy(), draws)


def _augmented_draw(encoder: nn.Module, source: Source, rows: Tensor, how: Augment, name: tuple[str, int]) -> Tensor:
    device = _device(encoder)
    parts = torch.split(rows, _BATCH)
    requests = [Request(part, how, (stream(_PROBE_SEED, "probe crop", *name, i),)) for i, part in enumerate(parts)]
    return _features(
        encoder, source, requests, lambda batch, i: batch.view(1, how, stream(_PROBE_SEED, "probe", *name, i), device)
    )


def _clean_features(encoder: nn.Module, source: Source, how: Augment) -> Tensor:
    device = _device(encoder)
    requests = [Request(part, how) for part in torch.split(torch.arange(len(source)), _BATCH)]
    return _features(encoder, source, requests, lambda batch, _: batch.clean(how, device))


@torch.no_grad()
def _features(encoder: nn.Module, source: Source, requests: list[Request], pixels: Callable[[Batch, int], Tensor]) -> Tensor:
    """Return (N, F) float32 on the CPU; `pixels` gets each batch and its number."""
    return torch.cat([encoder(pixels(batch, i)).float().cpu() for i, batch in enumerate(source.read(requests))])


def _device(encoder: nn.Module) -> torch.device:
    return next(encoder.parameters()).device
