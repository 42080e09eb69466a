"""Normalizes stacked sets of rows, each by its own mean and variance, in few passes over memory.

On a processor this is several times faster than PyTorch's batch norm, which is called once for each
set, adds numbers one by one, and leaves its results to be copied together. Sums are pairwise here,
so it is more exact too. `BatchNorm._by_sets` is the same in plain words.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def normalize_sets(
    sets: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    residual: Tensor | None = None,
    relu: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return γ (x − mean)/√(var + ε) + β, and what mean and var were.

    Args:
        sets: (S, N, C), contiguous; statistics are over N.
        weight: γ, (C,), or None.
        bias: β, (C,), or None.
        eps: ε.
        residual: of the same shape, added to the result; or None.
        relu: whether the ReLU follows.

    Returns:
        (S, N, C) with a gradient; (S, C) means and (S, C) variances over N without one.
    """
    y, mean, var = _NormalizeSets.apply(sets, weight, bias, eps, residual, relu)
    return y, mean, var


class _NormalizeSets(torch.autograd.Function):
    """Keeps x − mean for the backward pass, in place of x."""

    @staticmethod
    def forward(
        ctx: Any,
        sets: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        residual: Tensor | None,
        relu: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `normalize_sets`."""
        mean = sets.mean(1, keepdim=True)
        centred = sets - mean

        # The memory of the squares becomes that of the result.
        y = centred * centred
        var = y.mean(1, keepdim=True)
        inverse_std = torch.rsqrt(var + eps)
        scale = inverse_std if weight is None else inverse_std * weight
        if bias is None:
            torch.mul(centred, scale, out=y)
        else:
            torch.addcmul(bias, centred, scale, out=y)
        if residual is not None:
            y += residual
        if relu:
            y.clamp_(min=0)

        mean = mean.squeeze(1)
        var = var.squeeze(1)
        ctx.save_for_backward(centred, inverse_std, scale, y if relu else None)
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _mean: Any, _var: Any) -> tuple[Tensor | None, ...]:
        """Return dx = s·(g − mean g − x̂ · mean(g · x̂)), dγ = Σ g · x̂ and dβ = Σ g; s = γ/σ.

        Here g is the gradient behind the ReLU, which the residual has too.
        """
        centred, inverse_std, scale, result = ctx.saved_tensors
        _, needs_weight, needs_bias, _, needs_residual, _ = ctx.needs_input_grad
        gradient = gradient.contiguous()
        if result is not None:
            gradient = torch.ops.aten.threshold_backward(gradient, result, 0)
        rows = gradient.shape[1]

        # Σ g and Σ g · (x − mean) of each set.
        total = gradient.sum(1, keepdim=True)
        dx = gradient * centred
        total_by_x = dx.sum(1, keepdim=True)
        d_weight = (total_by_x * inverse_std).sum((0, 1)) if needs_weight else None
        d_bias = total.sum((0, 1)) if needs_bias else None

        # The memory of the products becomes that of dx.
        slope = -scale * inverse_std.square() * total_by_x / rows
        torch.addcmul(-scale * total / rows, centred, slope, out=dx)
        dx.addcmul_(gradient, scale)
        return dx, d_weight, d_bias, None, gradient if needs_residual else None, None
