"""Solves least squares on the device, without waiting for it: the best linear predictor."""

import torch
from torch import Tensor

_LEAST = 1e-12  # of z's squares: a millionth of its norm


def most_precise(x: Tensor) -> Tensor:
    """Return x in float64, or in float32 on a device that has no more (Apple's)."""
    return x.to(torch.float32 if x.device.type == "mps" else torch.float64)


def least_squares(z: Tensor, target: Tensor, ridge: float = 0.0) -> Tensor:
    """Return the matrix W that makes z W nearest to the target.

    It minimizes ‖z W − z′‖² + r ‖W‖² by its normal equations (zᵀz + r) W = zᵀz′, which a Cholesky
    decomposition solves without a word to the host. Where z does not span its space, as where it
    has collapsed, this approaches the smallest W: directions in which z is below a millionth of
    its norm, where float32 leaves little but rounding, hardly count.

    Args:
        z: (n, D).
        target: (n, D′).
        ridge: r, relative to the mean over dimensions of z's squares.

    Returns:
        (D, D′) in the precision of the solution; NaN where an input is not finite.
    """
    z = most_precise(z)
    target = most_precise(target)
    gram = z.T @ z
    width = len(gram)

    # What is added at least keeps the matrix definite whatever rounding does.
    squares = gram.diagonal().sum()
    limits = torch.finfo(gram.dtype)
    least = (max(_LEAST, width * limits.eps) * squares).clamp_min(limits.tiny)
    addition = ridge * squares / width + least
    penalized = gram + addition * torch.eye(width, dtype=gram.dtype, device=gram.device)

    # Neither of the two raises, or looks at the result.
    factor, _ = torch.linalg.cholesky_ex(penalized)
    return torch.cholesky_solve(z.T @ target, factor)
