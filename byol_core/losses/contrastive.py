"""The contrastive losses that BYOL is compared with: InfoNCE against a queue (MoCo) and NT-Xent
(SimCLR).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from byol_core.losses.regression import l2_normalize


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
    return F.cross_entropy(
        logits, torch.zeros(len(query), dtype=torch.long, device=query.device), reduction="none"
    )


def nt_xent(view1: Tensor, view2: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss (Chen et al. 2020, equation 1): each image of the 2B views picks its other view
    among the rest.

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
