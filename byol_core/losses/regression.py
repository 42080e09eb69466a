"""Computes BYOL's loss, the squared distance of two unit vectors (arXiv 2006.07733)."""

import torch
from torch import Tensor

_NORM_FLOOR = 1e-12


def l2_normalize(x: Tensor) -> Tensor:
    """Return x / ‖x‖₂ along the last axis, as x · rsqrt(max(‖x‖², 1e-12)).

    That is the form of deepmind-research/byol, utils/helpers.py.
    """
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True).clamp_min(_NORM_FLOOR))


def regression_loss(prediction: Tensor, target_projection: Tensor) -> Tensor:
    """Return ‖q̄ − z̄′‖² = 2 − 2 cos(q, z′) for each pair of rows (BYOL, equation 2).

    Args:
        prediction: (B, D) of the online network.
        target_projection: (B, D) of the target network, without gradient.

    Returns:
        (B,) in [0, 4].
    """
    return 2 - 2 * (l2_normalize(prediction) * l2_normalize(target_projection)).sum(-1)
