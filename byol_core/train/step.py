"""BYOL's algorithm: the networks, one training step, and the state that a checkpoint holds.

The step follows BYOL (arXiv 2006.07733), section 3 and algorithm 1. Batch norm sees one view at a
time, four forward passes a step, as in the official code: statistics over both views together would
be another ablation.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from byol_core.config import TrainConfig
from byol_core.images.source import Batch
from byol_core.losses.contrastive import contrastive_loss, nt_xent
from byol_core.losses.regression import l2_normalize, regression_loss
from byol_core.metrics.collapse import collapse_metrics
from byol_core.networks.byol import Online, Target
from byol_core.networks.init import calibrating, initialize
from byol_core.optim.groups import make_optimizer
from byol_core.optim.schedules import learning_rate, target_tau
from byol_core.streams import normal, stream


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
        self.queue = self._first_queue() if config.method == "moco" else None

    @torch.no_grad()
    def fit_affine(self, images: Batch) -> None:
        """Set every `affine` norm so that it acts on view 1 of these images as batch norm would;
        then start the target.
        """
        view = images.view(1, self.config.augment, stream(self.config.seed, "affine"), self.device)
        with calibrating(self.online):
            self.online.predictor(self.online.project(view))
        self._start_target()

    def step(self, images: Batch, at: StepIndex, measure: bool) -> dict[str, Tensor]:
        """Take one training step.

        Args:
            images: x, of which both views are drawn.
            at: which step this is; the augmentation depends on it and on the seed alone.
            measure: also return the signs of collapse, which are taken before the update.

        Returns:
            Scalars: `loss`, and with `measure` what `collapse_metrics` gives.
        """
        view1, view2 = self._view(images, at, 1), self._view(images, at, 2)  # v = t(x), v′ = t′(x)
        if self.config.method == "simclr":
            return self._simclr_step(view1, view2, at, measure)

        online1, online2 = self.online.project(view1), self.online.project(view2)  # z = g(f(v))
        prediction1, prediction2 = (
            self.online.predictor(online1),
            self.online.predictor(online2),
        )  # q(z)
        with torch.no_grad():  # sg: no gradient flows into the target
            target1, target2 = (
                self.target.project(view1),
                self.target.project(view2),
            )  # z′ = g_ξ(f_ξ(v′))

        loss = self._loss(prediction1, target2) + self._loss(
            prediction2, target1
        )  # symmetrized, equation 2 and below
        measured = collapse_metrics(online1, online2, target1, target2) if measure else {}

        self._descend(loss, at.step)
        self._move_target(at.step)
        self._enqueue(target1, target2)
        return {"loss": loss.detach(), **measured}

    def _simclr_step(
        self, view1: Tensor, view2: Tensor, at: StepIndex, measure: bool
    ) -> dict[str, Tensor]:
        """One step of SimCLR: no predictor and no target; the other view stands in for the target
        when measuring.
        """
        online1, online2 = self.online.project(view1), self.online.project(view2)
        loss = (
            self.config.loss_scale
            * nt_xent(online1, online2, self.config.contrastive.temperature).mean()
        )
        measured = collapse_metrics(online1, online2, online1, online2) if measure else {}
        self._descend(loss, at.step)
        return {"loss": loss.detach(), **measured}

    def lr(self, step: int) -> float:
        """Return the learning rate of a step."""
        how = self.config.optimizer
        warmup_steps = round(how.warmup_epochs * self.steps_per_epoch)
        return learning_rate(step, self.schedule_steps, warmup_steps, how.lr, how.schedule)

    def tau(self, step: int) -> float:
        """Return τ of a step."""
        how = self.config.target
        return target_tau(step, self.schedule_steps, how.tau_base, how.schedule)

    def state(self) -> dict[str, Any]:
        """Return all that the next step depends on, apart from its number."""
        parts: dict[str, Any] = {
            "online": self.online.state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        return parts if self.queue is None else {**parts, "queue": self.queue}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.online.load_state_dict(state["online"])
        self.target.load_state_dict(state["target"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.queue is not None:
            self.queue.copy_(state["queue"])

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Batch]) -> None:
        """Give an untrained encoder the batch-norm statistics of these batches: the random-encoder
        row.
        """
        networks = (self.online, self.target)
        for layer in (layer for network in networks for layer in network.modules()):
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = None  # a plain average over the batches
        for batch, images in enumerate(batches):
            view = self._view(images, StepIndex(batch, 0, batch), 1)
            for network in networks:
                network.project(view)

    def _start_target(self) -> None:
        """ξ ← θ, or another draw, as in the official code, which notes that it made no significant
        difference.
        """
        self.target.load_state_dict(_without_predictor(self.online.state_dict()))
        if self.config.target.start == "draw":
            initialize(self.target, self.config.init, self.config.seed, draw="target")

    def _view(self, images: Batch, at: StepIndex, which: int) -> Tensor:
        rng = stream(self.config.seed, "view", which, at.epoch, at.batch)
        return images.view(which, self.config.augment, rng, self.device)

    def _loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Mean over the batch of one direction's loss."""
        if self.queue is None:
            each = regression_loss(prediction, target)
        else:
            each = contrastive_loss(
                prediction, target, self.queue, self.config.contrastive.temperature
            )
        return self.config.loss_scale * each.mean()

    def _descend(self, loss: Tensor, step: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(step) * group["lr_factor"]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    @torch.no_grad()
    def _move_target(self, step: int) -> None:
        """ξ ← τ ξ + (1 − τ) θ, parameters only; batch-norm statistics are the target's own."""
        theta = dict(self.online.named_parameters())
        xi = dict(self.target.named_parameters())
        torch._foreach_lerp_(list(xi.values()), [theta[name] for name in xi], 1 - self.tau(step))

    def _enqueue(self, *keys: Tensor) -> None:
        """Put this step's keys at the front of MoCo's queue; the oldest leave."""
        if self.queue is not None:
            self.queue = torch.cat([*(l2_normalize(key) for key in keys), self.queue])[
                : len(self.queue)
            ]

    def _first_queue(self) -> Tensor:
        size, width = self.config.contrastive.queue_size, self.config.projector.out
        return l2_normalize(normal(stream(self.config.seed, "queue"), 1.0, size, width)).to(
            self.device
        )


def _without_predictor(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if not name.startswith("predictor.")}
