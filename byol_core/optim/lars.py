"""Implements LARS as BYOL uses it."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class LARS(torch.optim.Optimizer):
    """Scales the rate of each layer, in the form of deepmind-research/byol (utils/optimizers.py).

    g ← g + wd·w;  g ← η ‖w‖/‖g‖ · g where the group adapts (factor 1 if either norm is 0);
    m ← μ·m + g;  w ← w − lr·m.

    Args:
        params: groups with `weight_decay` and `adapt`.
        lr: learning rate.
        momentum: μ in [0, 1).
        trust_coefficient: η.
    """

    def __init__(
        self, params: Iterable[dict[str, Any]], lr: float, momentum: float, trust_coefficient: float
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "trust_coefficient": trust_coefficient,
            "weight_decay": 0.0,
            "adapt": True,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None, "LARS evaluates no closure"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        assert parameter.grad is not None
        update = parameter.grad + group["weight_decay"] * parameter
        if group["adapt"]:
            update = update * _trust_ratio(parameter, update, group["trust_coefficient"])

        # Momentum is over scaled updates, and takes in no learning rate.
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].mul_(group["momentum"]).add_(update)
        parameter.add_(momentum, alpha=-group["lr"])


def _trust_ratio(parameter: Tensor, update: Tensor, trust_coefficient: float) -> Tensor:
    """Return η ‖w‖/‖g‖, or 1 where either norm is 0."""
    weight_norm = parameter.norm()
    update_norm = update.norm()
    is_usable = (weight_norm > 0) & (update_norm > 0)
    ratio = trust_coefficient * weight_norm / update_norm
    return torch.where(is_usable, ratio, torch.ones_like(weight_norm))
