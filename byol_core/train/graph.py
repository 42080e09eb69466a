"""Takes training steps as CUDA graphs: a step's kernels, recorded once, are launched all at once.

A small net's kernels are shorter than the time the host takes to launch them one by one. A graph
repeats the very kernels of `Trainer.compute` on the same memory, so what changes from step to step
(images, draws, learning rates, τ) is written to where they read it before they run.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from byol_core.device import copy_to
from byol_core.images.source import Batch
from byol_core.train.step import StepIndex, StepResult, Trainer

_WARM_STEPS = 2
"""Steps of each kind that are taken as they are: the first allocates what later ones find."""


@dataclass(frozen=True)
class _Captured:
    """A step that was recorded, and where its replays write their result."""

    graph: torch.cuda.CUDAGraph
    result: StepResult


_Kind = tuple[bool, bool]
"""Steps that launch the same kernels: whether they measure, and whether statistics are frozen."""


class CapturedSteps:
    """Takes the steps of a trainer on a GPU.

    A result holds until the next step overwrites it.

    Args:
        trainer: whose steps; nothing in them waits for the device.
        fuse: makes of a batch one that has its tensors and makes its views faster.
    """

    def __init__(self, trainer: Trainer, fuse: Callable[[Batch], Batch] | None = None) -> None:
        self.trainer = trainer
        self._fuse = fuse
        self._batch: Batch | None = None
        self._warm: dict[_Kind, int] = {}
        self._captured: dict[_Kind, _Captured] = {}

        # Graphs run one after the other, so they share their memory.
        self._stream = torch.cuda.Stream(trainer.device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def step(self, batch: Batch, at: StepIndex, measures: bool) -> StepResult:
        """Take one training step, as `Trainer.step`."""
        self.trainer.set_values(at)
        held = self._hold(batch)
        kind = (measures, self.trainer.frozen)
        if kind not in self._captured:
            warm = self._warm.get(kind, 0)
            if warm < _WARM_STEPS:
                self._warm[kind] = warm + 1
                return self._take(held, at.step, measures)
            self._captured[kind] = self._capture(held, at.step, measures)
        captured = self._captured[kind]
        captured.graph.replay()
        return captured.result

    def _hold(self, batch: Batch) -> Batch:
        """Return a batch with the values of this one, in memory that is the same at each step."""
        if self._batch is None:
            held = batch.on(self.trainer.device)
            self._batch = held if self._fuse is None else self._fuse(held)
            return self._batch
        for place, values in zip(self._batch.tensors(), batch.tensors(), strict=True):
            copy_to(place, values)
        return self._batch

    def _take(self, batch: Batch, step: int, measures: bool) -> StepResult:
        """Take a step kernel by kernel, on the stream that later ones are recorded on."""
        here = torch.cuda.current_stream(self.trainer.device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            result = self.trainer.compute(batch, step, measures)
        here.wait_stream(self._stream)
        return result

    def _capture(self, batch: Batch, step: int, measures: bool) -> _Captured:
        """Record a step without taking it."""
        graph = torch.cuda.CUDAGraph()

        # Threads that write a checkpoint meanwhile may talk to the GPU.
        with torch.cuda.graph(
            graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
        ):
            result = self.trainer.compute(batch, step, measures)
        return _Captured(graph, result)
