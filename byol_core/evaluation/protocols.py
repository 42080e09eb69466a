"""Judges frozen encoders by a protocol that is named; a protocol goes from encoder and images to an
accuracy in [0, 1].
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from byol_core.config import PROTOCOLS, Augment
from byol_core.evaluation.knn import knn
from byol_core.evaluation.probe import probe
from byol_core.images.memory import Dataset


def evaluate(
    protocol: str, encoders: dict[str, nn.Module], images: Dataset, how: Augment
) -> dict[str, Any]:
    """Judge encoders by one protocol; they are left in eval mode, their statistics untouched.

    Args:
        protocol: a key of `PROTOCOLS`.
        encoders: "online" and "target".
        images: labelled `train` and `test`.
        how: the run's augmentation, for protocols that augment.

    Returns:
        protocol, version and for each encoder its accuracy on the test images.
    """
    judge: Callable[[nn.Module, Dataset, Augment], float] = {"probe": probe, "knn": knn}[protocol]
    accuracies = {
        name: {"accuracy": judge(encoder.eval(), images, how)} for name, encoder in encoders.items()
    }
    return {"protocol": protocol, "version": PROTOCOLS[protocol], **accuracies}
