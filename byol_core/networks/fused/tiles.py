"""What the Triton kernels of norms share: how moments are merged, and the gradient behind a ReLU."""

# Triton compiles the source of a function; what is fixed when it is compiled has capital letters.
# mypy: ignore-errors
# ruff: noqa: N803

import triton
import triton.language as tl


@triton.jit
def merged(mean, squares, count, tile, mask, n):
    """Return mean, sum of squared deviations and count with a tile of n rows merged in.

    As Chan et al. (1983) do it: a large mean costs no digits.
    """
    tile_mean = tl.sum(tile, 0) / tl.maximum(n, 1)
    deviation = tl.where(mask, tile - tile_mean[None, :], 0.0)
    total = count + n
    share = n / tl.maximum(total, 1)
    delta = tile_mean - mean
    squares += tl.sum(deviation * deviation, 0) + delta * delta * count * share
    return mean + delta * share, squares, total


@triton.jit
def gradient_behind(g, y, place, mask, RELU: tl.constexpr):
    """Return the gradient behind the ReLU, whose result tells where it was 0."""
    gradient = tl.load(g + place, mask=mask, other=0.0).to(tl.float32)
    if RELU:
        result = tl.load(y + place, mask=mask, other=0.0).to(tl.float32)
        gradient = tl.where(result > 0, gradient, 0.0)
    return gradient
