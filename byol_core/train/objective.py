"""What a step minimizes, as a value: how predictions are compared with targets.

Which prediction and which target is for the networks to say: an objective sees (V, B, D) of each,
the two views stacked. So predictor, target, loss and normalization are settings of their own, and
the step (``step``) is the same for all.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from byol_core.config import TrainConfig
from byol_core.losses.contrastive import contrastive_loss, nt_xent, regression_with_negatives
from byol_core.losses.normalize import (
    Normalization,
    at_least_float32,
    l2_normalize,
    normalize,
)
from byol_core.losses.regression import regression_loss
from byol_core.plugins import is_plug_in, load_part
from byol_core.streams import normal, stream

State = dict[str, Tensor]


class Objective(Protocol):
    """Compares predictions with targets, and keeps what the next step needs."""

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the scalar that a step minimizes; both are (2, B, D), in the same order of views.

        Where the target is the online network itself, it comes with its gradient.
        """

    def comparable(self, target: Tensor) -> Tensor:
        """Return targets as the loss compares them, which a predictor could be fitted to."""

    def remember(self, target: Tensor) -> None:
        """Take in the targets of a step, after its backward pass."""

    def state(self) -> State:
        """Return what the next step depends on."""

    def load_state(self, state: State) -> None:
        """Go on from what `state` returned."""


class Comparison:
    """Is an objective; by itself it keeps nothing between steps.

    Args:
        compare: prediction (2, B, D) and target (2, B, D) → a scalar.
        scale: factor on it.
        normalization: how it compares vectors.
    """

    def __init__(
        self,
        compare: Callable[[Tensor, Tensor], Tensor],
        scale: float,
        normalization: Normalization = "l2",
    ) -> None:
        self._compare = compare
        self._scale = scale
        self._normalization = normalization

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """As `Objective`."""
        with torch.autocast(prediction.device.type, enabled=False):
            return self._scale * self._compare(
                at_least_float32(prediction), at_least_float32(target)
            )

    def comparable(self, target: Tensor) -> Tensor:
        """As `Objective.comparable`."""
        return normalize(at_least_float32(target), self._normalization)

    def remember(self, target: Tensor) -> None:
        """Nothing outlives a step."""

    def state(self) -> State:
        """Nothing outlives a step."""
        return {}

    def load_state(self, state: State) -> None:
        """Nothing outlives a step."""


class QueueContrast(Comparison):
    """Is MoCo's: each prediction picks the other view's target out of a queue of earlier targets.

    The cross-entropies of both orders are added, as in the blog's code (untitled-ai/
    self_supervised, moco.py), in which one view's keys enter the queue alone: those that the first
    view is compared with. Here they are the first view's; both views are drawn alike there.

    Args:
        scale: factor on the loss.
        symmetric: whether the second view predicts the first, too.
        temperature: of the softmax.
        keys_of: how many views' keys enter the queue, 1 or 2.
        queue: (K, D) l2-normalized, a ring: the newest keys take the place of the oldest.
    """

    def __init__(
        self, scale: float, symmetric: bool, temperature: float, keys_of: int, queue: Tensor
    ) -> None:
        super().__init__(in_orders(self._one_way, symmetric), scale)
        self._temperature = temperature
        self._keys_of = keys_of
        self._queue = queue
        self._next = torch.zeros((), dtype=torch.long, device=queue.device)

    def _one_way(self, prediction: Tensor, target: Tensor, own_target: Tensor) -> Tensor:
        queue = self._queue.to(prediction.dtype)
        return contrastive_loss(prediction, target, queue, self._temperature)

    @torch.no_grad()
    def remember(self, target: Tensor) -> None:
        """Write the keys of a step into the ring; of more keys than it holds, the last."""
        places = len(self._queue)
        newest = l2_normalize(at_least_float32(target[: self._keys_of])).flatten(0, 1)[-places:]

        # Where they go is counted on the device, so that nothing waits for it.
        offsets = torch.arange(len(newest), device=self._queue.device)
        self._queue.index_copy_(0, (self._next + offsets) % places, newest.to(self._queue.dtype))
        self._next.add_(len(newest)).remainder_(places)

    def state(self) -> State:
        """Return the queue, and which of its places is written next."""
        return {"queue": self._queue, "queue_next": self._next}

    def load_state(self, state: State) -> None:
        """Take over the queue."""
        self._queue.copy_(state["queue"])
        self._next.copy_(state["queue_next"])


class PlugIn(Comparison):
    """Is a loss of the user's own: an object that is called with predictions and targets.

    It may also have `remember`, `state` and `load_state`, as `Objective` describes them. Where it is
    a module, it moves to the device; what it holds is not trained.
    """

    def __init__(self, name: str, config: TrainConfig, device: torch.device) -> None:
        self._own = load_part(name)(config)
        if isinstance(self._own, nn.Module):
            self._own.to(device)
        super().__init__(self._own, config.loss.scale)

    def remember(self, target: Tensor) -> None:
        """Hand the targets on, where the user's loss takes them."""
        if hasattr(self._own, "remember"):
            self._own.remember(target)

    def state(self) -> State:
        """Return what the user's loss keeps."""
        return dict(self._own.state()) if hasattr(self._own, "state") else {}

    def load_state(self, state: State) -> None:
        """Hand it back."""
        if hasattr(self._own, "load_state"):
            self._own.load_state(state)


OneWay = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Prediction of view v, target of the other view v′ and target of v, each (B, D) → (B,)."""


def in_orders(one_way: OneWay, symmetric: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a loss that adds up the means of both orders of the views, or takes the first alone."""

    def compare(prediction: Tensor, target: Tensor) -> Tensor:
        there = one_way(prediction[0], target[1], target[0]).mean()
        if not symmetric:
            return there
        return there + one_way(prediction[1], target[0], target[1]).mean()

    return compare


def make_objective(config: TrainConfig, device: torch.device) -> Objective | None:
    """Return what a run minimizes; None for the random encoder, which trains nothing."""
    loss = config.loss
    match config.method:
        case "byol":
            one_way = _regression(config)
            return Comparison(in_orders(one_way, loss.symmetric), loss.scale, loss.normalize)
        case "moco":
            keys_of = 2 if loss.queue_keys == "both" else 1
            queue = _first_queue(config).to(device)
            return QueueContrast(loss.scale, loss.symmetric, loss.temperature, keys_of, queue)
        case "simclr":
            return Comparison(lambda p, t: nt_xent(p, t, loss.temperature).mean(), loss.scale)
        case "random":
            return None
    assert is_plug_in(config.method), config.method
    return PlugIn(config.method, config, device)


def _regression(config: TrainConfig) -> OneWay:
    """Return BYOL's loss of one order: equation 2, or equation 6 where β is above 0.

    With `loss.scale` 1/4 its sum over both orders is SimSiam's loss but for a constant, half of the
    negative cosine of each order (arXiv 2011.10566, equation 2).
    """
    loss = config.loss

    def plain(prediction: Tensor, target: Tensor, own_target: Tensor) -> Tensor:
        return regression_loss(prediction, target, loss.normalize)

    def with_negatives(prediction: Tensor, target: Tensor, own_target: Tensor) -> Tensor:
        return regression_with_negatives(
            prediction, target, own_target, loss.beta, loss.temperature
        )

    return with_negatives if loss.beta else plain


def _first_queue(config: TrainConfig) -> Tensor:
    """Return random keys, so that the first step has negatives too."""
    rng = stream(config.seed, "queue")
    return l2_normalize(normal(rng, 1.0, config.loss.queue_size, config.projector.out))
