"""What the Triton kernels of norms share: the gradient behind a ReLU."""

# Triton compiles the source of a function; what is fixed when it is compiled has capital letters.
# mypy: ignore-errors
# ruff: noqa: N803

import triton
import triton.language as tl


@triton.jit
def gradient_behind(g, y, place, mask, RELU: tl.constexpr):
    """Return the gradient behind the ReLU, whose result tells where it was 0."""
    gradient = tl.load(g + place, mask=mask, other=0.0).to(tl.float32)
    if RELU:
        result = tl.load(y + place, mask=mask, other=0.0).to(tl.float32)
        gradient = tl.where(result > 0, gradient, 0.0)
    return gradient
