"""One run from config to results: load, resume, train, keep the encoder, evaluate.

Everything goes into one folder: ``checkpoints/`` while it trains, ``encoder/`` and ``evaluations/`` at the end. Called
again on the same folder, it goes on where the last call stopped. By hand: ``python -m byol_core``.
"""

import math
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice, tee
from pathlib import Path
from typing import Any, Protocol

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from byol_core.config import TrainConfig
from byol_core.datasets.errors import DataError
from byol_core.evaluation.protocols import VERSIONS, evaluate
from byol_core.files import make_folder, read_json, write_json
from byol_core.images.load import Images, batches, load
from byol_core.images.source import Batch, Request
from byol_core.networks.encoder import Encoder
from byol_core.streams import stream
from byol_core.train.checkpoint import Checkpoint, Checkpoints, load_state, numerics, save_state
from byol_core.train.step import Moment, Trainer

_CALIBRATION_BATCHES = 20


@dataclass(frozen=True)
class Options:
    """How to run, as opposed to what: nothing here changes a result.

    Attributes:
        device: "cpu", "cuda", or "auto" for a GPU where there is one.
        threads: CPU threads of torch; 0 leaves torch's own choice.
        log_every: steps between two points of the metric series.
        checkpoint_every_s: seconds between two checkpoints.
        protocols: evaluations at the end.
        max_steps: end after this many steps, as `cut`: a try, never a result; 0 for no limit.
    """

    device: str = "auto"
    threads: int = 0
    log_every: int = 10
    checkpoint_every_s: float = 60.0
    protocols: tuple[str, ...] = tuple(VERSIONS)
    max_steps: int = 0


class Observer(Protocol):
    """Who is told what happens, and may ask the run to stop."""

    def started(self, step: int, total_steps: int, exact: bool) -> None:
        """Training starts or goes on at `step`; `exact` is false where a resumed run may differ in the last bits."""

    def measured(self, step: int, epoch: int, metrics: dict[str, float], images_per_s: float) -> None:
        """A point of the metric series."""

    def before_write(self) -> None:
        """Something is about to be published; raise to prevent it."""

    def checkpointed(self, step: int) -> None:
        """A checkpoint is on the disk."""

    def stop_reason(self) -> str | None:
        """Why to stop now; None to go on."""


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


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        outcome: `ok`, `diverged` (the loss was not finite, at `step`), `stopped` (asked to, before `step`) or `cut` (at
            `max_steps`).
        step: the next step, had it gone on.
        initial: signs of collapse before the first update.
        final: mean loss and signs of collapse over the last epoch.
        reason: for `stopped`, why.
    """

    outcome: str
    step: int
    initial: dict[str, float] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)
    reason: str | None = None


def train(config: TrainConfig, folder: Path, options: Options, observer: Observer, writer: str = "0001") -> Result:
    """Train one run to its end, or to where it is asked to stop.

    Args:
        config: what to train.
        folder: the run's own; made where missing.
        options: how to run.
        observer: told of progress.
        writer: names this try in what it writes, where several may write at once.

    Raises:
        DataMissingError: the images are not there.
        DataError: the files hold no images.
        OSError: the disk is full or fails.
    """
    device = pick_device(options.device)
    with _threads(options.threads):
        return _train(config, folder, options, observer, writer, device)


def _train(
    config: TrainConfig, folder: Path, options: Options, observer: Observer, writer: str, device: torch.device
) -> Result:
    images = load(config.dataset, options.threads)
    steps_per_epoch = len(images.pretrain) // config.batch_size
    if steps_per_epoch == 0:
        raise DataError(f"batch_size {config.batch_size} is larger than the {len(images.pretrain)} training images")
    make_folder(folder)
    trainer = Trainer(config, images.channels, steps_per_epoch, device)
    if "affine" in (config.encoder.norm, config.projector.norm, config.predictor.norm):
        (batch,) = images.pretrain.read([_affine_request(config, len(images.pretrain))])
        trainer.fit_affine(batch)
    checkpoints = Checkpoints(folder / "checkpoints", writer)

    if config.method == "random":
        observer.started(0, 0, exact=True)
        trainer.calibrate(images.pretrain.read(_calibration_requests(config, len(images.pretrain))))
        result = Result("ok", 0)
    else:
        result = _Loop(trainer, images, checkpoints, options, observer).run()

    if result.outcome == "ok":
        observer.before_write()
        _keep_encoders(trainer, folder / "encoder")
        for protocol in options.protocols:
            _evaluate_once(protocol, _encoders(trainer), images, config, folder / "evaluations")
    return result


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Hold torch and the BLAS under scikit-learn to `count` threads; 0 leaves them alone."""
    if not count:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


class DeviceError(Exception):
    """The device that was asked for is not here."""


def pick_device(name: str) -> torch.device:
    """Return the device of an `Options.device`.

    Raises:
        DeviceError: a GPU is asked for and none is here.
    """
    has_gpu = torch.cuda.is_available()
    if name.startswith("cuda") and not has_gpu:
        raise DeviceError(f"device {name!r}: torch sees no GPU here; use cpu or auto")
    return torch.device(("cuda" if has_gpu else "cpu") if name == "auto" else name)


class _Loop:
    """The training loop of one call: resume, step, measure, checkpoint."""

    def __init__(
        self, trainer: Trainer, images: Images, checkpoints: Checkpoints, options: Options, observer: Observer
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
        requests = (_request(self.trainer.config, rows, at, views=(1, 2)) for at, rows in ahead)
        with closing(self.images.pretrain.read(requests)) as arriving:
            for (at, _), images in zip(moments, arriving, strict=True):
                ended = self._pass(at, images)
                if ended is not None:
                    return ended
        end = self.epochs * self.trainer.steps_per_epoch
        if self.first_step < end:
            self._checkpoint(end)  # so that an evaluation that is cut short does not cost the training
        return Result("ok", end, self.last_epoch.initial, self.last_epoch.means())

    def _pass(self, at: Moment, images: Batch) -> Result | None:
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

    def _moments(self) -> Iterator[tuple[Moment, Tensor]]:
        """Yield each step that is still to take, and the rows of its images."""
        config, per_epoch, n = self.trainer.config, self.trainer.steps_per_epoch, len(self.images.pretrain)
        for epoch in range(self.first_step // per_epoch, self.epochs):
            for batch, rows in enumerate(batches(n, config.batch_size, config.seed, epoch)):
                step = epoch * per_epoch + batch
                if step >= self.first_step:
                    yield Moment(step, epoch, batch), rows

    def _step(self, at: Moment, images: Batch) -> bool:
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

    def _log(self, at: Moment, metrics: dict[str, float]) -> None:
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


def _request(config: TrainConfig, rows: Tensor, at: Moment, views: tuple[int, ...]) -> Request:
    return Request(rows, config.augment, tuple(stream(config.seed, "crop", which, at.epoch, at.batch) for which in views))


def _affine_request(config: TrainConfig, n: int) -> Request:
    """Ask for the images that the data-dependent start sees: the first of epoch 0."""
    rows = next(batches(n, min(config.init.affine_images, n), config.seed, epoch=0))
    return Request(rows, config.augment, (stream(config.seed, "crop", "affine"),))


def _calibration_requests(config: TrainConfig, n: int) -> Iterator[Request]:
    first = islice(batches(n, config.batch_size, config.seed, epoch=0), _CALIBRATION_BATCHES)
    return (_request(config, rows, Moment(batch, 0, batch), views=(1,)) for batch, rows in enumerate(first))


def _encoders(trainer: Trainer) -> dict[str, Encoder]:
    online = {"online": trainer.online.encoder}
    return online if trainer.config.method == "simclr" else {**online, "target": trainer.target.encoder}


def _keep_encoders(trainer: Trainer, path: Path) -> None:
    if load_state(path) is None:
        save_state(path, {name: encoder.state_dict() for name, encoder in _encoders(trainer).items()}, {})


def _evaluate_once(protocol: str, encoders: dict[str, Encoder], images: Images, config: TrainConfig, folder: Path) -> None:
    file = folder / f"{protocol}-v{VERSIONS[protocol]}.json"
    if read_json(file) is None:
        modules: dict[str, nn.Module] = dict(encoders)
        make_folder(folder)
        write_json(file, evaluate(protocol, modules, images, config.augment))
