"""Triton kernels of batch norm: statistics, then norm, residual and ReLU in one pass; gradients.

Tensors are rows of channels, (S, R, C) in this order in memory: S sets of R rows, one set a view.
Sums over rows are made in parts and put together in one order, so that they repeat to the bit.
``norm`` calls these; the plain form is norm, sum and `F.relu`.
"""

# Triton compiles the source of a function; what is fixed when it is compiled has capital letters.
# mypy: ignore-errors
# ruff: noqa: N803

import triton
import triton.language as tl

from byol_core.networks.fused.relu import at_least_zero, gradient_behind


@triton.jit
def part_moments(x, means, squares, rows, channels, chunk, parts, R: tl.constexpr, C: tl.constexpr):
    """Write mean and sum of squared deviations of each chunk of rows: (S, parts, channels)."""
    part = tl.program_id(0)
    group = tl.program_id(1)
    column = tl.program_id(2) * C + tl.arange(0, C)
    inside = column < channels
    first = part * chunk

    # Distances from the chunk's first row, which is as near the mean as any value.
    origin = (group * rows + first).to(tl.int64) * channels
    shift = tl.load(x + origin + column, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros([R, C], tl.float32)
    total_of_squares = tl.zeros([R, C], tl.float32)
    for offset in range(0, chunk, R):
        row = first + offset + tl.arange(0, R)
        mask = (row < rows)[:, None] & inside[None, :]
        place = (group * rows + row).to(tl.int64)[:, None] * channels + column[None, :]
        tile = tl.load(x + place, mask=mask, other=0.0).to(tl.float32) - shift[None, :]
        tile = tl.where(mask, tile, 0.0)
        total += tile
        total_of_squares += tile * tile
    n = tl.minimum(rows - first, chunk).to(tl.float32)
    mean = tl.sum(total, 0) / n
    square = at_least_zero(tl.sum(total_of_squares, 0) - mean * mean * n)
    place = (group * parts + part) * channels + column
    tl.store(means + place, shift + mean, mask=inside)
    tl.store(squares + place, square, mask=inside)


@triton.jit
def whole_moments(
    means,
    squares,
    mean_of,
    inverse_std,
    running_mean,
    running_var,
    rows,
    channels,
    chunk,
    parts,
    sets,
    momentum,
    eps,
    TRACKS: tl.constexpr,
    P: tl.constexpr,
    C: tl.constexpr,
):
    """Write mean and 1/σ of each set, (S, channels), and move the running averages, set by set."""
    column = tl.program_id(0) * C + tl.arange(0, C)
    inside = column < channels
    for group in range(0, sets):
        mean = tl.zeros([C], tl.float32)
        for first in range(0, parts, P):
            part = first + tl.arange(0, P)
            mask = (part < parts)[:, None] & inside[None, :]
            place = (group * parts + part)[:, None] * channels + column[None, :]
            n = tl.maximum(tl.minimum(rows - part * chunk, chunk), 0).to(tl.float32)
            mean += tl.sum(tl.load(means + place, mask=mask, other=0.0) * n[:, None], 0)
        mean = mean / rows
        square = tl.zeros([C], tl.float32)
        for first in range(0, parts, P):
            part = first + tl.arange(0, P)
            mask = (part < parts)[:, None] & inside[None, :]
            place = (group * parts + part)[:, None] * channels + column[None, :]
            n = tl.maximum(tl.minimum(rows - part * chunk, chunk), 0).to(tl.float32)
            delta = tl.load(means + place, mask=mask, other=0.0) - mean[None, :]
            within = tl.load(squares + place, mask=mask, other=0.0)
            square += tl.sum(tl.where(mask, within + delta * delta * n[:, None], 0.0), 0)
        tl.store(mean_of + group * channels + column, mean, mask=inside)
        tl.store(
            inverse_std + group * channels + column,
            1.0 / tl.sqrt(square / rows + eps),
            mask=inside,
        )
        if TRACKS:
            average = tl.load(running_mean + column, mask=inside)
            tl.store(running_mean + column, average + momentum * (mean - average), mask=inside)
            variance = square / (rows - 1)
            average = tl.load(running_var + column, mask=inside)
            tl.store(running_var + column, average + momentum * (variance - average), mask=inside)


@triton.jit
def normalize(
    x,
    residual,
    weight,
    bias,
    mean_of,
    inverse_std,
    y,
    rows,
    channels,
    AFFINE: tl.constexpr,
    RESIDUAL: tl.constexpr,
    RELU: tl.constexpr,
    R: tl.constexpr,
    C: tl.constexpr,
):
    """Write (x − mean)/σ · γ + β, plus the residual, through the ReLU."""
    group = tl.program_id(1)
    row = tl.program_id(0) * R + tl.arange(0, R)
    column = tl.program_id(2) * C + tl.arange(0, C)
    inside = column < channels
    mask = (row < rows)[:, None] & inside[None, :]
    place = (group * rows + row).to(tl.int64)[:, None] * channels + column[None, :]
    mean = tl.load(mean_of + group * channels + column, mask=inside, other=0.0)
    scale = tl.load(inverse_std + group * channels + column, mask=inside, other=0.0)
    value = tl.load(x + place, mask=mask, other=0.0).to(tl.float32) - mean[None, :]
    if AFFINE:
        scale *= tl.load(weight + column, mask=inside, other=0.0)
        value = value * scale[None, :] + tl.load(bias + column, mask=inside, other=0.0)[None, :]
    else:
        value = value * scale[None, :]
    if RESIDUAL:
        value += tl.load(residual + place, mask=mask, other=0.0).to(tl.float32)
    if RELU:
        value = at_least_zero(value)
    tl.store(y + place, value.to(y.dtype.element_ty), mask=mask)


@triton.jit
def part_sums(
    x,
    g,
    y,
    mean_of,
    sums,
    sums_by_x,
    rows,
    channels,
    chunk,
    parts,
    RELU: tl.constexpr,
    R: tl.constexpr,
    C: tl.constexpr,
):
    """Write Σ g and Σ g (x − mean) of each chunk of rows: (S, parts, channels)."""
    part = tl.program_id(0)
    group = tl.program_id(1)
    column = tl.program_id(2) * C + tl.arange(0, C)
    inside = column < channels
    mean = tl.load(mean_of + group * channels + column, mask=inside, other=0.0)
    total = tl.zeros([R, C], tl.float32)
    total_by_x = tl.zeros([R, C], tl.float32)
    for offset in range(0, chunk, R):
        row = part * chunk + offset + tl.arange(0, R)
        mask = (row < rows)[:, None] & inside[None, :]
        place = (group * rows + row).to(tl.int64)[:, None] * channels + column[None, :]
        gradient = gradient_behind(g, y, place, mask, RELU)
        value = tl.load(x + place, mask=mask, other=0.0).to(tl.float32) - mean[None, :]
        total += gradient
        total_by_x += gradient * value
    place = (group * parts + part) * channels + column
    tl.store(sums + place, tl.sum(total, 0), mask=inside)
    tl.store(sums_by_x + place, tl.sum(total_by_x, 0), mask=inside)


@triton.jit
def whole_sums(
    sums,
    sums_by_x,
    inverse_std,
    shift,
    slope,
    d_weight,
    d_bias,
    rows,
    channels,
    parts,
    sets,
    P: tl.constexpr,
    C: tl.constexpr,
):
    """Write what `gradient_of_x` takes off, (S, channels), and the gradients of γ and β."""
    column = tl.program_id(0) * C + tl.arange(0, C)
    inside = column < channels
    all_sets = tl.zeros([C], tl.float32)
    all_sets_by_x = tl.zeros([C], tl.float32)
    for group in range(0, sets):
        total = tl.zeros([C], tl.float32)
        total_by_x = tl.zeros([C], tl.float32)
        for first in range(0, parts, P):
            part = first + tl.arange(0, P)
            mask = (part < parts)[:, None] & inside[None, :]
            place = (group * parts + part)[:, None] * channels + column[None, :]
            total += tl.sum(tl.load(sums + place, mask=mask, other=0.0), 0)
            total_by_x += tl.sum(tl.load(sums_by_x + place, mask=mask, other=0.0), 0)
        place = group * channels + column
        scale = tl.load(inverse_std + place, mask=inside, other=0.0)
        tl.store(shift + place, total / rows, mask=inside)
        tl.store(slope + place, total_by_x * scale * scale / rows, mask=inside)
        all_sets += total
        all_sets_by_x += total_by_x * scale
    tl.store(d_bias + column, all_sets, mask=inside)
    tl.store(d_weight + column, all_sets_by_x, mask=inside)


@triton.jit
def gradient_of_x(
    x,
    g,
    y,
    weight,
    mean_of,
    inverse_std,
    shift,
    slope,
    dx,
    d_residual,
    rows,
    channels,
    AFFINE: tl.constexpr,
    RESIDUAL: tl.constexpr,
    RELU: tl.constexpr,
    R: tl.constexpr,
    C: tl.constexpr,
):
    """Write γ/σ (g − mean g − (x − mean) · mean(g (x − mean))/σ²), and g for the residual."""
    group = tl.program_id(1)
    row = tl.program_id(0) * R + tl.arange(0, R)
    column = tl.program_id(2) * C + tl.arange(0, C)
    inside = column < channels
    mask = (row < rows)[:, None] & inside[None, :]
    place = (group * rows + row).to(tl.int64)[:, None] * channels + column[None, :]
    of_set = group * channels + column
    gradient = gradient_behind(g, y, place, mask, RELU)
    if RESIDUAL:
        tl.store(d_residual + place, gradient.to(d_residual.dtype.element_ty), mask=mask)
    mean = tl.load(mean_of + of_set, mask=inside, other=0.0)
    scale = tl.load(inverse_std + of_set, mask=inside, other=0.0)
    if AFFINE:
        scale *= tl.load(weight + column, mask=inside, other=0.0)
    value = tl.load(x + place, mask=mask, other=0.0).to(tl.float32) - mean[None, :]
    gradient -= tl.load(shift + of_set, mask=inside, other=0.0)[None, :]
    gradient -= value * tl.load(slope + of_set, mask=inside, other=0.0)[None, :]
    tl.store(dx + place, (gradient * scale[None, :]).to(dx.dtype.element_ty), mask=mask)
