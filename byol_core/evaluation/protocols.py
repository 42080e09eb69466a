"""Judges frozen encoders by a protocol that is named.

A protocol goes from an encoder and images to an accuracy in [0, 1].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from byol_core.config import PROTOCOLS, TrainConfig
from byol_core.evaluation.features import device_of
from byol_core.evaluation.knn import NEIGHBOURS, TEMPERATURE, knn
from byol_core.evaluation.labels import Labelled, labelled
from byol_core.evaluation.probe import L2, MOST_IMAGES, probe
from byol_core.evaluation.regression import TOLERANCE
from byol_core.evaluation.views import Views, views_of
from byol_core.images.memory import Dataset
from byol_core.precision import compute_in

Judge = Callable[
    [Mapping[str, nn.Module], Labelled, Labelled, Mapping[str, Views]], dict[str, dict[str, Any]]
]
Buffers = Literal["trained", "calibrated", "fresh"]


@dataclass(frozen=True)
class _Protocol:
    """Holds how to judge, and the numbers of it that a result is to name."""

    judge: Judge
    numbers: Mapping[str, Any]


_PROTOCOLS = {
    "probe": _Protocol(probe, {"l2": L2, "tolerance": TOLERANCE, "most_images": MOST_IMAGES}),
    "knn": _Protocol(knn, {"k": NEIGHBOURS, "temperature": TEMPERATURE}),
}


def evaluate(
    protocol: str,
    encoders: Mapping[str, nn.Module],
    dataset: Dataset,
    config: TrainConfig,
    buffers: Buffers = "trained",
) -> dict[str, Any]:
    """Judge encoders by one protocol, in float32; they are left as they are, mode and buffers too.

    Args:
        protocol: a key of `PROTOCOLS`.
        encoders: "online" and, where there is one, "target".
        dataset: with labelled `train` and `test`; images without a label are left out.
        config: of the run: its data set, and what its pixels are normalized by.
        buffers: where the statistics of the encoders' norms come from: training, a look at images
            by an encoder that is not trained, or nowhere.

    Returns:
        The protocol, its version, what tells exactly how it has judged, whether what it fitted has
        converged, and the accuracy of each encoder on the test images.

    Raises:
        NoLabelsError: too few images have a label.
        NotFiniteError: an encoder's features are not finite.
    """
    way = _PROTOCOLS[protocol]
    views = views_of(protocol, config)
    train, test = labelled(dataset)
    left_out = len(dataset.train) - len(train.rows) + len(dataset.test) - len(test.rows)
    with compute_in("fp32", device_of(encoders)), torch.inference_mode():
        judged = way.judge(encoders, train, test, views)

    # The accuracies stand by themselves, so that each is a number of the database.
    converged = {name: of["converged"] for name, of in judged.items() if "converged" in of}
    accuracies = {name: {"accuracy": of["accuracy"]} for name, of in judged.items()}
    return {
        "protocol": protocol,
        "version": PROTOCOLS[protocol],
        "views": {split: views[split].record() for split in views},
        **way.numbers,
        "images": {"train": len(train.rows), "test": len(test.rows)},
        "unlabelled": left_out,
        "buffers": buffers if _have_buffers(encoders) else "none",
        **({"converged": converged} if converged else {}),
        **accuracies,
    }


def _have_buffers(encoders: Mapping[str, nn.Module]) -> bool:
    """Tell whether an encoder keeps statistics, as batch norm does."""
    return any(next(encoder.buffers(), None) is not None for encoder in encoders.values())
