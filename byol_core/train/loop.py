"""The training loop of one call: resume, step, measure, checkpoint."""

import math
import time
from collections.abc import Generator, Iterator
from contextlib import closing

from torch import Tensor

from byol_core.images.load import batches
from byol_core.images.memory import Dataset
from byol_core.images.source import Batch
from byol_core.metrics.accumulate import Accumulator, read_point
from byol_core.train.background import BackgroundSaves
from byol_core.train.checkpoint import Checkpoints, numerics
from byol_core.train.compute_path import ComputePath, make_steps
from byol_core.train.observer import Observer, Options, Result
from byol_core.train.requests import step_request
from byol_core.train.step import StepIndex, StepResult, Trainer


class Loop:
    """The training loop of one call: resume, step, measure, checkpoint."""

    def __init__(
        self,
        trainer: Trainer,
        path: ComputePath,
        dataset: Dataset,
        checkpoints: Checkpoints,
        options: Options,
        observer: Observer,
    ) -> None:
        self.trainer = trainer
        self.steps = make_steps(trainer, path)
        self.dataset = dataset
        self.checkpoints = checkpoints
        self.options = options
        self.observer = observer
        self.epochs = trainer.config.epochs
        self.numerics = numerics(trainer.device, path)

        # What is summed up on the device: losses of all steps, and all of the last epoch.
        self.losses = Accumulator(trainer.device)
        self.last_epoch = Accumulator(trainer.device)
        self.initial: dict[str, float] = {}
        self.saves = BackgroundSaves(checkpoints, observer, self.numerics)

        # Where this call starts, and when it last saved and logged.
        self.first_step = self._resume()
        self.saved_at_s = time.monotonic()
        self.logged_at_s = self.saved_at_s
        self.logged_step = self.first_step

    def run(self) -> Result:
        """Step to the end, to a loss that is not finite, or to where the observer asks to stop."""
        with self.saves:
            return self._run()

    def _run(self) -> Result:
        with closing(self._arriving()) as arriving:
            for at, batch in arriving:
                ended = self._pass(at, batch)
                if ended is not None:
                    return ended

        diverged = self._divergence()
        if diverged is not None:
            return diverged

        # One more checkpoint, so that an evaluation that is cut short does not cost the training.
        end = self.epochs * self.trainer.steps_per_epoch
        if self.first_step < end:
            self._checkpoint(end)
        return Result("ok", end, self.initial, self.last_epoch.read())

    def _arriving(self) -> Generator[tuple[StepIndex, Batch], None, None]:
        """Yield each step that is still to take, with its images, which are read ahead of it."""
        source = self.dataset.pretrain
        requests = (
            step_request(self.trainer.config, source, rows, at) for at, rows in self._steps()
        )
        with closing(source.read(requests)) as reading:
            for (at, _), batch in zip(self._steps(), reading, strict=True):
                yield at, batch

    def _pass(self, at: StepIndex, batch: Batch) -> Result | None:
        """Take a step and return None, or return why the run ends before or at it."""
        self.saves.look()
        reason = self.observer.stop_reason()
        is_cut = bool(self.options.max_steps) and at.step >= self.options.max_steps
        is_due = time.monotonic() - self.saved_at_s > self.options.checkpoint_every_s

        # What has diverged is never kept, nor called cut or stopped.
        if reason is not None or is_cut or is_due:
            diverged = self._divergence()
            if diverged is not None:
                return diverged
        if reason is not None:
            self._checkpoint(at.step)
            return Result("stopped", at.step, reason=reason)
        if is_cut:
            return Result("cut", at.step, self.initial)
        if is_due:
            self._checkpoint(at.step)
        return self._step(at, batch)

    def _resume(self) -> int:
        """Load the newest checkpoint; return the step to start with."""
        step = 0
        checkpoint = self.checkpoints.latest()
        if checkpoint is not None:
            step = checkpoint.step
            self.trainer.load_state(checkpoint.state["trainer"])
            self.losses.load_state(checkpoint.state["losses"])
            self.last_epoch.load_state(checkpoint.state["last_epoch"])
            self.initial = checkpoint.state["initial"]
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

    def _step(self, at: StepIndex, batch: Batch) -> Result | None:
        """Take a step; the host waits for it only where it is logged."""
        logs = at.step % self.options.log_every == 0
        is_last_epoch = at.epoch == self.epochs - 1
        result = self.steps.step(batch, at, measures=logs or is_last_epoch)
        self.losses.add(at.step, result.loss)
        if is_last_epoch:
            self.last_epoch.add(at.step, result.loss, result.measured)
        if not logs:
            return None
        self._log(at, result)
        return self._divergence()

    def _log(self, at: StepIndex, result: StepResult) -> None:
        """Read the values of a step, and hand them on."""
        metrics = read_point(result.loss, result.measured)
        if at.step == 0:
            self.initial = metrics

        # Images per second since the last point.
        now_s = time.monotonic()
        steps = at.step + 1 - self.logged_step
        images_per_s = steps * self.trainer.config.batch_size / max(now_s - self.logged_at_s, 1e-9)
        self.logged_at_s = now_s
        self.logged_step = at.step + 1

        local = {f"ratio_{stage}": float(r) for stage, r in result.local_rates.items()}
        metrics |= {**self._scheduled(at.step), **local}
        self.observer.measured(at.step, at.epoch, metrics, images_per_s)

    def _scheduled(self, step: int) -> dict[str, float]:
        """Return the learning rate and τ of a step."""
        schedules = self.trainer.schedules
        return {"lr": schedules.rate(step), "tau": schedules.tau(step)}

    def _divergence(self) -> Result | None:
        """Return how the run ended if a loss was not finite; the host waits for the device."""
        step = self.losses.first_not_finite()
        if step is None:
            return None
        if step >= self.logged_step:
            epoch = step // self.trainer.steps_per_epoch
            metrics = {"loss": math.nan, **self._scheduled(step)}
            self.observer.measured(step, epoch, metrics, 0.0)
        return Result("diverged", step, self.initial)

    def _checkpoint(self, step: int) -> None:
        """Begin to save the state before a step; training goes on meanwhile."""
        state = {
            "trainer": self.trainer.state(),
            "losses": self.losses.state(),
            "last_epoch": self.last_epoch.state(),
            "initial": self.initial,
        }
        self.saves.start(step, state)
        self.saved_at_s = time.monotonic()
