"""Optimizers: which parameters decay and adapt, and LARS as BYOL uses it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from byol_core.config import OptimizerConfig
from byol_core.networks.encoder import Online


def make_optimizer(network: Online, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return SGD or LARS; each part's weights are one group, its biases and norm parameters, which BYOL leaves out, another.

    Which is which goes by the parameter's role (all vectors are biases or norm parameters here), not by its name. A group's
    `lr_factor` is 1, λ for the predictor, μ for the projector; the trainer multiplies the schedule by it.
    """
    factors = {network.encoder: 1.0, network.projector: config.mu_projector, network.predictor: config.lambda_predictor}
    groups = [group for part, factor in factors.items() for group in _groups(part, config, factor)]
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    return LARS(groups, lr=config.lr, momentum=config.momentum, trust_coefficient=config.trust_coefficient)


def _groups(part: nn.Module, config: OptimizerConfig, factor: float) -> Iterator[dict[str, Any]]:
    weights = [p for p in part.parameters() if p.ndim > 1]
    others = [p for p in part.parameters() if p.ndim <= 1]
    other_decay = config.weight_decay if config.decay_bias_and_norm else 0.0
    yield {"params": weights, "weight_decay": config.weight_decay, "adapt": True, "lr_factor": factor}
    yield {"params": others, "weight_decay": other_decay, "adapt": False, "lr_factor": factor}


class LARS(torch.optim.Optimizer):
    """Layer-wise adaptive rate scaling in the form of deepmind-research/byol (utils/optimizers.py).

    g ← g + wd·w;  g ← η ‖w‖/‖g‖ · g where the group adapts (factor 1 if either norm is 0);  m ← μ·m + g;  w ← w − lr·m.

    Args:
        params: groups with `weight_decay` and `adapt`.
        lr: learning rate.
        momentum: μ in [0, 1).
        trust_coefficient: η.
    """

    def __init__(self, params: Iterable[dict[str, Any]], lr: float, momentum: float, trust_coefficient: float) -> None:
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
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].mul_(group["momentum"]).add_(update)
        parameter.add_(momentum, alpha=-group["lr"])


def _trust_ratio(parameter: Tensor, update: Tensor, trust_coefficient: float) -> Tensor:
    weight_norm, update_norm = parameter.norm(), update.norm()
    usable = (weight_norm > 0) & (update_norm > 0)
    return torch.where(usable, trust_coefficient * weight_norm / update_norm, torch.ones_like(weight_norm))
