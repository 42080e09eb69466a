"""Sorts a network's parameters into groups, and makes the optimizer over them.

A group says what decays, what adapts, and at which multiple of the learning rate.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from byol_core.config import OptimizerConfig
from byol_core.networks.byol import Online
from byol_core.optim.lars import LARS


def make_optimizer(network: Online, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return SGD or LARS over two groups for each part of the network.

    Its weights are one group, its biases and norm parameters, which BYOL leaves out, the other.
    Which is which goes by the parameter's role (all vectors are biases or norm parameters here),
    not by its name. A group's `lr_factor` is 1, λ for the predictor, μ for the projector; the
    trainer multiplies the schedule by it.
    """
    factors = {
        network.encoder: 1.0,
        network.projector: config.mu_projector,
        network.predictor: config.lambda_predictor,
    }
    groups: list[dict[str, Any]] = []
    for part, factor in factors.items():
        groups.extend(_groups(part, config, factor))

    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    return LARS(groups, config.lr, config.momentum, config.trust_coefficient)


def _groups(part: nn.Module, config: OptimizerConfig, factor: float) -> Iterator[dict[str, Any]]:
    """Yield a part's weights, then its biases and norm parameters."""
    weights = [p for p in part.parameters() if p.ndim > 1]
    others = [p for p in part.parameters() if p.ndim <= 1]
    other_decay = config.weight_decay if config.decay_bias_and_norm else 0.0
    yield {
        "params": weights,
        "weight_decay": config.weight_decay,
        "adapt": True,
        "lr_factor": factor,
    }
    yield {"params": others, "weight_decay": other_decay, "adapt": False, "lr_factor": factor}
