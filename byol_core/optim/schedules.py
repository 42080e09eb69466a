"""Gives the learning rate and τ as functions of the step."""

import math
from typing import Literal

Shape = Literal["constant", "cosine"]


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
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


def target_tau(step: int, total_steps: int, tau_base: float, shape: Shape) -> float:
    """Return τ_k = 1 − (1 − τ_base)(cos(πk/K) + 1)/2 of step k (BYOL, section 3.3).

    τ = 0 and τ = 1 stay what they are.
    """
    if shape == "constant" or tau_base in (0.0, 1.0):
        return tau_base
    return 1 - (1 - tau_base) * (math.cos(math.pi * step / total_steps) + 1) / 2
