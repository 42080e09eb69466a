"""Computes the contrastive losses that BYOL is compared with: MoCo's and SimCLR's."""

import torch
import torch.nn.functional as F
from torch import Tensor

from byol_core.losses.regression import l2_normalize


def contrastive_loss(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Return InfoNCE against a queue of earlier keys (MoCo, equation 1).

    Args:
        query: (B, D) prediction of the online network.
        key: (B, D) projection of the other view by the momentum network: the positives.
        queue: (K, D) l2-normalized keys of earlier batches: the negatives.
        temperature: > 0.

    Returns:
        (B,) cross-entropy of picking the positive among 1 + K.
    """
    query = l2_normalize(query)
    key = l2_normalize(key)

    # The positive comes first, so every query's class is 0.
    positive = (query * key).sum(-1, keepdim=True)
    logits = torch.cat([positive, query @ queue.T], dim=1) / temperature
    classes = torch.zeros(len(query), dtype=torch.long, device=query.device)
    return F.cross_entropy(logits, classes, reduction="none")


def nt_xent(view1: Tensor, view2: Tensor, temperature: float) -> Tensor:
    """Return SimCLR's loss, NT-Xent (Chen et al. 2020, equation 1).

    Each of the 2B views picks the other view of its image among the rest.

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
