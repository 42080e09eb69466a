"""BYOL's algorithm: the networks, one training step, and the state that a checkpoint holds.

The step follows BYOL (arXiv 2006.07733), section 3 and algorithm 1, in its notation: online
parameters θ, target parameters ξ, encoder f, projector g, predictor q. Batch norm sees one view at
a time, four forward passes a step, as in the official code: statistics over both views together
would be another ablation.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from byol_core.config import TrainConfig
from byol_core.images.source import Batch
from byol_core.metrics.collapse import collapse_metrics
from byol_core.networks.byol import Online, Target
from byol_core.networks.init import calibrating, initialize
from byol_core.optim.groups import make_optimizer
from byol_core.optim.schedules import learning_rate, target_tau
from byol_core.streams import stream
from byol_core.train.objective import Objective, Pair, make_objective


@dataclass(frozen=True)
class StepIndex:
    """Where in training a step stands. `step` counts from 0 over all epochs."""

    step: int
    epoch: int
    batch: int


class Trainer:
    """Everything that changes while a run trains.

    Args:
        config: the run's settings.
        channels: of the images.
        steps_per_epoch: full batches in an epoch.
        device: where to compute.
    """

    def __init__(
        self, config: TrainConfig, channels: int, steps_per_epoch: int, device: torch.device
    ) -> None:
        self.config = config
        self.device = device
        self.steps_per_epoch = steps_per_epoch
        self.schedule_steps = (config.schedule_epochs or config.epochs) * steps_per_epoch
        self.online = Online(config, channels)
        initialize(self.online, config.init, config.seed)
        self.target = Target(config, channels).requires_grad_(False)
        self.online.to(device).train()
        self.target.to(device).train()
        self._start_target()
        self.optimizer = make_optimizer(self.online, config.optimizer)
        self.objective = make_objective(config, device)

    @torch.no_grad()
    def fit_affine(self, batch: Batch) -> None:
        """Set every `affine` norm to act as batch norm would on view 1 of a batch; start the target."""
        view = batch.view(1, self.config.augment, stream(self.config.seed, "affine"), self.device)
        with calibrating(self.online):
            self.online.predictor(self.online.project(view))
        self._start_target()

    def step(self, batch: Batch, at: StepIndex, measure: bool) -> dict[str, Tensor]:
        """Take one training step.

        Args:
            batch: x, of which both views are drawn.
            at: which step this is; the augmentation depends on it and on the seed alone.
            measure: also return the signs of collapse, which are taken before the update.

        Returns:
            Scalars: `loss`, and with `measure` what `collapse_metrics` gives.
        """
        assert self.objective is not None, "the random encoder takes no steps"

        # Two views of each image: v = t(x) and v′ = t′(x).
        view1 = self._view(batch, at, 1)
        view2 = self._view(batch, at, 2)

        # Online network: projections z = g_θ(f_θ(v)) of both views, and predictions q_θ(z).
        online = (self.online.project(view1), self.online.project(view2))
        prediction = self._predict(online, self.objective)

        # Target network: projections z′ = g_ξ(f_ξ(v′)) of both views, through which no gradient flows.
        target = self._project_target(view1, view2, online, self.objective)

        # The loss compares the prediction from one view with the target from the other, both ways.
        loss = self.objective.loss(prediction, target)
        signs = collapse_metrics(*online, *target) if measure else {}

        # θ ← optimizer(θ, ∇_θ loss), then ξ ← τ ξ + (1 − τ) θ.
        self._descend(loss, at.step)
        if self.objective.has_target:
            self._move_target(at.step)
        self.objective.remember(target)
        return {"loss": loss.detach(), **signs}

    def _predict(self, online: Pair, objective: Objective) -> Pair:
        """Return q_θ(z) of both views; without a target there is nothing to predict, so z itself."""
        if not objective.has_target:
            return online
        return self.online.predictor(online[0]), self.online.predictor(online[1])

    @torch.no_grad()
    def _project_target(
        self, view1: Tensor, view2: Tensor, online: Pair, objective: Objective
    ) -> Pair:
        """Return z′ of both views; without a target network the online projections stand in for it."""
        if not objective.has_target:
            return online
        return self.target.project(view1), self.target.project(view2)

    def lr(self, step: int) -> float:
        """Return the learning rate of a step."""
        config = self.config.optimizer
        warmup_steps = round(config.warmup_epochs * self.steps_per_epoch)
        return learning_rate(step, self.schedule_steps, warmup_steps, config.lr, config.schedule)

    def tau(self, step: int) -> float:
        """Return τ of a step."""
        config = self.config.target
        return target_tau(step, self.schedule_steps, config.tau_base, config.schedule)

    def state(self) -> dict[str, Any]:
        """Return all that the next step depends on, apart from its number."""
        parts: dict[str, Any] = {
            "online": self.online.state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        if self.objective is not None:
            parts |= self.objective.state()
        return parts

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.online.load_state_dict(state["online"])
        self.target.load_state_dict(state["target"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.objective is not None:
            self.objective.load_state(state)

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Give an untrained encoder the batch-norm statistics of these batches (the random encoder)."""
        networks = (self.online, self.target)
        for network in networks:
            _average_statistics(network)

        for number, batch in enumerate(batches):
            view = self._view(batch, StepIndex(number, 0, number), 1)
            for network in networks:
                network.project(view)

    def _start_target(self) -> None:
        """Start the target: ξ ← θ, or a draw of its own.

        The official code draws anew, and notes that it made no significant difference.
        """
        self.target.load_state_dict(_without_predictor(self.online.state_dict()))
        if self.config.target.start == "draw":
            initialize(self.target, self.config.init, self.config.seed, draw="target")

    def _view(self, batch: Batch, at: StepIndex, view: int) -> Tensor:
        rng = stream(self.config.seed, "view", view, at.epoch, at.batch)
        return batch.view(view, self.config.augment, rng, self.device)

    def _descend(self, loss: Tensor, step: int) -> None:
        """Move θ: λ and μ are the factors of the predictor's and the projector's groups."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(step) * group["lr_factor"]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    @torch.no_grad()
    def _move_target(self, step: int) -> None:
        """Move ξ ← τ ξ + (1 − τ) θ, parameters only; batch-norm statistics are the target's own."""
        theta = dict(self.online.named_parameters())
        xi = dict(self.target.named_parameters())
        torch._foreach_lerp_(list(xi.values()), [theta[name] for name in xi], 1 - self.tau(step))


def _average_statistics(network: nn.Module) -> None:
    """Have every batch norm of a network average plainly over all batches from now on."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None


def _without_predictor(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if not name.startswith("predictor.")}
