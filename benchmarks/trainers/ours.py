"""Trains as byol_core does: the phases of ``byol_core.train``, on random pictures."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from byol_core.config import TrainConfig, essential, resolve
from byol_core.images.load import batches
from byol_core.images.memory import Split
from byol_core.images.source import Batch
from byol_core.precision import deterministic
from byol_core.train.compute_path import ComputePath, choose_path, make_steps
from byol_core.train.observer import Options
from byol_core.train.requests import step_request
from byol_core.train.start import start_networks
from byol_core.train.step import StepIndex, Trainer
from trainers.cases import Case, settings_of
from trainers.clocks import Clock
from trainers.pictures import pictures_for, random_pixels, random_views

_ENDLESS = {"epochs": 1_000_000, "schedule_epochs": 0}
"""Schedules that never end; what a step costs does not depend on it."""

Stepper = Callable[[Batch, StepIndex, bool], Any]


@dataclass(frozen=True)
class Ready:
    """Is a batch whose views are there already (`byol_core.images.source.Batch`)."""

    made: Tensor
    labels: Tensor

    def views(self, device: torch.device) -> Tensor:
        """Return them."""
        return self.made

    def on(self, device: torch.device) -> "Ready":
        """Return itself, since it is there."""
        return self

    def tensors(self) -> list[Tensor]:
        """Return all that it holds."""
        return [self.made, self.labels]


class Ours:
    """Is byol_core's trainer with pictures in memory.

    Args:
        case: what to train.
        contestant: which of ours.
        options: of the benchmark.
        device: where to compute.
    """

    def __init__(
        self, case: Case, contestant: str, options: dict[str, Any], device: torch.device
    ) -> None:
        self.device = device
        self.case = case
        self.batch = case.batch[device.type == "cuda"]
        settings = settings_of(case, contestant, options["precision"], device.type == "cuda")
        self.config: TrainConfig = essential(
            resolve(case.preset, {**settings, **_ENDLESS, "compute": options["compute"]})
        )

        # The pictures lie where training computes.
        number = pictures_for(self.batch, case.side)
        pixels = random_pixels(number, case.channels, case.side).to(device)
        self.source = Split(pixels, torch.full((number,), -1))

        online, target = start_networks(self.config, case.channels, 0, device)
        self.trainer = Trainer(self.config, online, target, number // self.batch, device)
        self.path = choose_path(self.config, device)
        self.steppers: dict[str, Stepper] = {}
        self.indices = self._indices()
        self.version = "this checkout"

    def parameters(self) -> int:
        """Return how many numbers the gradient trains."""
        return sum(p.numel() for p in self.trainer.online.parameters() if p.requires_grad)

    @contextmanager
    def turn(self, mode: str) -> Iterator[Callable[[], Tensor]]:
        """Yield a function that takes the next step, in a mode or `plain`, and returns its loss."""
        with deterministic(self.device):
            arriving = self._augmented() if mode == "used" else self._ready()
            take_step = self._stepper(mode)

            def step() -> Tensor:
                at, batch = next(arriving)
                measures = mode == "used" and at.step % Options.log_every == 0
                loss: Tensor = take_step(batch, at, measures).loss
                return loss

            yield step

    def _stepper(self, mode: str) -> Stepper:
        """Return what takes the steps of a mode; a captured step has one kind of batch."""
        if mode not in self.steppers:
            path: ComputePath = "plain" if mode == "plain" else self.path
            self.steppers[mode] = make_steps(self.trainer, path).step
        return self.steppers[mode]

    def phases(self, steps: int) -> dict[str, dict[str, float]]:
        """Return what each phase of a plain step takes, in seconds of the wall and of processors.

        On a GPU the host waits for the device after each phase, so their sum is more than a step.
        """
        clock = Clock(self.device)
        spent: dict[str, dict[str, float]] = defaultdict(lambda: {"wall_s": 0.0, "core_s": 0.0})

        def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def timing(*arguments: Any, **named: Any) -> Any:
                started = clock.now()
                result = call(*arguments, **named)
                for key, value in clock.since(started).items():
                    spent[name][key] += value / steps
                return result

            return timing

        trainer = self.trainer
        with ExitStack() as patched, deterministic(self.device):
            for method, name in (
                ("forward", "forward"),
                ("loss", "forward"),
                ("measure", "measure"),
                ("update", "optimizer and average"),
            ):
                replaced = timed(name, getattr(trainer, method))
                patched.enter_context(patch.object(trainer, method, replaced))
            backward = timed("backward", Tensor.backward)
            patched.enter_context(patch.object(Tensor, "backward", backward))
            total = timed("whole step", trainer.step)
            for at in (next(self.indices) for _ in range(steps)):
                request = timed("draws", step_request)(self.config, self.source, self._rows(at), at)
                (batch,) = self.source.read([request])
                views = timed("views", batch.views)(self.device)
                total(Ready(views, batch.labels), at, at.step % Options.log_every == 0)
        return dict(spent)

    def _indices(self) -> Iterator[StepIndex]:
        per_epoch = self.trainer.steps_per_epoch
        for step in count():
            yield StepIndex(step, step // per_epoch, step % per_epoch)

    def _rows(self, at: StepIndex) -> Tensor:
        if at.batch == 0 or not hasattr(self, "_order"):
            self._order = list(batches(len(self.source), self.batch, 0, at.epoch))
        return self._order[at.batch]

    def _ready(self) -> Iterator[tuple[StepIndex, Batch]]:
        views = random_views(self.batch, self.case.channels, self.case.side, self.device)
        labels = torch.full((self.batch,), -1, device=self.device)
        for at in self.indices:
            yield at, Ready(views, labels)  # type: ignore[misc]

    def _augmented(self) -> Iterator[tuple[StepIndex, Batch]]:
        for at in self.indices:
            request = step_request(self.config, self.source, self._rows(at), at)
            (batch,) = self.source.read([request])
            yield at, batch
