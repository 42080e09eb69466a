"""Initial weights. Every parameter draws from its own stream (seed, "init", name), so variants share what they have in
common: a projector with and without norm starts from the same linear layers.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from byol_core.streams import normal, stream, uniform


def initialize(network: nn.Module, scheme: str, seed: int) -> None:
    """Set every weight and bias of linear and convolutional layers in place; norms keep γ = 1, β = 0."""
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            with torch.no_grad():
                layer.weight.copy_(_weight(layer, scheme, stream(seed, "init", f"{name}.weight")))
                if layer.bias is not None:
                    layer.bias.copy_(_bias(layer, scheme, stream(seed, "init", f"{name}.bias")))


def _weight(layer: nn.Linear | nn.Conv2d, scheme: str, rng: np.random.Generator) -> Tensor:
    shape = layer.weight.shape
    if scheme == "he":
        return normal(rng, math.sqrt(2 / _fan_in(layer)), *shape)
    if scheme == "torchvision" and isinstance(layer, nn.Conv2d):
        fan_out = layer.out_channels * layer.kernel_size[0] * layer.kernel_size[1]
        return normal(rng, math.sqrt(2 / fan_out), *shape)
    bound = 1 / math.sqrt(_fan_in(layer))  # what kaiming_uniform_(a=√5) comes to
    return uniform(rng, -bound, bound, *shape)


def _bias(layer: nn.Linear | nn.Conv2d, scheme: str, rng: np.random.Generator) -> Tensor:
    assert layer.bias is not None, "asked for the bias of a layer that has none"
    if scheme == "he":
        return torch.zeros_like(layer.bias)
    bound = 1 / math.sqrt(_fan_in(layer))
    return uniform(rng, -bound, bound, *layer.bias.shape)


def _fan_in(layer: nn.Linear | nn.Conv2d) -> int:
    return layer.weight[0].numel()
