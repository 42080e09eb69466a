"""Tells how much of the first target is left in the last one, so that τ is seen beside the run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TargetMemory:
    """Holds how long the target's moving average remembers, beside the length of the run.

    Attributes:
        tau: τ at the first step.
        memory_steps: 1/(1 − τ), over which it averages.
        run_steps: of the whole run.
        first_left: the weight of the first target within the last, in [0, 1].
    """

    tau: float
    memory_steps: float
    run_steps: int
    first_left: float


def target_memory(settings: Mapping[str, Any], images: int) -> TargetMemory | None:
    """Return how long the target of a run remembers; None where it has no average that moves.

    Args:
        settings: canonical.
        images: how many there are to train on, without limit.
    """
    tau = settings["target.tau_base"]
    if tau is None or tau in (0.0, 1.0):
        return None
    used = min(images, settings["dataset.limit"] or images)
    run_steps = used // settings["batch_size"] * settings["epochs"]

    # Each step leaves τ of what was there; on a cosine 1 − τ falls from 1 − tau_base to 0.
    if settings["target.schedule"] == "constant":
        first_left = tau**run_steps
    else:
        share = settings["epochs"] / settings["schedule_epochs"]
        fall = math.sin(math.pi * share) / (math.pi * share)
        first_left = math.exp(-run_steps * (1 - tau) * (1 + fall) / 2)
    return TargetMemory(tau, 1 / (1 - tau), run_steps, first_left)
