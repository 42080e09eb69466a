"""Measures the signs of collapse, on the projections of a training batch.

None of them looks at encoder features or at accuracy: a collapsed head leaves an encoder that
scores like a random one.
"""

import torch
from torch import Tensor

from byol_core.losses.regression import l2_normalize


@torch.no_grad()
def collapse_metrics(
    online1: Tensor, online2: Tensor, target1: Tensor, target2: Tensor
) -> dict[str, Tensor]:
    """Measure the signs of collapse at one step.

    Args:
        online1: (B, D) projections of view 1 by the online network in train mode.
        online2: the same of view 2.
        target1: (B, D) projections of view 1 by the target network.
        target2: the same of view 2.

    Returns:
        Scalars: `std_sqrt_d` (0 = one point, 1 = spread evenly), `positive_cosine` and
        `negative_cosine` of online against target projections (the blog's columns),
        `effective_rank` in [1, D], and `retrieval`: how often the nearest target projection of the
        other view is the image's own (chance 1/B).
    """
    there = _one_way(online1.float(), target2.float())
    back = _one_way(online2.float(), target1.float())
    return {name: torch.stack([there[name], back[name]]).mean() for name in there}


def _one_way(online: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Measure the projections of one view against the targets of the other."""
    online = l2_normalize(online)
    target = l2_normalize(target)
    n = len(online)
    cosines = online @ target.T
    positives = cosines.diagonal()
    return {
        "std_sqrt_d": std_sqrt_d(online),
        "positive_cosine": positives.mean(),
        "negative_cosine": (cosines.sum() - positives.sum()) / (n * (n - 1)),
        "effective_rank": effective_rank(online),
        "retrieval": (cosines.argmax(1) == torch.arange(n, device=cosines.device)).float().mean(),
    }


def std_sqrt_d(normalized: Tensor) -> Tensor:
    """Return std·√d of (B, D) unit vectors: the root of the summed variances.

    It equals √(1 − mean cosine of different images).
    """
    return normalized.var(dim=0, correction=1).sum().clamp_min(0).sqrt()


def effective_rank(vectors: Tensor) -> Tensor:
    """Return exp(entropy of the singular values) of centred vectors (Roy & Vetterli 2007).

    It is 1 where all of the (B, D) vectors are equal, and NaN where one is not finite.
    """
    # In float32 the solver gives up on the tiny covariance of a collapsed batch.
    centred = (vectors - vectors.mean(0)).double()

    # The smaller of the two products has all singular values that are not 0.
    n, d = centred.shape
    gram = centred.T @ centred if d <= n else centred @ centred.T

    # A diverged run would have the solver raise, and a sign of collapse must not end a run.
    if not bool(torch.isfinite(gram).all()):
        return gram.new_tensor(torch.nan)
    try:
        values = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    except RuntimeError:  # torch.linalg.LinAlgError is one
        return gram.new_tensor(torch.nan)

    shares = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    return torch.exp(-torch.special.xlogy(shares, shares).sum())
