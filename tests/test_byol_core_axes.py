"""The four axes: norm without batch statistics, initial weights, λ and τ, each against its
definition.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn

from byol_core.augment.views import random_view, to_float
from byol_core.config import EncoderConfig, InitConfig, canonical, resolve
from byol_core.images.load import load
from byol_core.images.source import Whole
from byol_core.networks.byol import Online
from byol_core.networks.encoder import Encoder
from byol_core.networks.init import initialize
from byol_core.networks.norms import Affine, StandardizedConv2d, StandardizedLinear, standardized
from byol_core.streams import stream
from byol_core.train import Options, train
from byol_core.train.step import StepIndex, Trainer

AFFINE = {f"{part}__norm": "affine" for part in ("encoder", "projector", "predictor")}
CPU = torch.device("cpu")


def test_standardized_weights_equal_the_formula_in_float64_and_pass_a_gradient():
    weight = torch.randn(
        6,
        3,
        3,
        3,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
        requires_grad=True,
    )
    rows = weight.detach().numpy().reshape(6, -1)
    expected = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(
        standardized(weight).detach().numpy().reshape(6, -1), expected, rtol=1e-12
    )
    assert torch.autograd.gradcheck(standardized, (weight[:2, :1],))


def test_gn_ws_standardizes_every_weight_of_its_part_and_puts_group_norm_everywhere():
    network = Online(
        resolve(
            "digits-tiny",
            {f"{part}.norm": "gn_ws" for part in ("encoder", "projector", "predictor")},
        ),
        1,
    )
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert (
        all(isinstance(m, StandardizedConv2d | StandardizedLinear) for m in layers)
        and len(layers) == 13
    )
    assert not [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert {m.num_groups for m in network.modules() if isinstance(m, nn.GroupNorm)} == {8, 16}


def test_scaling_a_standardized_weight_changes_nothing():
    layer = StandardizedLinear(50, 4)
    x = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    before = layer(x)
    with torch.no_grad():
        layer.weight.mul_(100)
    torch.testing.assert_close(layer(x), before, rtol=1e-2, atol=1e-2)


def test_modified_init_acts_on_its_images_exactly_as_batch_norm_would(tiny):
    """On the images it was fitted to, the net with affine layers equals the net with batch norm and
    the same weights.
    """
    with_affine, with_bn = Trainer(tiny(**AFFINE), 1, 4, CPU), Trainer(tiny(), 1, 4, CPU)
    pixels = load(tiny().dataset).pretrain.images[:100]
    with_affine.fit_affine(Whole(pixels))
    view = random_view(to_float(pixels), tiny().augment, stream(0, "affine"))
    for network in (with_affine, with_bn):
        network.prediction = network.online.predictor(network.online.project(view))
    torch.testing.assert_close(with_affine.prediction, with_bn.prediction, rtol=1e-3, atol=1e-4)
    affine = [m for m in with_affine.online.modules() if isinstance(m, Affine)]
    bn = [m for m in with_bn.online.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(affine) == len(bn) == 11  # shortcuts and heads too
    assert not any(m.calibrating for m in affine)


def test_modified_init_uses_no_batch_statistics_afterwards(tiny):
    trainer = Trainer(tiny(**AFFINE), 1, 4, CPU)
    pixels = load(tiny().dataset).pretrain.images[:64]
    trainer.fit_affine(Whole(pixels))
    images = to_float(pixels)
    torch.testing.assert_close(
        trainer.online.project(images)[:3], trainer.online.project(images[:3])
    )


def test_the_target_starts_from_the_fitted_network_and_the_affine_trains_without_decay(tiny):
    config = tiny(**AFFINE, optimizer__name="lars", optimizer__weight_decay=0.1)
    trainer = Trainer(config, 1, 4, CPU)
    trainer.fit_affine(Whole(load(config.dataset).pretrain.images[:64]))
    online = dict(trainer.online.named_parameters())
    assert all(
        torch.equal(value, online[name]) for name, value in trainer.target.named_parameters()
    )
    affine = {
        id(p) for m in trainer.online.modules() if isinstance(m, Affine) for p in m.parameters()
    }
    for group in trainer.optimizer.param_groups:
        if affine & {id(p) for p in group["params"]}:
            assert not group["adapt"] and group["weight_decay"] == 0.0
    assert all(
        p.requires_grad
        for m in trainer.online.modules()
        if isinstance(m, Affine)
        for p in m.parameters()
    )


def test_a_run_with_modified_init_resumes_exactly(tmp_path, tiny, silent):
    options = Options(device="cpu", threads=1, log_every=1)
    whole, parts = silent(), [silent(3), silent()]
    train(tiny(**AFFINE), tmp_path / "whole", options, whole)
    for observer in parts:
        train(tiny(**AFFINE), tmp_path / "parts", options, observer)
    assert parts[0].points + parts[1].points == whole.points


def weights(scheme, layer, **config):
    network = nn.Sequential(layer)
    initialize(network, InitConfig(scheme=scheme, **config), 0)
    return layer.weight.detach().double()


def test_haiku_is_a_normal_truncated_at_two_standard_deviations():
    drawn = weights("haiku", nn.Linear(400, 500)) * math.sqrt(400)
    assert 1.99 < float(drawn.abs().max()) <= 2.0 and float(drawn.std()) == pytest.approx(
        0.8796, abs=0.004
    )


@pytest.mark.parametrize("layer", [nn.Linear(30, 20), nn.Linear(20, 30), nn.Conv2d(3, 8, 3)])
def test_orthogonal_has_orthonormal_rows_or_columns(layer):
    matrix = weights("orthogonal", layer).flatten(1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(small, torch.eye(len(small), dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scheme", ["he", "torch", "torchvision", "haiku", "orthogonal"])
def test_scale_multiplies_the_same_draw(scheme):
    torch.testing.assert_close(
        weights(scheme, nn.Linear(9, 7), scale=3.0), 3 * weights(scheme, nn.Linear(9, 7))
    )


def after_steps(config, steps=3):
    trainer = Trainer(config, 1, 4, CPU)
    start = {name: value.clone() for name, value in trainer.online.named_parameters()}
    pixels = load(config.dataset).pretrain.images[:64]
    for step in range(steps):
        trainer.step(Whole(pixels), StepIndex(step, 0, step), measure=False)
    return start, dict(trainer.online.named_parameters())


def test_lambda_zero_freezes_the_predictor_alone(tiny):
    start, end = after_steps(tiny(optimizer__lambda_predictor=0.0, target__tau_base=0.0))
    for name, value in end.items():
        if value.grad is not None and bool(value.grad.any()):
            assert torch.equal(value, start[name]) == name.startswith("predictor."), name


def test_lambda_scales_the_predictors_first_step(tiny):
    start, one = after_steps(tiny(), steps=1)
    _, ten = after_steps(tiny(optimizer__lambda_predictor=10.0), steps=1)
    for name in one:
        factor = 10.0 if name.startswith("predictor.") else 1.0
        torch.testing.assert_close(
            ten[name] - start[name], factor * (one[name] - start[name]), rtol=1e-3, atol=1e-5
        )


def test_a_target_of_its_own_draw_differs_everywhere_and_stays_at_tau_one(tiny):
    config = tiny(target__tau_base=1.0, target__start="draw")
    trainer = Trainer(config, 1, 4, CPU)
    online = dict(trainer.online.named_parameters())
    drawn = {name: value.clone() for name, value in trainer.target.named_parameters()}
    assert all(
        not torch.equal(value, online[name]) for name, value in drawn.items() if value.ndim > 1
    )
    trainer.step(
        Whole(load(config.dataset).pretrain.images[:64]), StepIndex(0, 0, 0), measure=False
    )
    assert all(torch.equal(value, drawn[name]) for name, value in trainer.target.named_parameters())


def test_simclr_has_neither_predictor_nor_target(tmp_path, tiny, silent):
    observer = silent()
    result = train(tiny(method="simclr"), tmp_path, Options(device="cpu", threads=1), observer)
    assert result.outcome == "ok" and result.final["loss"] > 0
    assert set(torch.load(tmp_path / "encoder" / "state.pt", weights_only=True)) == {"online"}
    same = canonical(tiny(method="simclr")) == canonical(
        tiny(method="simclr", predictor__norm="none", target__tau_base=0.5)
    )
    assert same and canonical(tiny(method="simclr")) != canonical(
        tiny(method="simclr", contrastive__temperature=0.5)
    )


def test_simclr_leaves_the_predictor_as_it_was(tiny):
    start, end = after_steps(tiny(method="simclr"))
    for name, value in end.items():
        assert torch.equal(value, start[name]) or not name.startswith("predictor."), name
    assert any(not torch.equal(value, start[name]) for name, value in end.items())


@pytest.mark.parametrize("norm", ["bn", "ln", "gn", "gn_ws", "affine", "none"])
def test_every_norm_gives_finite_features(norm):
    encoder = Encoder(EncoderConfig(norm=norm), 3)
    assert bool(torch.isfinite(encoder(torch.rand(4, 3, 32, 32))).all())
