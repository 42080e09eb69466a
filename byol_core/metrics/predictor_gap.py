"""Measures how near a predictor is to the best linear one (BYOL, section 3.2 and appendix I)."""

from collections.abc import Callable

from torch import Tensor

from byol_core.networks.least_squares import least_squares, most_precise

ROWS_PER_DIMENSION = 4
"""With fewer rows than this a best linear predictor says little: it fits any targets."""


def predictor_gap(
    z: Tensor,
    prediction: Tensor,
    target: Tensor,
    comparable: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> dict[str, Tensor]:
    """Return how far the loss lies above that of the best linear predictor of this batch.

    The best is by least squares, of the targets as the loss compares them, on the rows of both
    views; a predictor that is no matrix can be better, so the gap can be below 0. The
    mean squared distance of those targets from it estimates the conditional variance
    E‖z′ − E[z′ | z]‖², which is what the gradient lowers under an optimal predictor.

    Args:
        z: (2, B, D) projections.
        prediction: (2, B, D).
        target: (2, B, D), in the same order of views.
        comparable: the target as the loss compares it: under `l2` unit vectors.
        loss: of predictions and targets.

    Returns:
        `predictor_gap`, in units of the loss, and `conditional_variance`.
    """
    rows = most_precise(z).flatten(0, 1)
    others = most_precise(comparable).flip(0).flatten(0, 1)
    best = rows @ least_squares(rows, others)

    gap = loss(prediction, target) - loss(best.to(z.dtype).view_as(z), target)
    return {
        "predictor_gap": gap,
        "conditional_variance": (best - others).square().sum(-1).mean(),
    }
