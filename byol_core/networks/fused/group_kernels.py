"""Triton kernels of group norm: a program an image, which it reads twice; the second time cached.

Tensors are rows of channels, (N, R, C) in this order in memory, and statistics are of an image's
groups of channels. ``norm`` calls these; the plain form is norm, sum and `F.relu`.
"""

# Triton compiles the source of a function; what is fixed when it is compiled has capital letters.
# mypy: ignore-errors
# ruff: noqa: N803

import triton
import triton.language as tl

from byol_core.networks.fused.relu import at_least_zero, gradient_behind


@triton.jit
def _of_groups(values, GROUPS: tl.constexpr, WIDTH: tl.constexpr):
    """Return the sum over each group of channels, at each of its channels."""
    sums = tl.sum(tl.reshape(values, (GROUPS, WIDTH)), 1)
    spread = tl.broadcast_to(sums[:, None], (GROUPS, WIDTH))
    return tl.reshape(spread, (GROUPS * WIDTH,))


@triton.jit
def group_normalize(
    x,
    residual,
    weight,
    bias,
    y,
    mean_of,
    inverse_std,
    rows,
    eps,
    AFFINE: tl.constexpr,
    RESIDUAL: tl.constexpr,
    RELU: tl.constexpr,
    GROUPS: tl.constexpr,
    WIDTH: tl.constexpr,
    R: tl.constexpr,
):
    """Normalize one image by groups of channels; its second reading comes out of the cache."""
    channels: tl.constexpr = GROUPS * WIDTH
    image = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, channels)

    # Distances from the image's first pixel, which is as near the mean as any.
    shift = tl.load(x + image * rows * channels + column).to(tl.float32)
    total = tl.zeros([R, channels], tl.float32)
    total_of_squares = tl.zeros([R, channels], tl.float32)
    for first in range(0, rows, R):
        row = first + tl.arange(0, R)
        mask = (row < rows)[:, None] & (column >= 0)[None, :]
        place = (image * rows + row)[:, None] * channels + column[None, :]
        tile = tl.load(x + place, mask=mask, other=0.0).to(tl.float32) - shift[None, :]
        tile = tl.where(mask, tile, 0.0)
        total += tile
        total_of_squares += tile * tile
    distance = tl.sum(total, 0) / rows
    square = at_least_zero(tl.sum(total_of_squares, 0) - distance * distance * rows)
    mean = shift + distance

    # From channels to groups of them.
    whole = _of_groups(mean, GROUPS, WIDTH) / WIDTH
    delta = mean - whole
    variance = _of_groups(square + rows * delta * delta, GROUPS, WIDTH) / (rows * WIDTH)
    scale = 1.0 / tl.sqrt(variance + eps)
    tl.store(mean_of + image * channels + column, whole)
    tl.store(inverse_std + image * channels + column, scale)
    offset = tl.zeros([channels], tl.float32)
    if AFFINE:
        scale *= tl.load(weight + column)
        offset += tl.load(bias + column)
    for first in range(0, rows, R):
        row = first + tl.arange(0, R)
        mask = (row < rows)[:, None] & (column >= 0)[None, :]
        place = (image * rows + row)[:, None] * channels + column[None, :]
        value = tl.load(x + place, mask=mask, other=0.0).to(tl.float32) - whole[None, :]
        value = value * scale[None, :] + offset[None, :]
        if RESIDUAL:
            value += tl.load(residual + place, mask=mask, other=0.0).to(tl.float32)
        if RELU:
            value = at_least_zero(value)
        tl.store(y + place, value.to(y.dtype.element_ty), mask=mask)


@triton.jit
def group_gradient(
    x,
    g,
    y,
    weight,
    mean_of,
    inverse_std,
    dx,
    d_residual,
    d_weight,
    d_bias,
    rows,
    AFFINE: tl.constexpr,
    RESIDUAL: tl.constexpr,
    RELU: tl.constexpr,
    GROUPS: tl.constexpr,
    WIDTH: tl.constexpr,
    R: tl.constexpr,
):
    """Write the gradients of one image, and its part of those of γ and β: (images, channels)."""
    channels: tl.constexpr = GROUPS * WIDTH
    image = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, channels)
    mean = tl.load(mean_of + image * channels + column)
    scale = tl.load(inverse_std + image * channels + column)
    all_rows = tl.zeros([R, channels], tl.float32)
    all_rows_by_x = tl.zeros([R, channels], tl.float32)
    for first in range(0, rows, R):
        row = first + tl.arange(0, R)
        mask = (row < rows)[:, None] & (column >= 0)[None, :]
        place = (image * rows + row)[:, None] * channels + column[None, :]
        gradient = gradient_behind(g, y, place, mask, RELU)
        value = tl.load(x + place, mask=mask, other=0.0).to(tl.float32) - mean[None, :]
        all_rows += gradient
        all_rows_by_x += gradient * value
    total = tl.sum(all_rows, 0)
    total_by_x = tl.sum(all_rows_by_x, 0)
    tl.store(d_bias + image * channels + column, total)
    tl.store(d_weight + image * channels + column, total_by_x * scale)
    gamma = tl.full([channels], 1.0, tl.float32)
    if AFFINE:
        gamma = tl.load(weight + column).to(tl.float32)
    shift = _of_groups(gamma * total, GROUPS, WIDTH) / (rows * WIDTH)
    slope = _of_groups(gamma * total_by_x, GROUPS, WIDTH) * scale * scale / (rows * WIDTH)
    for first in range(0, rows, R):
        row = first + tl.arange(0, R)
        mask = (row < rows)[:, None] & (column >= 0)[None, :]
        place = (image * rows + row)[:, None] * channels + column[None, :]
        gradient = gradient_behind(g, y, place, mask, RELU)
        if RESIDUAL:
            tl.store(d_residual + place, gradient.to(d_residual.dtype.element_ty), mask=mask)
        value = tl.load(x + place, mask=mask, other=0.0).to(tl.float32) - mean[None, :]
        gradient = gradient * gamma[None, :] - shift[None, :] - value * slope[None, :]
        tl.store(dx + place, (gradient * scale[None, :]).to(dx.dtype.element_ty), mask=mask)
