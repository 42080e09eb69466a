"""BYOL's algorithm: one training step, and the state that a checkpoint holds.

The step follows BYOL (arXiv 2006.07733), section 3 and algorithm 1, in its notation: online
parameters θ, target parameters ξ, encoder f, projector g, predictor q. It has three parts, forward,
update and measure, and waits for the device in none of them. Views are stacked: (V, B, …).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from byol_core.config import TrainConfig
from byol_core.datasets.npz import UNLABELLED
from byol_core.device import to_device
from byol_core.images.source import Batch
from byol_core.metrics.measure import Measured, measure
from byol_core.networks.batch_statistics import set_frozen, set_order
from byol_core.networks.byol import Online, Target
from byol_core.optim.average import MovingAverage
from byol_core.optim.groups import (
    local_rates,
    make_optimizer,
    parameters_of,
    rate_of,
    set_rates,
)
from byol_core.optim.schedules import Schedules
from byol_core.precision import compute_in, rounding_in
from byol_core.streams import stream
from byol_core.train.objective import make_objective


@dataclass(frozen=True)
class StepIndex:
    """Where in training a step stands. `step` counts from 0 over all epochs."""

    step: int
    epoch: int
    batch: int


@dataclass(frozen=True)
class Outputs:
    """What the networks make of the views, each (V, B, …) in float32.

    Attributes:
        features: y = f_θ(v).
        projection: z = g_θ(y).
        prediction: q_θ(z).
        target: z′ = g_ξ(f_ξ(v)); where the target is the online network, z with its gradient.
    """

    features: Tensor
    projection: Tensor
    prediction: Tensor
    target: Tensor


@dataclass(frozen=True)
class StepResult:
    """What a step says of itself, on the device.

    Attributes:
        loss: a scalar.
        measured: the signs of collapse before the update, where they were asked for.
        local_rates: what LARS multiplied the rate of each stage by; measured likewise.
    """

    loss: Tensor
    measured: Measured | None
    local_rates: dict[str, Tensor] = field(default_factory=dict)


class Trainer:
    """Everything that changes while a run trains.

    Attributes:
        frozen: whether running averages stand still (`batch_norm.frozen_from`).

    Args:
        config: the run's settings.
        online: the network that the gradient trains, on the device.
        target: the network that follows it; None where the online network is its own target.
        steps_per_epoch: full batches in an epoch.
        device: where to compute.
    """

    def __init__(
        self,
        config: TrainConfig,
        online: Online,
        target: Target | None,
        steps_per_epoch: int,
        device: torch.device,
    ) -> None:
        self.config = config
        self.device = device
        self.online = online
        self.target = target
        self.steps_per_epoch = steps_per_epoch
        self.frozen = False
        self.schedules = Schedules(config, steps_per_epoch)

        # Lists of parameters are built once; rates and τ are values on the device.
        objective = make_objective(config, device)
        assert objective is not None, "the random encoder takes no steps"
        self.objective = objective
        self.optimizer = make_optimizer(online, config, device)
        self.predictor_parameters = parameters_of(self.optimizer, "predictor")
        self.average = None
        if target is not None:
            self.average = MovingAverage(target, online, config.batch_norm.target, device)

    def step(self, batch: Batch, at: StepIndex, measures: bool) -> StepResult:
        """Take one training step.

        Args:
            batch: x, with the draws of both views.
            at: which step this is.
            measures: also measure what is not optimized, before the update.
        """
        self.set_values(at)
        return self.compute(batch, at.step, measures)

    def set_values(self, at: StepIndex) -> None:
        """Write the step's rates, τ and switches to where the device reads them."""
        set_rates(self.optimizer, self.schedules.rate(at.step), self.config.optimizer.lr)
        if self.average is not None:
            self.average.set_tau(self.schedules.tau(at.step))
        batch_norm = self.config.batch_norm
        total_steps = self.config.epochs * self.steps_per_epoch
        is_late = at.step >= batch_norm.frozen_from * total_steps
        self._freeze(batch_norm.source == "batch" and is_late)
        if self.target is not None and batch_norm.shuffle:
            rng = stream(self.config.seed, "shuffle", at.epoch, at.batch)
            images = self.config.batch_size // self.config.accumulate
            set_order(self.target, rng.permutation(images))

    def compute(self, batch: Batch, step: int, measures: bool) -> StepResult:
        """Take a step whose values are set: all that is computed on the device (``graph``)."""
        if self.config.target.moves == "before":
            self._move_target()

        # Two views of each image: v = t(x) and v′ = t′(x).
        views = batch.views(self.device)
        labels = to_device(batch.labels, self.device)

        # ∇_θ loss, averaged over the parts that the batch goes through in; usually there is one.
        self.optimizer.zero_grad(set_to_none=True)
        losses: list[Tensor] = []
        measured: Measured | None = None
        for number, (part, part_labels) in enumerate(self._parts(views, labels), start=1):
            outputs = self.forward(part, step)
            loss = self.loss(outputs, part_labels)
            with rounding_in(self.config.precision):
                (loss / self.config.accumulate).backward()  # type: ignore[no-untyped-call]
            if measures and number == self.config.accumulate:
                measured = self.measure(outputs)
            self.objective.remember(outputs.target)
            losses.append(loss.detach())

        # θ ← optimizer(θ, ∇_θ loss), then ξ ← τ ξ + (1 − τ) θ.
        self.update()
        rates = local_rates(self.optimizer) if measures else {}
        return StepResult(torch.stack(losses).mean(), measured, rates)

    def forward(self, views: Tensor, step: int) -> Outputs:
        """Return what the networks make of views (V, B, C, H, W)."""
        with compute_in(self.config.precision, self.device):
            # Online network: y = f_θ(v) and z = g_θ(y).
            features, projection = self.online(views)

            # Target network: z′ = g_ξ(f_ξ(v)), through which no gradient flows.
            target = projection
            if self.target is not None:
                with torch.no_grad():
                    _, target = self.target(views)

            # The prediction q_θ(z), after what the predictor does by itself on this batch.
            self._prepare_predictor(projection.detach(), target.detach(), step)
            prediction = self.online.predictor(projection)
        return Outputs(features.float(), projection.float(), prediction.float(), target.float())

    def loss(self, outputs: Outputs, labels: Tensor) -> Tensor:
        """Return what is minimized; labels (B,) count where the loss has a weight for them."""
        loss = self.objective(outputs.prediction, outputs.target)
        if self.config.loss.label_weight:
            loss = loss + self.config.loss.label_weight * self._label_loss(outputs.features, labels)
        return loss

    def update(self) -> None:
        """Move the online network along the gradient, then the target after it."""
        self.optimizer.step()
        if self.config.target.moves == "after":
            self._move_target()

    def measure(self, outputs: Outputs) -> Measured:
        """Return the signs of collapse and what else is not optimized; of parts, the last one's."""
        return measure(outputs, self.online.predictor, self.objective, extras=True)

    def state(self) -> dict[str, Any]:
        """Return all that the next step depends on, apart from its number."""
        parts: dict[str, Any] = {
            "online": self.online.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "objective": self.objective.state(),
        }
        if self.target is not None:
            parts["target"] = self.target.state_dict()
        return parts

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.online.load_state_dict(state["online"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.objective.load_state(state["objective"])
        if self.target is not None:
            self.target.load_state_dict(state["target"])

    def _freeze(self, frozen: bool) -> None:
        """Have running averages of both networks stand still from now on, or let them go on."""
        if frozen == self.frozen:
            return
        for network in (self.online, self.target):
            if network is not None:
                set_frozen(network, frozen)
        self.frozen = frozen

    def _move_target(self) -> None:
        if self.average is not None:
            self.average.move()

    def _parts(self, views: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the views and labels of each part of a batch."""
        count = self.config.accumulate
        yield from zip(views.chunk(count, dim=1), labels.chunk(count), strict=True)

    def _prepare_predictor(self, projection: Tensor, target: Tensor, step: int) -> None:
        """Fit a predictor that has a closed form, or let one that is trained take its own steps."""
        self.online.predictor.fit(projection, target, step)
        if not self.predictor_parameters:
            return
        for _ in range(self.config.predictor.inner_steps):
            prediction = self.online.predictor(projection)
            loss = self.objective(prediction.float(), target.float())
            self._descend_predictor(torch.autograd.grad(loss, self.predictor_parameters))

    @torch.no_grad()
    def _descend_predictor(self, gradients: tuple[Tensor, ...]) -> None:
        """Take a plain gradient step of the predictor alone, at its own rate."""
        rate = rate_of(self.optimizer, "predictor")
        assert rate is not None, "parameters of the optimizer have a rate"
        torch._foreach_sub_(self.predictor_parameters, torch._foreach_mul(gradients, rate))

    def _label_loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy of the labelled images over both views; 0 without any."""
        logits = self.online.classifier(features)
        classes = labels.expand(len(features), -1)
        total = F.cross_entropy(
            logits.flatten(0, 1), classes.flatten(), ignore_index=UNLABELLED, reduction="sum"
        )
        return total / (classes != UNLABELLED).sum().clamp_min(1)
