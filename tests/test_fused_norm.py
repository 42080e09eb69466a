"""Norms fused with what follows them: against the formula in float64, on a GPU or by Triton's interpreter
(`conftest`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from byol_core.config import BatchNormConfig
from byol_core.networks.batch_norm import BatchNorm
from byol_core.networks.fused import norm as fused
from byol_core.networks.fused.stem import convolve, fits
from byol_core.networks.norms import GroupNorm, activated

EPS = 1e-5
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

needs_triton = pytest.mark.skipif(not fused.is_available(), reason="there is no Triton here")


def plain(x, residual, weight, bias, *, sets, groups, relu):
    """The formula; `sets` shares statistics over images, `groups` over channels of each image."""
    if groups is None:
        stacked = x.reshape(sets, -1, *x.shape[1:])
        axes = [1, *range(3, stacked.ndim)]
    else:
        stacked = x.reshape(len(x), groups, -1)
        axes = [2]
    variance, mean = torch.var_mean(stacked, axes, correction=0, keepdim=True)
    y = ((stacked - mean) / torch.sqrt(variance + EPS)).reshape(x.shape)
    per_channel = (1, -1) + (1,) * (x.ndim - 2)
    if weight is not None:
        y = y * weight.view(per_channel) + bias.view(per_channel)
    if residual is not None:
        y = y + residual
    return F.relu(y) if relu else y


def results(call, leaves, gradient, dtype):
    """What a call makes of these, and the gradient of each."""
    copies = [leaf if leaf is None else leaf.clone().to(dtype).requires_grad_() for leaf in leaves]
    y = call(*copies)
    y.backward(gradient.to(y.dtype))
    return [y.detach(), *(copy.grad for copy in copies if copy is not None)]


SHAPES = {
    "two views": ((8, 16, 5, 5), 2, None),
    "one set, channels that fill no tile": ((6, 24, 3, 3), 1, None),
    "vectors": ((8, 40), 2, None),
    "rows of several parts": ((2, 3, 70, 70), 1, None),
    "groups": ((4, 16, 5, 3), None, 4),
    "layer norm": ((3, 32, 2, 2), None, 1),
}


@needs_triton
@pytest.mark.parametrize("follows", ["relu", "residual and relu", "residual", "nothing"])
@pytest.mark.parametrize("is_affine", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_values_and_gradients_are_those_of_the_formula(name, is_affine, follows):
    shape, sets, groups = SHAPES[name]
    torch.manual_seed(0)
    draw = lambda *size: torch.randn(*size, device=DEVICE)  # noqa: E731
    leaves = [
        2 * draw(*shape) + 30,  # a mean that would cost digits
        draw(*shape) if "residual" in follows else None,
        draw(shape[1]) if is_affine else None,
        draw(shape[1]) if is_affine else None,
    ]
    relu = "relu" in follows

    def kernels(x, residual, weight, bias):
        if groups is None:
            return fused.batch_norm(x, residual, weight, bias, None, sets, EPS, relu)
        return fused.group_norm(x, residual, weight, bias, groups, EPS, relu)

    def formula(x, residual, weight, bias):
        return plain(x, residual, weight, bias, sets=sets, groups=groups, relu=relu)

    gradient = draw(*shape)
    got = results(kernels, leaves, gradient, torch.float32)
    expected = results(formula, leaves, gradient, torch.float64)
    for tensor, reference in zip(got, expected, strict=True):
        error = (tensor.double() - reference).norm() / reference.norm()
        assert error < 1e-5


@needs_triton
def test_running_averages_move_as_pytorchs_one_view_after_the_other():
    torch.manual_seed(0)
    x = 3 * torch.randn(8, 16, 3, 3, device=DEVICE) + 1
    layer = BatchNorm(16, BatchNormConfig()).to(DEVICE)
    layer.views, layer.is_fused = 2, True
    reference = nn.BatchNorm2d(16, momentum=layer.config.momentum).to(DEVICE)
    for view in x.chunk(2):
        reference(view)
    activated(layer, x)
    torch.testing.assert_close(layer.running_mean, reference.running_mean)
    torch.testing.assert_close(layer.running_var, reference.running_var)

    # In evaluation nothing is fused, and nothing moves.
    layer.eval(), reference.eval()
    torch.testing.assert_close(layer(x), reference(x), rtol=1e-5, atol=1e-5)
    layer.train()
    layer.tracks = False
    activated(layer, x + 5)
    torch.testing.assert_close(layer.running_mean, reference.running_mean)


@needs_triton
@pytest.mark.parametrize(
    "layer", [BatchNorm(16, BatchNormConfig()), GroupNorm(4, 16)], ids=["batch", "group"]
)
def test_a_fused_layer_is_the_layer(layer):
    torch.manual_seed(0)
    x, residual = torch.randn(2, 4, 16, 3, 3, device=DEVICE)
    layer = layer.to(DEVICE)
    expected = activated(layer, x, residual), layer(x)
    fused.fuse(layer)
    assert layer.fuses(x)
    torch.testing.assert_close((activated(layer, x, residual), layer(x)), expected)


@pytest.mark.slow
@needs_triton
def test_every_kernel_compiles_for_a_gpu_that_is_not_here():
    program = Path(__file__).with_name("compile_kernels.py")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 2 * 2 * (4 + 2 * 2) + 2


@needs_triton
def test_sums_repeat_themselves_to_the_bit():
    x = torch.randn(2, 3, 90, 90, device=DEVICE)
    first, second = (fused.batch_norm(x, None, None, None, None, 2, EPS, True) for _ in range(2))
    assert torch.equal(first, second)


def test_one_value_a_channel_is_refused():
    layer = BatchNorm(4, BatchNormConfig())
    layer.views, layer.is_fused = 2, True
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        layer(torch.randn(2, 4))


@pytest.mark.parametrize("size", [(32, 32), (96, 94)])
def test_the_stem_is_the_convolution(size):
    torch.manual_seed(0)
    images = torch.randn(3, 3, *size, dtype=torch.float64, device=DEVICE)
    weight = torch.randn(8, 3, 7, 7, dtype=torch.float64, device=DEVICE, requires_grad=True)
    bias = torch.randn(8, dtype=torch.float64, device=DEVICE)
    assert fits(images, weight)
    y = convolve(images, weight, bias)
    expected = F.conv2d(images, weight, bias, stride=2, padding=3)
    torch.testing.assert_close(y, expected)
    gradients = [torch.autograd.grad(z.square().sum(), weight)[0] for z in (y, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    "images, weight",
    [
        ((1, 3, 33, 32), (8, 3, 7, 7)),
        ((1, 1, 32, 32), (8, 1, 7, 7)),
        ((1, 3, 32, 32), (8, 3, 3, 3)),
    ],
)
def test_other_convolutions_stay_pytorchs(images, weight):
    assert not fits(torch.zeros(images), torch.zeros(weight))
