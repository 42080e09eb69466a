"""Draws initial weights, every parameter from a stream of its own: (seed, "init", name).

So variants share what they have in common: a projector with and without norm starts from the same
linear layers.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from scipy.stats import truncnorm
from torch import Tensor, nn

from byol_core.config import InitConfig
from byol_core.networks.batch_statistics import keeping_averages
from byol_core.networks.encoder import BasicBlock, Bottleneck
from byol_core.networks.norms import Affine
from byol_core.plugins import PlugInError
from byol_core.streams import normal, stream, uniform


def initialize(
    network: nn.Module,
    config: InitConfig,
    seed: int,
    draw: str = "init",
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Set every weight and bias of linear and convolutional layers; norms keep γ = 1 and β = 0.

    Order matters: weights are drawn, γ of each block's last norm is zeroed where that is asked for
    (or what was trained before is laid over both), the projector is moved towards a constant, and
    noise is added last. So a collapsed start can be disturbed; the noise of its last layer is
    relative to the weights before they were moved.

    Args:
        network: changed in place.
        config: scheme, scale and biases, and how far from an ordinary start.
        seed: of the run.
        draw: names the draw; another name gives other weights.
        weights: name → what stands in place of drawn weights, and of the state of norms.
    """
    layers = {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    }
    for name, layer in layers.items():
        _initialize_layer(layer, config, seed, draw, name)
    if weights is not None:
        network.load_state_dict(weights, strict=False)
    elif config.zero_last_norm:
        _zero_last_norms(network)

    # From the start on, however it came about.
    sizes = {name: _root_mean_square(layer.weight) for name, layer in layers.items()}
    if config.collapse and "projector.out" in layers:
        _collapse(layers["projector.out"], config.collapse, stream(seed, draw, "collapse"))
    if config.noise_std:
        for name, layer in layers.items():
            rng = stream(seed, draw, "noise", name)
            _disturb(layer.weight, config.noise_std * sizes[name], rng)


@torch.no_grad()
def _initialize_layer(
    layer: nn.Linear | nn.Conv2d, config: InitConfig, seed: int, draw: str, name: str
) -> None:
    weight = _weight(layer, config.scheme, stream(seed, draw, f"{name}.weight"))
    layer.weight.copy_(config.scale * weight)
    if layer.bias is not None:
        layer.bias.copy_(_bias(layer, config.biases, stream(seed, draw, f"{name}.bias")))


@torch.no_grad()
def _zero_last_norms(network: nn.Module) -> None:
    """Set γ of the last norm of each residual block to 0 (Goyal et al. 2017, section 5.1)."""
    blocks = [layer for layer in network.modules() if isinstance(layer, BasicBlock | Bottleneck)]
    for norm in (block.last_norm for block in blocks):
        # Under norm none and affine there is no γ that could start at 0.
        if isinstance(norm, nn.Identity | Affine):
            continue
        gamma = getattr(norm, "weight", None)
        if not isinstance(gamma, Tensor):
            raise PlugInError(
                f"init.zero_last_norm: {type(norm).__name__} has no parameter weight that could "
                "start at 0; set it to false"
            )
        gamma.zero_()


@torch.no_grad()
def _collapse(layer: nn.Linear | nn.Conv2d, extent: float, rng: np.random.Generator) -> None:
    """Move the projector towards a constant output: W ← (1 − extent) W, the bias stays.

    At 1 the projection is its bias. Where that is zero it would be no direction, and at any other
    extent nothing but a scale, which the loss does not see; so there the bias becomes a random unit
    vector.
    """
    layer.weight.mul_(1 - extent)
    assert layer.bias is not None, "the plan refuses a collapsed start without bias"
    if not layer.bias.any():
        direction = normal(rng, 1.0, *layer.bias.shape)
        layer.bias.copy_(direction / torch.linalg.vector_norm(direction))


@torch.no_grad()
def _disturb(weight: Tensor, std: float, rng: np.random.Generator) -> None:
    weight.add_(normal(rng, std, *weight.shape))


def _root_mean_square(weight: Tensor) -> float:
    """Return the size of a weight's entries."""
    return float(weight.detach().double().square().mean().sqrt())


@contextmanager
def calibrating(network: nn.Module) -> Iterator[None]:
    """Have a forward pass set each `Affine` to act on that batch as batch norm would.

    On that batch, of both views stacked, which share their statistics. A batch norm elsewhere in
    the network keeps its running averages.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, Affine)]
    for layer in layers:
        layer.calibrating = True
    try:
        with keeping_averages(network):
            yield
    finally:
        for layer in layers:
            layer.calibrating = False


def _weight(layer: nn.Linear | nn.Conv2d, scheme: str, rng: np.random.Generator) -> Tensor:
    shape = layer.weight.shape
    if scheme == "he":
        return normal(rng, math.sqrt(2 / _fan_in(layer)), *shape)
    if scheme == "lecun":
        return normal(rng, 1 / math.sqrt(_fan_in(layer)), *shape)
    if scheme == "haiku":
        return _truncated_normal(rng, 1 / math.sqrt(_fan_in(layer)), *shape)
    if scheme == "orthogonal":
        return _orthogonal(rng, *shape)
    if scheme == "torchvision" and isinstance(layer, nn.Conv2d):
        fan_out = layer.out_channels * layer.kernel_size[0] * layer.kernel_size[1]
        return normal(rng, math.sqrt(2 / fan_out), *shape)
    bound = 1 / math.sqrt(_fan_in(layer))  # what kaiming_uniform_(a=√5) comes to
    return uniform(rng, -bound, bound, *shape)


def _bias(layer: nn.Linear | nn.Conv2d, scheme: str, rng: np.random.Generator) -> Tensor:
    assert layer.bias is not None, "asked for the bias of a layer that has none"
    if scheme == "zeros":
        return torch.zeros_like(layer.bias)
    bound = 1 / math.sqrt(_fan_in(layer))
    return uniform(rng, -bound, bound, *layer.bias.shape)


def _truncated_normal(rng: np.random.Generator, std: float, *shape: int) -> Tensor:
    """Draw as Haiku does: a unit normal cut at ±2, times std (its own is 0.88 std)."""
    unit: Tensor = torch.from_numpy(truncnorm.ppf(rng.random(shape), -2, 2).astype(np.float32))
    return unit.mul(std)


def _orthogonal(rng: np.random.Generator, *shape: int) -> Tensor:
    """Draw orthonormal rows, or columns where those are fewer (Saxe et al. 2013)."""
    rows = shape[0]
    columns = math.prod(shape[1:])

    # By QR; only with a positive diagonal of R is Q drawn uniformly.
    drawn = normal(rng, 1.0, max(rows, columns), min(rows, columns)).double()
    q, r = torch.linalg.qr(drawn)
    signed: Tensor = q * torch.sign(torch.diagonal(r))
    if rows < columns:
        signed = signed.T
    return signed.reshape(shape).float()


def _fan_in(layer: nn.Linear | nn.Conv2d) -> int:
    return layer.weight[0].numel()
