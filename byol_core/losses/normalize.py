"""Normalizes vectors before a loss compares them: by length, by layer, by batch, or not at all."""

import math
from typing import Literal

import torch
from torch import Tensor

Normalization = Literal["l2", "layer", "batch", "none"]

_NORM_FLOOR = 1e-12
_VARIANCE_FLOOR = 1e-5  # as of batch and layer norms inside networks


def l2_normalize(x: Tensor) -> Tensor:
    """Return x / ‖x‖₂ along the last axis, as x · rsqrt(max(‖x‖², 1e-12)).

    That is the form of deepmind-research/byol, utils/helpers.py.
    """
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True).clamp_min(_NORM_FLOOR))


def at_least_float32(x: Tensor) -> Tensor:
    """Return x in float32, or as it is in float64: losses and metrics are computed in no less."""
    return x if x.dtype == torch.float64 else x.float()


def normalize(x: Tensor, kind: Normalization) -> Tensor:
    """Return vectors as a loss compares them (BYOL, appendix F.6).

    Layer and batch normalization have nothing to train and are divided by √D, so that vectors have
    length 1, on average in a batch, as they have exactly under `l2`.

    Args:
        x: (B, D), or (V, B, D), where each view is a batch of its own.
        kind: by the length of each vector, over the numbers of each vector, over the batch, or not.
    """
    match kind:
        case "l2":
            return l2_normalize(x)
        case "layer":
            return _standardize(x, axis=-1) / math.sqrt(x.shape[-1])
        case "batch":
            return _standardize(x, axis=-2) / math.sqrt(x.shape[-1])
        case "none":
            return x


def _standardize(x: Tensor, axis: int) -> Tensor:
    """Return x with mean 0 and variance 1 along an axis."""
    variance, mean = torch.var_mean(x, dim=axis, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + _VARIANCE_FLOOR)
