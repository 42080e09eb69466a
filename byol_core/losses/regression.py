"""Computes BYOL's loss, the squared distance of prediction and target (arXiv 2006.07733)."""

from torch import Tensor

from byol_core.losses.normalize import Normalization, l2_normalize, normalize


def regression_loss(prediction: Tensor, target: Tensor, kind: Normalization = "l2") -> Tensor:
    """Return ‖q̄ − z̄′‖² for each pair of rows (BYOL, equation 2).

    Of unit vectors it is 2 − 2 cos(q, z′), and computed as that.

    Args:
        prediction: (B, D) of the online network.
        target: (B, D) projections of the other view by the target network.
        kind: how both are normalized; the paper's is `l2`, the others are of its appendix F.6.

    Returns:
        (B,); in [0, 4] under `l2`.
    """
    if kind == "l2":
        return 2 - 2 * (l2_normalize(prediction) * l2_normalize(target)).sum(-1)
    return (normalize(prediction, kind) - normalize(target, kind)).square().sum(-1)
