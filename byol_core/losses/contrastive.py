"""Computes the contrastive losses: MoCo's, SimCLR's, and BYOL's equation 6 between it and BYOL."""

import torch
import torch.nn.functional as F
from torch import Tensor

from byol_core.losses.normalize import l2_normalize


def contrastive_loss(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Return InfoNCE against a queue of earlier keys (MoCo, arXiv 1911.05722, equation 1).

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


def nt_xent(prediction: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Return NT-Xent (SimCLR, arXiv 2002.05709, equation 1) of predictions against targets.

    Each of the 2B predictions picks the target of the other view of its image among the targets of
    both views, its own left out. It is SimCLR's loss where both are the same projections.

    Args:
        prediction: (2, B, D) of both views.
        target: (2, B, D) of both views, in the same order.
        temperature: > 0.

    Returns:
        (2, B) cross-entropies.
    """
    there = _cross_entropy(prediction[0], target[1], target[0], temperature)
    back = _cross_entropy(prediction[1], target[0], target[1], temperature)
    return torch.stack([there, back])


def regression_with_negatives(
    prediction: Tensor, target: Tensor, own_target: Tensor, beta: float, temperature: float
) -> Tensor:
    """Return BYOL's equation 6 as a loss on the scale of BYOL's, for one order of the views.

    It is 2 − 2 S(v, v′) + β 2α ln(Σ_{j≠i} exp(S(v_i, v_j)/α) + Σ_j exp(S(v_i, v′_j)/α)), where S is
    the cosine of a prediction and a target: BYOL at β = 0; at β = 1 2 + 2α times NT-Xent.

    Args:
        prediction: (B, D) of view v.
        target: (B, D) of the other view v′: the positives, and negatives of other images.
        own_target: (B, D) of view v itself: the rest of the negatives.
        beta: β ≥ 0.
        temperature: α > 0.

    Returns:
        (B,).
    """
    logits = _logits(prediction, target, own_target, temperature)
    cosine = (l2_normalize(prediction) * l2_normalize(target)).sum(-1)
    return 2 - 2 * cosine + beta * 2 * temperature * logits.logsumexp(1)


def _cross_entropy(
    prediction: Tensor, target: Tensor, own_target: Tensor, temperature: float
) -> Tensor:
    logits = _logits(prediction, target, own_target, temperature)
    positive = torch.arange(len(prediction), device=prediction.device)
    return F.cross_entropy(logits, positive, reduction="none")


def _logits(prediction: Tensor, target: Tensor, own_target: Tensor, temperature: float) -> Tensor:
    """Return (B, 2B) cosines by temperature; an image's own view is no choice and has −∞."""
    prediction = l2_normalize(prediction)
    across = prediction @ l2_normalize(target).T
    within = (prediction @ l2_normalize(own_target).T) / temperature
    own = torch.eye(len(prediction), dtype=torch.bool, device=prediction.device)
    return torch.cat([across / temperature, within.masked_fill(own, -torch.inf)], dim=1)
