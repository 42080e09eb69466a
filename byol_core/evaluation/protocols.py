"""Judges frozen encoders by a protocol that is named.

A protocol goes from an encoder and images to an accuracy in [0, 1].
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from byol_core.config import PROTOCOLS, Augment
from byol_core.evaluation.knn import knn
from byol_core.evaluation.probe import probe
from byol_core.images.memory import Dataset


def evaluate(
    protocol: str, encoders: dict[str, nn.Module], dataset: Dataset, augment: Augment
) -> dict[str, Any]:
    """Judge encoders by one protocol; they are left in eval mode, their statistics untouched.

    Args:
        protocol: a key of `PROTOCOLS`.
        encoders: "online" and "target".
        dataset: with labelled `train` and `test`.
        augment: the run's augmentation, for protocols that augment.

    Returns:
        The protocol, its version, and the accuracy of each encoder on the test images.
    """
    judge: Callable[[nn.Module, Dataset, Augment], float] = {"probe": probe, "knn": knn}[protocol]
    accuracies = {
        name: {"accuracy": judge(encoder.eval(), dataset, augment)}
        for name, encoder in encoders.items()
    }
    return {"protocol": protocol, "version": PROTOCOLS[protocol], **accuracies}
