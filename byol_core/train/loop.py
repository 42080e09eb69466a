"""The training loop of one call: resume, step, measure, checkpoint."""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import tee
from typing import Any

from torch import Tensor

from byol_core.images.load import batches
from byol_core.images.memory import Dataset
from byol_core.images.source import Batch
from byol_core.train.checkpoint import Checkpoint, Checkpoints, numerics
from byol_core.train.observer import Observer, Options, Result
from byol_core.train.requests import view_request
from byol_core.train.step import StepIndex, Trainer


@dataclass
class LastEpoch:
    """Means over every step of the last epoch, and the values at step 0: they survive a resume."""

    initial: dict[str, float] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, metrics: dict[str, float]) -> None:
        """Take in one step."""
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def means(self) -> dict[str, float]:
        """Return the mean of each metric."""
        return {name: total / self.count for name, total in self.sums.items()}


class Loop:
    """The training loop of one call: resume, step, measure, checkpoint."""

    def __init__(
        self,
        trainer: Trainer,
        images: Dataset,
        checkpoints: Checkpoints,
        options: Options,
        observer: Observer,
    ) -> None:
        self.trainer, self.images, self.checkpoints = trainer, images, checkpoints
        self.options, self.observer = options, observer
        self.epochs = trainer.config.epochs
        self.numerics = numerics(trainer.device)
        self.last_epoch = LastEpoch()
        self.first_step = self._resume()
        self.saved_at_s = self.logged_at_s = time.monotonic()
        self.logged_step = self.first_step

    def run(self) -> Result:
        """Step to the end, to a loss that is not finite, or to where the observer asks to stop."""
        moments, ahead = tee(self._moments())
        requests = (view_request(self.trainer.config, rows, at, views=(1, 2)) for at, rows in ahead)
        with closing(self.images.pretrain.read(requests)) as arriving:
            for (at, _), images in zip(moments, arriving, strict=True):
                ended = self._pass(at, images)
                if ended is not None:
                    return ended
        end = self.epochs * self.trainer.steps_per_epoch
        if self.first_step < end:
            self._checkpoint(
                end
            )  # so that an evaluation that is cut short does not cost the training
        return Result("ok", end, self.last_epoch.initial, self.last_epoch.means())

    def _pass(self, at: StepIndex, images: Batch) -> Result | None:
        """Take a step and return None, or return why the run ends before or at it."""
        reason = self.observer.stop_reason()
        if reason is not None:
            self._checkpoint(at.step)
            return Result("stopped", at.step, reason=reason)
        if self.options.max_steps and at.step >= self.options.max_steps:
            return Result("cut", at.step, self.last_epoch.initial)
        if time.monotonic() - self.saved_at_s > self.options.checkpoint_every_s:
            self._checkpoint(at.step)
        if not self._step(at, images):
            return Result("diverged", at.step, self.last_epoch.initial)
        return None

    def _resume(self) -> int:
        found = self.checkpoints.latest()
        if found is not None:
            self.trainer.load_state(found.state["trainer"])
            self.last_epoch = LastEpoch(**found.state["last_epoch"])
        step = found.step if found else 0
        total = self.epochs * self.trainer.steps_per_epoch
        self.observer.started(step, total, exact=_is_exact(found, self.numerics))
        return step

    def _moments(self) -> Iterator[tuple[StepIndex, Tensor]]:
        """Yield each step that is still to take, and the rows of its images."""
        config, per_epoch, n = (
            self.trainer.config,
            self.trainer.steps_per_epoch,
            len(self.images.pretrain),
        )
        for epoch in range(self.first_step // per_epoch, self.epochs):
            for batch, rows in enumerate(batches(n, config.batch_size, config.seed, epoch)):
                step = epoch * per_epoch + batch
                if step >= self.first_step:
                    yield StepIndex(step, epoch, batch), rows

    def _step(self, at: StepIndex, images: Batch) -> bool:
        """Take a step; false where the loss is not finite."""
        logs = at.step % self.options.log_every == 0
        is_last_epoch = at.epoch == self.epochs - 1
        scalars = self.trainer.step(images, at, measure=logs or is_last_epoch)
        metrics = {name: float(value) for name, value in scalars.items()}
        if at.step == 0:
            self.last_epoch.initial = metrics
        if is_last_epoch:
            self.last_epoch.add(metrics)
        finite = math.isfinite(metrics["loss"])
        if logs or not finite:
            self._log(at, metrics)
        return finite

    def _log(self, at: StepIndex, metrics: dict[str, float]) -> None:
        now_s, steps = time.monotonic(), at.step + 1 - self.logged_step
        images_per_s = steps * self.trainer.config.batch_size / max(now_s - self.logged_at_s, 1e-9)
        self.logged_at_s, self.logged_step = now_s, at.step + 1
        rates = {"lr": self.trainer.lr(at.step), "tau": self.trainer.tau(at.step)}
        self.observer.measured(at.step, at.epoch, {**metrics, **rates}, images_per_s)

    def _checkpoint(self, step: int) -> None:
        self.observer.before_write()
        state = {"trainer": self.trainer.state(), "last_epoch": vars(self.last_epoch)}
        self.checkpoints.save(step, state, self.numerics)
        self.saved_at_s = time.monotonic()
        self.observer.checkpointed(step)


def _is_exact(found: Checkpoint | None, here: dict[str, Any]) -> bool:
    return found is None or found.numerics == here
