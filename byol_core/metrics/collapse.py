"""Measures the signs of collapse, on vectors of a training batch.

None of them looks at accuracy: a collapsed head leaves an encoder that scores like a random one.
Vectors are (V, B, D), views first; each view is measured by itself, and the mean is returned. A
batch that is not finite gives NaN.
"""

import torch
from torch import Tensor

from byol_core.losses.normalize import l2_normalize


def signs_of_collapse(online: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Return the signs that are scalars.

    Args:
        online: (V, B, D) projections of the online network in train mode.
        target: (V, B, D) projections of the target network, in the same order of views.

    Returns:
        `std_sqrt_d` (0: one point, 1: spread evenly); `positive_cosine` and `negative_cosine` of
        online projections against the targets of the other view (the blog's columns); and
        `retrieval`: how often the nearest of these is the image's own (chance 1/B).
    """
    online = l2_normalize(online)
    across = l2_normalize(target).flip(0)

    # Row i of each view against every target of the other.
    n = online.shape[1]
    cosines = online @ across.mT
    own = cosines.diagonal(dim1=-2, dim2=-1)
    hits = cosines.argmax(-1) == torch.arange(n, device=cosines.device)
    return {
        "std_sqrt_d": std_sqrt_d(online),
        "positive_cosine": own.mean(),
        "negative_cosine": (cosines.sum() - own.sum()) / (len(cosines) * n * (n - 1)),
        "retrieval": torch.where(torch.isfinite(cosines.sum()), hits.float().mean(), torch.nan),
    }


def std_sqrt_d(normalized: Tensor) -> Tensor:
    """Return std·√d of (V, B, D) unit vectors: the root of the summed variances of each view.

    It equals √(1 − mean cosine of different images).
    """
    variances = normalized.var(dim=1, correction=1).sum(-1)
    return variances.clamp_min(0).sqrt().mean()


def cosine_of_views(vectors: Tensor) -> Tensor:
    """Return the mean cosine of what becomes of the two views of an image, (2, B, D)."""
    unit = l2_normalize(vectors)
    return (unit[0] * unit[1]).sum(-1).mean()
