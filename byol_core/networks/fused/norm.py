"""Norm, residual and ReLU in one pass on a GPU, with Triton; what a captured step is made of.

PyTorch reads and writes a map for each of them, and once more to stack the views: they took 60 % of
a step of ResNet-18 at 32×32 pixels. `activated` (``norms``) says the same in plain words, and is
what this is held to.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_TILE = 4096
"""Values that one program holds at a time."""
_WIDEST = 128
"""Channels of a tile."""
_LONGEST = 2048
"""Rows whose statistics one program adds up."""
_PROGRAMS = 512
"""As many programs as fill a large GPU, for sums over few channels."""


@cache
def is_available() -> bool:
    """Tell whether Triton is here and works; it comes with PyTorch's builds for NVIDIA's GPUs.

    Before its first kernel it builds a library with the machine's C compiler and Python's headers,
    and keeps it below the home directory. Nodes of clusters and small images may lack any of these.
    """
    if find_spec("triton") is None:
        return False
    if not torch.cuda.is_available():
        return True  # its interpreter builds nothing
    try:
        import_module("triton.runtime").driver.active.get_current_device()
    except Exception:  # whatever it is, the layers compute as they read
        return False
    return True


def fuse(network: nn.Module) -> None:
    """Have the layers of a network that can be fused be so, where Triton is."""
    for layer in network.modules():
        if hasattr(layer, "is_fused"):
            layer.is_fused = is_available()  # type: ignore[assignment]


@dataclass(frozen=True)
class Averages:
    """Running averages that a batch norm moves in place, by `momentum`."""

    mean: Tensor
    var: Tensor
    momentum: float


def batch_norm(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    averages: Averages | None,
    sets: int,
    eps: float,
    relu: bool,
) -> Tensor:
    """Return relu(norm(x) + residual), each set of images by its own statistics.

    Args:
        x: (S·B, C, H, W), channels last, or (S·B, C).
        residual: of the same shape, or None.
        weight: γ, (C,), or None.
        bias: β, where there is a γ.
        averages: moved by one set after the other; None: there are none.
        sets: S.
        eps: ε.
        relu: whether the ReLU follows.
    """
    y: Tensor = _BatchNorm.apply(x, residual, weight, bias, averages, sets, eps, relu)
    return y


def group_norm(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    groups: int,
    eps: float,
    relu: bool,
) -> Tensor:
    """Return relu(norm(x) + residual) of (N, C, H, W), channels last, by groups of channels."""
    y: Tensor = _GroupNorm.apply(x, residual, weight, bias, groups, eps, relu)
    return y


def fits_groups(channels: int, groups: int) -> bool:
    """Tell whether the kernels take so many channels in so many groups: powers of 2."""
    return all(count & (count - 1) == 0 for count in (channels, groups))


@dataclass(frozen=True)
class _Shape:
    """Sets of rows of channels, and how programs share them.

    Attributes:
        sets: S.
        rows: R of a set.
        channels: C.
        chunk: rows whose sums one program adds up.
        tile: rows and channels that a program holds at a time.
    """

    sets: int
    rows: int
    channels: int
    chunk: int
    tile: tuple[int, int]

    @property
    def parts(self) -> int:
        """Return the chunks of a set."""
        return -(-self.rows // self.chunk)

    @property
    def columns(self) -> int:
        """Return the tiles over all channels."""
        return -(-self.channels // self.tile[1])


def _shape_of(x: Tensor, sets: int) -> _Shape:
    channels = x.shape[1]
    rows = x.numel() // channels // sets
    width = min(_power_of_2(channels), _WIDEST)
    height = _TILE // width
    chunk = max(
        height, min(_LONGEST, _power_of_2(rows * sets * -(-channels // width) // _PROGRAMS))
    )
    return _Shape(sets, rows, channels, chunk, (height, width))


def _power_of_2(n: int) -> int:
    """Return the smallest power of 2 from n on."""
    return 1 << max(n - 1, 0).bit_length()


def _as_rows(x: Tensor) -> Tensor:
    """Return a tensor whose channels lie side by side in memory, copied if they do not."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.contiguous()


class _BatchNorm(torch.autograd.Function):
    """Three kernels forward, three backward."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        averages: Averages | None,
        sets: int,
        eps: float,
        relu: bool,
    ) -> Tensor:
        """As `batch_norm`."""
        from byol_core.networks.fused import batch_kernels as kernels

        x = _as_rows(x)
        residual = None if residual is None else _as_rows(residual)
        shape = _shape_of(x, sets)
        height, width = shape.tile
        of_parts = (sets, shape.parts, shape.channels)
        means, squares = x.new_empty((2, *of_parts), dtype=torch.float32)
        mean, inverse_std = x.new_empty((2, sets, shape.channels), dtype=torch.float32)
        kernels.part_moments[(shape.parts, sets, shape.columns)](
            x, means, squares, shape.rows, shape.channels, shape.chunk, shape.parts, height, width
        )
        running = (mean, mean) if averages is None else (averages.mean, averages.var)
        momentum = 0.0 if averages is None else averages.momentum
        kernels.whole_moments[(-(-shape.channels // 16),)](
            means, squares, mean, inverse_std, *running, shape.rows, shape.channels, shape.chunk,
            shape.parts, sets, momentum, eps, averages is not None, 64, 16,
        )  # fmt: skip
        y = torch.empty_like(x)
        kernels.normalize[(-(-shape.rows // height), sets, shape.columns)](
            x, residual, weight, bias, mean, inverse_std, y, shape.rows, shape.channels,
            weight is not None, residual is not None, relu, height, width,
        )  # fmt: skip
        ctx.save_for_backward(x, y if relu else None, weight, mean, inverse_std)
        ctx.shape, ctx.relu, ctx.has_residual = shape, relu, residual is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, residual, γ and β."""
        from byol_core.networks.fused import batch_kernels as kernels

        x, y, weight, mean, inverse_std = ctx.saved_tensors
        shape: _Shape = ctx.shape
        height, width = shape.tile
        g = _as_rows(g)
        sums, by_x = mean.new_empty((2, shape.sets, shape.parts, shape.channels))
        shift, slope = mean.new_empty((2, shape.sets, shape.channels))
        d_weight, d_bias = mean.new_empty((2, shape.channels))
        kernels.part_sums[(shape.parts, shape.sets, shape.columns)](
            x, g, y, mean, sums, by_x, shape.rows, shape.channels, shape.chunk, shape.parts,
            ctx.relu, height, width,
        )  # fmt: skip
        kernels.whole_sums[(-(-shape.channels // 16),)](
            sums, by_x, inverse_std, shift, slope, d_weight, d_bias, shape.rows, shape.channels,
            shape.parts, shape.sets, 64, 16,
        )  # fmt: skip
        dx = torch.empty_like(x)
        d_residual = torch.empty_like(x) if ctx.has_residual else None
        kernels.gradient_of_x[(-(-shape.rows // height), shape.sets, shape.columns)](
            x, g, y, weight, mean, inverse_std, shift, slope, dx, d_residual, shape.rows,
            shape.channels, weight is not None, ctx.has_residual, ctx.relu, height, width,
        )  # fmt: skip
        if weight is None:
            return dx, d_residual, None, None, None, None, None, None
        return dx, d_residual, d_weight, d_bias, None, None, None, None


class _GroupNorm(torch.autograd.Function):
    """One kernel forward, one backward: a program an image."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        residual: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        groups: int,
        eps: float,
        relu: bool,
    ) -> Tensor:
        """As `group_norm`."""
        from byol_core.networks.fused import group_kernels as kernels

        x = _as_rows(x)
        residual = None if residual is None else _as_rows(residual)
        images, channels = x.shape[:2]
        rows = x.numel() // images // channels
        y = torch.empty_like(x)
        mean, inverse_std = x.new_empty((2, images, channels), dtype=torch.float32)
        kernels.group_normalize[(images,)](
            x, residual, weight, bias, y, mean, inverse_std, rows, eps, weight is not None,
            residual is not None, relu, groups, channels // groups, max(1, _TILE // channels),
        )  # fmt: skip
        ctx.save_for_backward(x, y if relu else None, weight, mean, inverse_std)
        ctx.rows, ctx.groups, ctx.relu, ctx.has_residual = rows, groups, relu, residual is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, residual, γ and β."""
        from byol_core.networks.fused import group_kernels as kernels

        x, y, weight, mean, inverse_std = ctx.saved_tensors
        images, channels = x.shape[:2]
        g = _as_rows(g)
        dx = torch.empty_like(x)
        d_residual = torch.empty_like(x) if ctx.has_residual else None
        d_weight, d_bias = mean.new_empty((2, images, channels))
        kernels.group_gradient[(images,)](
            x, g, y, weight, mean, inverse_std, dx, d_residual, d_weight, d_bias, ctx.rows,
            weight is not None, ctx.has_residual, ctx.relu, ctx.groups, channels // ctx.groups,
            max(1, _TILE // channels),
        )  # fmt: skip
        if weight is None:
            return dx, d_residual, None, None, None, None, None
        return dx, d_residual, d_weight.sum(0), d_bias.sum(0), None, None, None
