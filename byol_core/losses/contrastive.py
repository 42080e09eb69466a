"""The losses: BYOL's regression of the target projection, and the contrastive ones of MoCo and SimCLR."""

import torch
import torch.nn.functional as F
from torch import Tensor

_NORM_FLOOR = 1e-12


def l2_normalize(x: Tensor) -> Tensor:
    """Return x / ‖x‖₂ along the last axis, as x · rsqrt(max(‖x‖², 1e-12)) (deepmind-research/byol, utils/helpers.py)."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True).clamp_min(_NORM_FLOOR))


def regression_loss(prediction: Tensor, target_projection: Tensor) -> Tensor:
    """BYOL, equation 2: ‖q̄ − z̄′‖² = 2 − 2 cos(q, z′) for each pair of rows.

    Args:
        prediction: (B, D) of the online network.
        target_projection: (B, D) of the target network, without gradient.

    Returns:
        (B,) in [0, 4].
    """
    return 2 - 2 * (l2_normalize(prediction) * l2_normalize(target_projection)).sum(-1)


def contrastive_loss(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """InfoNCE against a queue of earlier keys (MoCo, equation 1).

    Args:
        query: (B, D) prediction of the online network.
        key: (B, D) projection of the other view by the momentum network: the positives.
        queue: (K, D) l2-normalized keys of earlier batches: the negatives.
        temperature: > 0.

    Returns:
        (B,) cross-entropy of picking the positive among 1 + K.
    """
    query, key = l2_normalize(query), l2_normalize(key)
    positive = (query * key).sum(-1, keepdim=True)
    logits = torch.cat([positive, query @ queue.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device), reduction="none")


def nt_xent(view1: Tensor, view2: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss (Chen et al. 2020, equation 1): each image of the 2B views picks its other view among the rest.

    Args:
        view1: (B, D) projections.
        view2: (B, D) projections of the same images.
        temperature: > 0.

    Returns:
        (2B,) cross-entropies.
    """
    n = len(view1)
    both = l2_normalize(torch.cat([view1, view2]))
    logits = (both @ both.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(2 * n, device=both.device).roll(n)
    return F.cross_entropy(logits, partner, reduction="none")
