"""Gives the learning rate and τ as functions of the step.

Steps are those of the optimizer: accumulation over parts of a batch does not move a schedule on.
"""

import math
from typing import Literal

from byol_core.config import TrainConfig

Shape = Literal["constant", "cosine"]


class Schedules:
    """Gives what a run's schedules say of each step.

    They are laid out over `schedule_epochs` where that is set, over `epochs` else. By epoch, all
    steps of an epoch have the value of its first, as in the blog's code; a warm-up then starts with
    a whole epoch at rate 0.

    Args:
        config: of the run.
        steps_per_epoch: optimizer steps in an epoch.
    """

    def __init__(self, config: TrainConfig, steps_per_epoch: int) -> None:
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.total_steps = (config.schedule_epochs or config.epochs) * steps_per_epoch
        self.warmup_steps = round(config.optimizer.warmup_epochs * steps_per_epoch)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, before λ and μ."""
        optimizer = self.config.optimizer
        return learning_rate(
            self._moment(step),
            self.total_steps,
            self.warmup_steps,
            optimizer.lr,
            optimizer.schedule,
        )

    def tau(self, step: int) -> float:
        """Return τ of a step."""
        target = self.config.target
        return target_tau(self._moment(step), self.total_steps, target.tau_base, target.schedule)

    def _moment(self, step: int) -> int:
        """Return the step whose value holds: itself, or the first of its epoch."""
        if self.config.schedule_by == "step":
            return step
        return step - step % self.steps_per_epoch


def learning_rate(
    step: int, total_steps: int, warmup_steps: int, peak: float, shape: Shape
) -> float:
    """Return the rate of a step: linear from 0 to `peak`, then constant or half a cosine to 0.

    That is the schedule of deepmind-research/byol, utils/schedules.py.
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    if shape == "constant":
        return peak
    length = max(1, total_steps - warmup_steps)
    progress = min(1.0, (step - warmup_steps) / length)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


def target_tau(step: int, total_steps: int, tau_base: float, shape: Shape) -> float:
    """Return τ_k = 1 − (1 − τ_base)(cos(πk/K) + 1)/2 of step k (BYOL, section 3.3).

    τ = 0 and τ = 1 stay what they are.
    """
    if shape == "constant" or tau_base in (0.0, 1.0):
        return tau_base
    progress = min(1.0, step / total_steps)
    return 1 - (1 - tau_base) * (math.cos(math.pi * progress) + 1) / 2


def target_memory_steps(tau: float) -> float:
    """Return 1/(1 − τ), over how many steps the target averages; infinity where τ is 1.

    Compared with a run's steps it says what τ means there: τ = .999 averages over 1000 steps, so in
    a run of 600 the target hardly leaves its start.
    """
    if tau == 1:
        return math.inf
    return 1 / (1 - tau)
