"""What the Triton kernels of norms share: the ReLU and the gradient behind it.

Both let NaN through, as PyTorch's do: a run that diverges is to show it. `tl.maximum` would not.
"""

# Triton compiles the source of a function; what is fixed when it is compiled has capital letters.
# mypy: ignore-errors
# ruff: noqa: N803

import triton
import triton.language as tl


@triton.jit
def at_least_zero(value):
    """Return the value where it is not negative, else 0; NaN stays."""
    return tl.where(value < 0.0, 0.0, value)


@triton.jit
def gradient_behind(g, y, place, mask, RELU: tl.constexpr):
    """Return the gradient behind the ReLU, whose result tells where it was 0."""
    gradient = tl.load(g + place, mask=mask, other=0.0).to(tl.float32)
    if RELU:
        result = tl.load(y + place, mask=mask, other=0.0).to(tl.float32)
        gradient = tl.where(result <= 0, 0.0, gradient)
    return gradient
