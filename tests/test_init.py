"""First weights against their distributions, standardized weights, and unusual starts."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from byol_core.config import ConfigError, InitConfig, canonical, resolve
from byol_core.networks.batch_norm import BatchNorm
from byol_core.networks.byol import Online, Target
from byol_core.networks.init import calibrating, initialize
from byol_core.networks.norms import Affine, StandardizedLinear, standardized
from byol_core.plugins import PlugInError

HEADS = ("projector", "predictor")
AFFINE = {f"{part}.norm": "affine" for part in ("encoder", "projector", "predictor")}
SCHEMES = ["he", "lecun", "torch", "torchvision", "haiku", "orthogonal"]


def online(seed=0, **settings):
    """Return a started network; `a__b` is the key `a.b`."""
    config = resolve("digits-tiny", {k.replace("__", "."): v for k, v in settings.items()})
    network = Online(config, 1)
    initialize(network, config.init, seed)
    return network


def weights(scheme, layer, **config):
    initialize(nn.Sequential(layer), InitConfig(scheme=scheme, **config), 0)
    return layer.weight.detach().double()


def views(images=24, seed=0):
    return torch.rand(2, images, 1, 16, 16, generator=torch.Generator().manual_seed(seed))


# Distributions.


@pytest.mark.parametrize(
    ("scheme", "variance"), [("he", 2 / 400), ("lecun", 1 / 400), ("torch", 1 / 1200)]
)
def test_the_variance_of_a_scheme_goes_by_the_fan_in(scheme, variance):
    drawn = weights(scheme, nn.Linear(400, 500))
    assert float(drawn.var()) == pytest.approx(variance, rel=0.02)
    assert float(drawn.mean()) == pytest.approx(0, abs=4 * math.sqrt(variance / drawn.numel()))


def test_torch_scheme_has_the_distribution_of_pytorchs_own():
    layer = nn.Sequential(nn.Linear(400, 500))
    own = nn.Linear(400, 500)
    initialize(layer, InitConfig(scheme="torch", biases="torch"), 0)
    for ours, theirs in ((layer[0].weight, own.weight), (layer[0].bias, own.bias)):
        assert float(ours.detach().std()) == pytest.approx(float(theirs.detach().std()), rel=0.1)
        assert float(ours.detach().abs().max()) <= 1 / 20 + 1e-6


def test_torchvision_scheme_has_the_variance_of_its_resnets():
    drawn = weights("torchvision", nn.Conv2d(64, 128, 3))
    assert float(drawn.var()) == pytest.approx(2 / (128 * 9), rel=0.03)
    assert torch.equal(weights("torchvision", nn.Linear(9, 7)), weights("torch", nn.Linear(9, 7)))


def test_haiku_is_a_normal_truncated_at_two_standard_deviations():
    drawn = weights("haiku", nn.Linear(400, 500)) * math.sqrt(400)
    assert 1.99 < float(drawn.abs().max()) <= 2.0
    assert float(drawn.std()) == pytest.approx(0.8796, abs=0.004)


@pytest.mark.parametrize("layer", [nn.Linear(30, 20), nn.Linear(20, 30), nn.Conv2d(3, 8, 3)])
def test_orthogonal_has_orthonormal_rows_or_columns(layer):
    matrix = weights("orthogonal", layer).flatten(1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    torch.testing.assert_close(small, torch.eye(len(small), dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scale_multiplies_the_same_draw(scheme):
    tripled = weights(scheme, nn.Linear(9, 7), scale=3.0)
    torch.testing.assert_close(tripled, 3 * weights(scheme, nn.Linear(9, 7)))


def test_biases_start_at_zero_unless_drawn():
    assert not any(m.bias.any() for m in online().modules() if isinstance(m, nn.Linear))
    drawn = online(init__biases="torch")
    assert all(m.bias.all() for m in drawn.modules() if isinstance(m, nn.Linear))


def test_variants_share_every_weight_they_have_in_common():
    with_norm = dict(online(init__biases="torch").named_parameters())
    without = dict(online(init__biases="torch", projector__norm="none").named_parameters())
    deeper = dict(online(init__biases="torch", projector__depth=3).named_parameters())
    assert set(without) < set(with_norm) < set(deeper)
    assert all(torch.equal(value, with_norm[name]) for name, value in without.items())
    same = {name for name, value in with_norm.items() if torch.equal(value, deeper[name])}
    assert same == set(with_norm)


def test_another_seed_gives_other_weights_and_no_two_layers_are_alike():
    first, second = (dict(online(seed).named_parameters()) for seed in (0, 1))
    drawn = [name for name in first if first[name].ndim > 1]
    assert all(not torch.equal(first[name], second[name]) for name in drawn)
    hidden = [first[f"{part}.hidden.weight"][:1, :8] for part in ("projector", "predictor")]
    assert not torch.equal(*hidden)


# Weight standardization.


@pytest.mark.parametrize("form", ["biased", "unbiased"])
def test_standardized_weights_equal_the_formula_in_float64_and_pass_a_gradient(form):
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 3, 3, 3, dtype=torch.float64, generator=random, requires_grad=True)
    rows = weight.detach().numpy().reshape(6, -1)
    deviation = {
        "biased": np.sqrt(rows.var(1, keepdims=True) + 1e-5),
        "unbiased": rows.std(1, ddof=1, keepdims=True) + 1e-5,
    }
    expected = (rows - rows.mean(1, keepdims=True)) / deviation[form]
    ours = standardized(weight, form).detach().numpy().reshape(6, -1)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    assert torch.autograd.gradcheck(lambda w: standardized(w, form), (weight[:2, :1],))


def test_scaling_a_standardized_weight_changes_nothing():
    layer = StandardizedLinear(50, 4)
    x = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    before = layer(x)
    with torch.no_grad():
        layer.weight.mul_(100)
    torch.testing.assert_close(layer(x), before, rtol=1e-2, atol=1e-2)


# The modified init of arXiv 2010.10241.


def test_modified_init_acts_on_its_images_exactly_as_batch_norm_would():
    """On both views of the images it was fitted to, the net with affine layers equals the net with
    joint batch norm and the same weights.
    """
    with_affine = online(**{key.replace(".", "__"): value for key, value in AFFINE.items()})
    with_bn = online(batch_norm__views="joint")
    pixels = views()
    with torch.no_grad(), calibrating(with_affine):
        with_affine.predictor(with_affine(pixels)[1])
    predictions = [net.predictor(net(pixels)[1]) for net in (with_affine, with_bn)]
    torch.testing.assert_close(*predictions, rtol=1e-3, atol=1e-4)

    # Shortcuts and heads too.
    fitted = [m for m in with_affine.modules() if isinstance(m, Affine)]
    norms = [m for m in with_bn.modules() if isinstance(m, BatchNorm)]
    assert len(fitted) == len(norms) == 11 and not any(m.calibrating for m in fitted)

    # Afterwards an image's mates do not matter.
    torch.testing.assert_close(with_affine(pixels)[1][:, :3], with_affine(pixels[:, :3])[1])


def test_modified_init_is_one_over_the_deviation_with_the_biased_variance():
    layer = Affine(3)
    x = torch.randn(2 * 5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    with calibrating(layer):
        layer(x)
    exact = x.double()
    deviation = (exact.var((0, 2, 3), correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(layer.weight.double(), 1 / deviation, rtol=1e-6, atol=0)
    expected = -exact.mean((0, 2, 3)) / deviation
    torch.testing.assert_close(layer.bias.double(), expected, rtol=1e-5, atol=1e-6)


def test_fitting_leaves_the_averages_of_a_batch_norm_elsewhere():
    network = online(encoder__norm="affine", batch_norm__group=16)
    before = {name: value.clone() for name, value in network.named_buffers()}
    with torch.no_grad(), calibrating(network):
        network(views(images=25))
    assert before and all(torch.equal(v, before[n]) for n, v in network.named_buffers())


# γ of the last norms.


@pytest.mark.parametrize("arch", ["tiny", "resnet50"])
@pytest.mark.parametrize("zero", [True, False])
def test_the_last_norm_of_a_block_starts_at_one_or_at_zero(arch, zero):
    """As in the paper's results; Haiku's own ResNet would start it at 0."""
    config = resolve("digits-tiny", {"encoder.arch": arch, "init.zero_last_norm": zero})
    network = Target(config, 1)
    initialize(network, InitConfig(scheme="torch", zero_last_norm=zero), 0)
    last = {"tiny": "norm2", "resnet50": "norm3"}[arch]
    for name, layer in network.named_modules():
        if isinstance(layer, BatchNorm):
            starts_at = 0.0 if zero and name.endswith(last) else 1.0
            assert bool((layer.weight == starts_at).all()), name


@pytest.mark.parametrize("norm", ["affine", "none"])
def test_where_no_norm_has_that_scale_the_setting_changes_nothing(norm):
    plain, zeroed = (
        online(encoder__norm=norm, init__zero_last_norm=zero) for zero in (False, True)
    )
    assert all(map(torch.equal, plain.parameters(), zeroed.parameters()))


def test_a_norm_of_ones_own_without_weight_is_named():
    network = online()
    network.encoder.blocks[0].norm2 = nn.ReLU()
    with pytest.raises(PlugInError, match=r"init\.zero_last_norm: ReLU has no parameter weight"):
        initialize(network, InitConfig(zero_last_norm=True), 0)


# Collapsed and disturbed starts.


def directions(network):
    _, z = network(views())
    return nn.functional.normalize(z.detach(), dim=-1).flatten(0, 1)


def test_a_collapsed_start_projects_everything_to_one_unit_vector():
    network = online(init__collapse=1.0)
    _, z = network(views())
    torch.testing.assert_close(z.detach(), network.projector.out.bias.detach().expand_as(z))
    assert float(network.projector.out.bias.detach().norm()) == pytest.approx(1, abs=1e-6)


def test_collapse_moves_from_the_ordinary_start_to_the_constant():
    spreads = [float(directions(online(init__collapse=c)).std(0).mean()) for c in (0, 0.5, 0.9, 1)]
    assert spreads == sorted(spreads, reverse=True) and spreads[-1] < 1e-6 < spreads[-2]
    half, whole = online(init__collapse=0.5), online()
    assert torch.equal(2 * half.projector.out.weight, whole.projector.out.weight)
    others = [n for n, p in whole.named_parameters() if not n.startswith("projector.out")]
    assert all(torch.equal(whole.get_parameter(n), half.get_parameter(n)) for n in others)


def test_a_drawn_bias_stays_as_drawn():
    plain, collapsed = (online(init__biases="torch", init__collapse=c) for c in (0.0, 1.0))
    assert torch.equal(plain.projector.out.bias, collapsed.projector.out.bias)


def test_noise_is_relative_to_each_weight_and_leaves_the_draw():
    plain, noisy = online(), online(init__noise_std=0.1)
    for name, parameter in plain.named_parameters():
        noise = (noisy.get_parameter(name) - parameter).detach()
        if parameter.ndim == 1:
            assert not noise.any(), name
        elif parameter.numel() > 1000:
            expected = 0.1 * float(parameter.detach().square().mean().sqrt())
            assert float(noise.std()) == pytest.approx(expected, rel=0.1), name


def test_noise_disturbs_a_collapsed_start():
    spread = float(directions(online(init__collapse=1.0, init__noise_std=0.1)).std(0).mean())
    assert 1e-3 < spread < float(directions(online()).std(0).mean())


# Settings that cannot start.

REFUSED = [
    ("projector.norm", {"projector.norm": "in"}, "a head has no pixels"),
    ("predictor.norm", {"predictor.norm": "in"}, "use bn, ln, gn, affine or none"),
    ("projector.gn_groups", {"projector.norm": "gn", "projector.gn_groups": 7}, "divide"),
    (
        "projector.gn_groups",
        {
            "projector.norm": "gn",
            "projector.hidden": 512,
            "projector.out_norm": True,
            "projector.gn_groups": 128,
        },
        "projector.out 64",
    ),
    (
        "projector.gn_groups",
        {"projector.norm": "gn", "projector.out_norm": True, "projector.gn_groups": 64},
        "hold one value",
    ),
    (
        "projector.hidden",
        {"projector.weight_standardization": "biased", "projector.hidden": 2},
        "rows of so few weights have nothing to train",
    ),
    (
        "projector.out",
        {
            **{f"{part}.out": 2 for part in ("projector", "predictor")},
            "predictor.weight_standardization": "unbiased",
        },
        "under predictor.weight_standardization 'unbiased'",
    ),
    (
        "projector.gn_groups",
        {"projector.norm": "gn", "projector.gn_groups": 128},
        "two values each, which become -1 and 1",
    ),
    ("predictor.hidden", {"predictor.norm": "ln", "predictor.hidden": 2}, "two values"),
    ("batch_size", {"batch_size": 2}, "batch norm of the projector two images of a view"),
    ("accumulate", {"accumulate": 64}, "use another projector.norm"),
    ("batch_norm.group", {"batch_norm.group": 2}, "let 3 or more share statistics"),
    ("batch_norm.target", {"batch_norm.target": "eval", "target.tau_base": 1}, "use 'own'"),
    ("init.collapse", {"init.collapse": 1, "predictor.norm": "affine"}, "one point"),
    (
        "init.zero_last_norm",
        {"init.zero_last_norm": True, "encoder.norm_affine": False},
        "norms have no γ",
    ),
    (
        "init.collapse",
        {"init.collapse": 1.0, "projector.out_bias": False},
        "projector.out_bias false: the constant that it leads to is the bias",
    ),
    ("init.collapse", {"init.collapse": 0.5, "projector.out_norm": True}, "out_norm true"),
    (
        "init.collapse",
        {"init.collapse": 0.5, "projector.weight_standardization": "biased"},
        "undoes the scale",
    ),
    ("batch_norm.group", {"batch_norm.group": 1}, "use 2 or more, or 0"),
    ("batch_norm.group", {"batch_norm.group": 48}, "48 does not divide the 128 images"),
    ("batch_norm.group", {"batch_norm.group": 64, "accumulate": 4}, "the 32 images"),
    (
        "batch_norm.group",
        {"batch_norm.group": 64, "batch_norm.source": "running"},
        "no images of a batch share statistics",
    ),
    (
        "batch_norm.shuffle",
        {"batch_norm.group": 128, "batch_norm.shuffle": True},
        "needs more than one group",
    ),
    (
        "projector.hidden",
        {"projector.depth": 3, "projector.hidden": 10**6},
        "1000000 x 1000000 numbers",
    ),
]


@pytest.mark.parametrize(("key", "overrides", "message"), REFUSED)
def test_what_cannot_start_is_refused_with_its_reason(key, overrides, message):
    with pytest.raises(ConfigError) as error:
        resolve("digits-tiny", overrides)
    text = str(error.value)
    assert error.value.key == key and text.startswith(f"{key}: ")
    assert message in text and "\n" not in text


@pytest.mark.parametrize(
    "overrides",
    [
        {"projector.norm": "in", "projector.depth": 1},
        {"predictor.norm": "in", "predictor.kind": "none"},
        {
            "batch_norm.group": 48,
            **{f"{p}.norm": "ln" for p in ("encoder", "projector", "predictor")},
        },
        {"projector.norm": "gn", "projector.gn_groups": 16, "projector.out_norm": True},
        {"batch_norm.group": 32, "accumulate": 4},
        {"batch_norm.group": 2, "batch_norm.views": "joint"},
        {"projector.weight_standardization": "unbiased", "projector.hidden": 1},
    ],
)
def test_what_has_no_effect_is_let_through(overrides):
    network = Online(resolve("digits-tiny", overrides), 1)
    assert network(torch.rand(2, 4, 1, 16, 16))[1].shape == (2, 4, 64)


def test_a_head_without_a_place_for_a_norm_has_none_in_its_identity():
    one_layer = {"projector.depth": 1, "predictor.depth": 1}
    first, second = (
        canonical(resolve("digits-tiny", {**one_layer, **{f"{p}.norm": norm for p in HEADS}}))
        for norm in ("bn", "affine")
    )
    assert first == second and first["projector.norm"] is None
    with_out_norm = resolve("digits-tiny", {**one_layer, "projector.out_norm": True})
    assert canonical(with_out_norm)["projector.norm"] == "bn"


def test_what_the_target_alone_does_has_no_effect_without_one():
    plain = {"target.kind": "online", "batch_norm.group": 32}
    more = {**plain, "batch_norm.shuffle": True, "batch_norm.target": "eval"}
    assert canonical(resolve("digits-tiny", plain)) == canonical(resolve("digits-tiny", more))
