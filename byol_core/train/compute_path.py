"""Says how the steps of a run are computed: `compute` of the config, as far as a device has it.

plain: kernel by kernel, as the step reads. captured: all kernels of a step are launched at once, as
a CUDA graph (``graph``), weights and maps lie channels last, and norms are fused with what follows
them where Triton works (``networks.fused``). compiled: that, and augmentation is fused by
torch.compile (``compiled``), which needs Triton. The plain one is what the others are held to; they
differ from it in the last bits, so which it was is recorded.
"""

from typing import Literal, Protocol

import torch

from byol_core.config import TrainConfig
from byol_core.device import DeviceError
from byol_core.images.source import Batch
from byol_core.networks.fused.norm import fuse, is_available
from byol_core.plugins import is_plug_in
from byol_core.train.compiled import FusedBatch
from byol_core.train.graph import CapturedSteps
from byol_core.train.step import StepIndex, StepResult, Trainer

ComputePath = Literal["plain", "captured", "compiled"]


class Steps(Protocol):
    """Takes the steps of a run, on any path."""

    def step(self, batch: Batch, at: StepIndex, measures: bool) -> StepResult:
        """As `Trainer.step`."""


def choose_path(config: TrainConfig, device: torch.device) -> ComputePath:
    """Return the path that a run takes on a device.

    Raises:
        DeviceError: one is asked for that the run cannot take; the text says why.
    """
    if config.compute == "plain" or not config.trains:
        return "plain"
    obstacle = _obstacle(config, device)
    if config.compute == "auto":
        return "captured" if obstacle is None else "plain"
    if obstacle is None and config.compute == "compiled" and not is_available():
        obstacle = "Triton needs a C compiler and Python's headers, and finds none that work here"
    if obstacle is not None:
        raise DeviceError(f"compute {config.compute!r}: {obstacle}; use plain or auto")
    return config.compute


def make_steps(trainer: Trainer, path: ComputePath) -> Steps:
    """Return what takes the steps of a trainer on a path; its weights come to lie as that wants."""
    if path == "plain":
        return trainer
    for network in (trainer.online, trainer.target):
        if network is not None:
            network.to(memory_format=torch.channels_last)
            fuse(network)
    if path == "captured":
        return CapturedSteps(trainer)
    return CapturedSteps(trainer, fuse=FusedBatch)


def _obstacle(config: TrainConfig, device: torch.device) -> str | None:
    """Return why the steps of a run cannot be captured; None where they can."""
    if device.type != "cuda":
        return "graphs of kernels are of GPUs, and this run is on a processor"

    # A graph repeats what its step has launched: nothing may look at a value, or at the step.
    predictor = config.predictor
    if predictor.kind == "directpred":
        return "predictor.kind directpred waits for eigenvectors in each step"
    if predictor.kind == "optimal" and predictor.fit_every != 1:
        return f"predictor.fit_every {predictor.fit_every} makes steps that differ"
    own = [name for name in _parts(config) if is_plug_in(name)]
    if own:
        return f"what {own[0]} does on the host would be done once, and not in each step"
    return None


def _parts(config: TrainConfig) -> list[str]:
    """Return what may be a class of the user's own."""
    heads = (config.encoder, config.projector, config.predictor)
    norms = [str(part.norm) for part in heads]
    return [str(config.method), str(config.predictor.kind), str(config.augment.extra), *norms]
