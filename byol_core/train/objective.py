"""What a step minimizes, as a value: the regression of BYOL, or the contrast of MoCo or SimCLR.

An objective says which outputs of the networks it needs and makes one number of them. The step
(``step``) is the same for all.
"""

from typing import Protocol

import torch
from torch import Tensor

from byol_core.config import TrainConfig
from byol_core.losses.contrastive import contrastive_loss, nt_xent
from byol_core.losses.regression import l2_normalize, regression_loss
from byol_core.streams import normal, stream

Pair = tuple[Tensor, Tensor]
"""What a network made of view 1 and of view 2, each (B, D)."""


class Objective(Protocol):
    """A loss, and what it needs of the networks.

    Attributes:
        has_target: there is a target network with a predictor in front of it; without one both views
            are compared as the online network projects them.
    """

    has_target: bool

    def loss(self, prediction: Pair, target: Pair) -> Tensor:
        """Return the scalar that a step minimizes.

        Args:
            prediction: q(z) of both views, or z where there is no target network.
            target: z′ of both views, without gradient; z again where there is no target network.
        """

    def remember(self, target: Pair) -> None:
        """Take in the targets of a step that is over."""

    def state(self) -> dict[str, Tensor]:
        """Return what the next step depends on."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` returned."""


class Regression:
    """BYOL: each view's prediction regresses the target's projection of the other view.

    The loss is symmetrized (arXiv 2006.07733, equation 2 and below).
    """

    has_target = True

    def __init__(self, scale: float) -> None:
        self._scale = scale

    def loss(self, prediction: Pair, target: Pair) -> Tensor:
        """As `Objective.loss`."""
        one_way = self._scale * regression_loss(prediction[0], target[1]).mean()
        other_way = self._scale * regression_loss(prediction[1], target[0]).mean()
        return one_way + other_way

    def remember(self, target: Pair) -> None:
        """Nothing outlives a step."""

    def state(self) -> dict[str, Tensor]:
        """Nothing outlives a step."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Nothing outlives a step."""


class QueueContrast:
    """MoCo: the prediction picks the other view's target out of a queue of earlier targets.

    Args:
        scale: of the loss.
        temperature: of the softmax.
        queue: (K, D) l2-normalized, the newest first.
    """

    has_target = True

    def __init__(self, scale: float, temperature: float, queue: Tensor) -> None:
        self._scale = scale
        self._temperature = temperature
        self._queue = queue

    def loss(self, prediction: Pair, target: Pair) -> Tensor:
        """As `Objective.loss`; both directions, as in BYOL."""
        one_way = self._scale * self._contrast(prediction[0], target[1])
        other_way = self._scale * self._contrast(prediction[1], target[0])
        return one_way + other_way

    def _contrast(self, query: Tensor, key: Tensor) -> Tensor:
        return contrastive_loss(query, key, self._queue, self._temperature).mean()

    def remember(self, target: Pair) -> None:
        """Put the keys of a step at the front of the queue; the oldest leave."""
        newest = [l2_normalize(key) for key in target]
        self._queue = torch.cat([*newest, self._queue])[: len(self._queue)]

    def state(self) -> dict[str, Tensor]:
        """Return the queue."""
        return {"queue": self._queue}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over the queue."""
        self._queue.copy_(state["queue"])


class BatchContrast:
    """SimCLR: each projection picks its other view out of the batch. There is no target network."""

    has_target = False

    def __init__(self, scale: float, temperature: float) -> None:
        self._scale = scale
        self._temperature = temperature

    def loss(self, prediction: Pair, target: Pair) -> Tensor:
        """As `Objective.loss`; the target is not looked at."""
        return self._scale * nt_xent(*prediction, self._temperature).mean()

    def remember(self, target: Pair) -> None:
        """Nothing outlives a step."""

    def state(self) -> dict[str, Tensor]:
        """Nothing outlives a step."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Nothing outlives a step."""


def make_objective(config: TrainConfig, device: torch.device) -> Objective | None:
    """Return what a run minimizes; None for the random encoder, which trains nothing."""
    temperature = config.contrastive.temperature
    match config.method:
        case "byol":
            return Regression(config.loss_scale)
        case "moco":
            return QueueContrast(config.loss_scale, temperature, _first_queue(config).to(device))
        case "simclr":
            return BatchContrast(config.loss_scale, temperature)
        case "random":
            return None


def _first_queue(config: TrainConfig) -> Tensor:
    """Return random keys, so that the first step has negatives too."""
    rng = stream(config.seed, "queue")
    return l2_normalize(normal(rng, 1.0, config.contrastive.queue_size, config.projector.out))
