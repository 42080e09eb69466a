"""Implements stochastic gradient descent with momentum, at a rate that lies on the device."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moving:
    """Holds what a step moves of one group.

    Attributes:
        group: of the optimizer.
        parameters: w, those that have a gradient.
        gradients: g.
        updates: u = g + wd·w.
    """

    group: dict[str, Any]
    parameters: list[Tensor]
    gradients: list[Tensor]
    updates: list[Tensor]


class SGD(torch.optim.Optimizer):
    """Descends as torch.optim.SGD does: u = g + wd·w; m ← μ·m + u; w ← w − lr·m.

    Torch's own reads a rate that is a tensor on the host in each step, so the host would wait for
    the device.

    Args:
        groups: each with `params`, `weight_decay`, and `lr`, a scalar tensor on the device.
        momentum: μ in [0, 1).
    """

    def __init__(self, groups: Iterable[dict[str, Any]], momentum: float) -> None:
        super().__init__(groups, {"momentum": momentum, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        assert closure is None, "no closure is evaluated"
        moving = [_gather(group) for group in self.param_groups]
        for part, ratios in zip(moving, self._ratios(moving), strict=True):
            if part.parameters:
                self._descend(part, ratios)

    def _ratios(self, moving: Sequence[Moving]) -> list[list[Tensor] | None]:
        """Return each group's factors on its updates, a scalar for each tensor; None: 1."""
        return [None] * len(moving)

    def _descend(self, part: Moving, ratios: list[Tensor] | None) -> None:
        updates = part.updates
        if ratios is not None:
            updates = list(torch._foreach_mul(updates, ratios))

        # Momentum is over the updates and takes in no rate.
        momentum = part.group["momentum"]
        if momentum:
            updates = self.accumulated(part.parameters, updates, momentum)
        subtract(part.parameters, updates, part.group["lr"])

    def accumulated(
        self, parameters: list[Tensor], updates: list[Tensor], momentum: float
    ) -> list[Tensor]:
        """Return the parameters' m ← μ·m + u."""
        buffers = [self._buffer(parameter) for parameter in parameters]
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, updates)
        return buffers

    def _buffer(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum"]
        return buffer


def subtract(parameters: list[Tensor], updates: list[Tensor], rate: Tensor) -> None:
    """Set w ← w − rate·u in place; the rate is a scalar on the device."""
    torch._foreach_addcmul_(parameters, updates, [rate] * len(updates), value=-1)


def _gather(group: dict[str, Any]) -> Moving:
    """Return what has a gradient in a group, with its updates."""
    parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
    gradients = [parameter.grad for parameter in parameters]
    updates = gradients
    if parameters and group["weight_decay"]:
        updates = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
    return Moving(group, parameters, gradients, updates)
