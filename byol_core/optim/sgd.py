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
        updates: their gradients g, over which the step writes what it makes of them.
    """

    group: dict[str, Any]
    parameters: list[Tensor]
    updates: list[Tensor]


class SGD(torch.optim.Optimizer):
    """Descends as torch.optim.SGD does: u = g + wd·w; m ← μ·m + u; w ← w − lr·m.

    Torch's own reads a rate that is a tensor on the host in each step, so the host would wait for
    the device. A step allocates nothing: it writes over the gradients, which are used up.

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
        gathered = [_gather(group) for group in self.param_groups]
        moving = [part for part in gathered if part.parameters]
        self._prepare(moving)
        for part in moving:
            self._descend(part)

    def _prepare(self, moving: Sequence[Moving]) -> None:
        """Make updates of all gradients: u ← g + wd·w."""
        for part in moving:
            decay = part.group["weight_decay"]
            if decay:
                torch._foreach_add_(part.updates, part.parameters, alpha=decay)

    def _descend(self, part: Moving) -> None:
        """Move one group: momentum is over the updates and takes in no rate."""
        directions = self._accumulate(part)
        rates = [part.group["lr"]] * len(directions)
        torch._foreach_addcmul_(part.parameters, directions, rates, value=-1)

    def _accumulate(self, part: Moving) -> list[Tensor]:
        """Return m ← μ·m + u; without momentum that is u."""
        momentum = part.group["momentum"]
        if not momentum:
            return part.updates
        buffers = [self._buffer(parameter) for parameter in part.parameters]
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, part.updates)
        return buffers

    def _buffer(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum"]
        return buffer


def _gather(group: dict[str, Any]) -> Moving:
    """Return what has a gradient in a group."""
    parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
    return Moving(group, parameters, [parameter.grad for parameter in parameters])
