"""The training loop of one call: resume, step, measure, checkpoint."""

import math
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from torch import Tensor

from byol_core.images.load import batches
from byol_core.images.memory import Dataset
from byol_core.images.source import Batch
from byol_core.train.checkpoint import Checkpoints, numerics
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
        dataset: Dataset,
        checkpoints: Checkpoints,
        options: Options,
        observer: Observer,
    ) -> None:
        self.trainer = trainer
        self.dataset = dataset
        self.checkpoints = checkpoints
        self.options = options
        self.observer = observer
        self.epochs = trainer.config.epochs
        self.numerics = numerics(trainer.device)

        # Where this call starts, and when it last saved and logged.
        self.last_epoch = LastEpoch()
        self.first_step = self._resume()
        self.saved_at_s = time.monotonic()
        self.logged_at_s = self.saved_at_s
        self.logged_step = self.first_step

    def run(self) -> Result:
        """Step to the end, to a loss that is not finite, or to where the observer asks to stop."""
        with closing(self._arriving()) as arriving:
            for at, batch in arriving:
                ended = self._pass(at, batch)
                if ended is not None:
                    return ended

        # One more checkpoint, so that an evaluation that is cut short does not cost the training.
        end = self.epochs * self.trainer.steps_per_epoch
        if self.first_step < end:
            self._checkpoint(end)
        return Result("ok", end, self.last_epoch.initial, self.last_epoch.means())

    def _arriving(self) -> Generator[tuple[StepIndex, Batch], None, None]:
        """Yield each step that is still to take, with its images, which are read ahead of it."""
        config = self.trainer.config
        requests = (view_request(config, rows, at, views=(1, 2)) for at, rows in self._steps())
        with closing(self.dataset.pretrain.read(requests)) as reading:
            for (at, _), batch in zip(self._steps(), reading, strict=True):
                yield at, batch

    def _pass(self, at: StepIndex, batch: Batch) -> Result | None:
        """Take a step and return None, or return why the run ends before or at it."""
        reason = self.observer.stop_reason()
        if reason is not None:
            self._checkpoint(at.step)
            return Result("stopped", at.step, reason=reason)
        if self.options.max_steps and at.step >= self.options.max_steps:
            return Result("cut", at.step, self.last_epoch.initial)
        if time.monotonic() - self.saved_at_s > self.options.checkpoint_every_s:
            self._checkpoint(at.step)
        if not self._step(at, batch):
            return Result("diverged", at.step, self.last_epoch.initial)
        return None

    def _resume(self) -> int:
        """Load the newest checkpoint; return the step to start with."""
        step = 0
        checkpoint = self.checkpoints.latest()
        if checkpoint is not None:
            step = checkpoint.step
            self.trainer.load_state(checkpoint.state["trainer"])
            self.last_epoch = LastEpoch(**checkpoint.state["last_epoch"])
        total_steps = self.epochs * self.trainer.steps_per_epoch
        is_exact = checkpoint is None or checkpoint.numerics == self.numerics
        self.observer.started(step, total_steps, exact=is_exact)
        return step

    def _steps(self) -> Iterator[tuple[StepIndex, Tensor]]:
        """Yield each step that is still to take, and the rows of its images."""
        config = self.trainer.config
        per_epoch = self.trainer.steps_per_epoch
        for epoch in range(self.first_step // per_epoch, self.epochs):
            order = batches(len(self.dataset.pretrain), config.batch_size, config.seed, epoch)
            for number, rows in enumerate(order):
                step = epoch * per_epoch + number
                if step >= self.first_step:
                    yield StepIndex(step, epoch, number), rows

    def _step(self, at: StepIndex, batch: Batch) -> bool:
        """Take a step; false where the loss is not finite."""
        logs = at.step % self.options.log_every == 0
        is_last_epoch = at.epoch == self.epochs - 1
        scalars = self.trainer.step(batch, at, measure=logs or is_last_epoch)
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
        # Images per second since the last point.
        now_s = time.monotonic()
        steps = at.step + 1 - self.logged_step
        images_per_s = steps * self.trainer.config.batch_size / max(now_s - self.logged_at_s, 1e-9)
        self.logged_at_s = now_s
        self.logged_step = at.step + 1

        rates = {"lr": self.trainer.lr(at.step), "tau": self.trainer.tau(at.step)}
        self.observer.measured(at.step, at.epoch, {**metrics, **rates}, images_per_s)

    def _checkpoint(self, step: int) -> None:
        self.observer.before_write()
        state = {"trainer": self.trainer.state(), "last_epoch": vars(self.last_epoch)}
        self.checkpoints.save(step, state, self.numerics)
        self.saved_at_s = time.monotonic()
        self.observer.checkpointed(step)
