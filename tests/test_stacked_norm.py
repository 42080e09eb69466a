"""Batch norm of stacked sets in few passes: against its formula in float64 and against autograd's."""

import pytest
import torch

from byol_core.config import BatchNormConfig
from byol_core.networks.batch_norm import EPS, BatchNorm
from byol_core.networks.stacked_norm import normalize_sets

SETS, ROWS, CHANNELS = 2, 40, 6


def drawn(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def arguments(dtype, affine=True):
    """Return sets that differ in mean and deviation, γ and β, all of which take gradients."""
    sets = drawn(SETS, ROWS, CHANNELS)
    sets[1] = 2 * sets[1] + 3
    tensors = [sets.to(dtype)]
    if affine:
        tensors += [drawn(CHANNELS, seed=1, dtype=dtype), drawn(CHANNELS, seed=2, dtype=dtype)]
    return [tensor.requires_grad_() for tensor in tensors]


def formula(sets, weight=None, bias=None):
    """Return what is to come out, in plain words."""
    var, mean = torch.var_mean(sets, dim=1, correction=0, keepdim=True)
    y = (sets - mean) / torch.sqrt(var + EPS)
    return y if weight is None else y * weight + bias


def outcome(forward, tensors, toward):
    """Return the output and the gradient of every argument."""
    y = forward(*tensors)
    return [y.detach(), *torch.autograd.grad((y * toward).sum(), tensors)]


def ours(sets, weight=None, bias=None):
    return normalize_sets(sets, weight, bias, EPS)[0]


@pytest.mark.parametrize("affine", [True, False])
def test_values_and_gradients_are_those_of_the_formula(affine):
    tensors = arguments(torch.float64, affine)
    toward = drawn(SETS, ROWS, CHANNELS, seed=3)
    for mine, expected in zip(
        outcome(ours, tensors, toward), outcome(formula, tensors, toward), strict=True
    ):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_residual_and_relu_are_those_of_the_formula(affine, relu):
    residual = drawn(SETS, ROWS, CHANNELS, seed=4, dtype=torch.float64).requires_grad_()
    toward = drawn(SETS, ROWS, CHANNELS, seed=3)

    def all_in_one(residual, *tensors):
        weight, bias = tensors[1:] or (None, None)
        return normalize_sets(tensors[0], weight, bias, EPS, residual, relu)[0]

    def one_by_one(residual, *tensors):
        y = formula(*tensors) + residual
        return torch.relu(y) if relu else y

    tensors = [residual, *arguments(torch.float64, affine)]
    for mine, expected in zip(
        outcome(all_in_one, tensors, toward), outcome(one_by_one, tensors, toward), strict=True
    ):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


def test_the_gradient_is_that_of_small_steps():
    assert torch.autograd.gradcheck(ours, arguments(torch.float64))


def test_mean_and_variance_are_of_each_set_and_take_no_gradient():
    tensors = arguments(torch.float64)
    _, mean, var = normalize_sets(*tensors, EPS)
    torch.testing.assert_close(mean, tensors[0].mean(1))
    torch.testing.assert_close(var, tensors[0].var(1, correction=0))
    assert not mean.requires_grad and not var.requires_grad


def test_a_mean_far_above_the_deviation_costs_no_digits():
    """At a mean of 1000 deviations it errs by no more than three roundings of the input."""
    sets = (drawn(SETS, ROWS, CHANNELS) + 1000).float()
    expected = formula(sets.double())
    assert (ours(sets) - expected).abs().max() < 3 * torch.finfo(torch.float32).eps * 1000


def test_float32_is_as_exact_as_pytorchs():
    """Over 16,384 rows output and gradient err against float64 no more than PyTorch's own."""
    sets = (drawn(1, 16_384, CHANNELS) + 1).float().requires_grad_()
    toward = drawn(1, 16_384, CHANNELS, seed=3).float()
    expected = outcome(formula, [sets.double()], toward.double())
    theirs = outcome(lambda x: _torchs(x[0])[None], [sets], toward)
    for mine, other, exact in zip(outcome(ours, [sets], toward), theirs, expected, strict=True):
        assert (mine - exact).norm() < 1.1 * (other - exact).norm()


def test_a_second_derivative_is_refused_rather_than_wrong():
    tensors = arguments(torch.float64)
    (gradient,) = torch.autograd.grad(ours(*tensors).square().sum(), tensors[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_maps_are_normalized_alike_in_either_layout(layout):
    layer = BatchNorm(CHANNELS, BatchNormConfig()).train()
    layer.views = 2
    maps = drawn(8, CHANNELS, 3, 5, dtype=torch.float32)
    y = layer(maps.contiguous(memory_format=layout))
    expected = torch.cat([_torchs(view) for view in maps.chunk(2)])
    torch.testing.assert_close(y, expected)
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_bf16_is_normalized_in_float32_and_comes_back_as_bf16():
    layer = BatchNorm(CHANNELS, BatchNormConfig()).train()
    rows = drawn(ROWS, CHANNELS, dtype=torch.bfloat16).requires_grad_()
    y = layer(rows)
    y.float().square().sum().backward()
    assert y.dtype == torch.bfloat16 and rows.grad.dtype == torch.bfloat16
    torch.testing.assert_close(y, _torchs(rows.float()).bfloat16())


@pytest.mark.parametrize("shape", [(2, CHANNELS), (2, CHANNELS, 1, 1)])
def test_one_number_a_view_is_refused(shape):
    layer = BatchNorm(CHANNELS, BatchNormConfig()).train()
    layer.views = 2
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(torch.zeros(shape))


def _torchs(x):
    return torch.nn.functional.batch_norm(x, None, None, training=True, eps=EPS)
