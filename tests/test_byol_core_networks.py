"""Networks, norms and initial weights, against torchvision where it has the same."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18, resnet50

from byol_core.config import EncoderConfig, HeadConfig, InitConfig, resolve
from byol_core.networks.byol import Online
from byol_core.networks.encoder import Encoder
from byol_core.networks.heads import MLP
from byol_core.networks.init import initialize


@pytest.mark.parametrize(("arch", "make"), [("resnet18", resnet18), ("resnet50", resnet50)])
def test_outputs_and_gradients_equal_torchvisions_weight_for_weight(arch, make):
    """In float64: equal up to the order of sums, in train mode, in eval mode and in every gradient."""
    theirs, ours = (
        make(weights=None).double(),
        Encoder(EncoderConfig(arch=arch, stem="7x7_pool"), 3).double(),
    )
    theirs.fc = nn.Identity()
    with torch.no_grad():
        for mine, other in zip(_in_order(ours), _in_order(theirs), strict=True):
            mine.load_state_dict(other.state_dict())
    random = torch.Generator().manual_seed(0)
    images, toward = (
        torch.rand(4, 3, 64, 64, generator=random).double(),
        torch.rand(4, ours.out, generator=random).double(),
    )
    outputs = [network.train()(images) for network in (ours, theirs)]
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-9)
    for output in outputs:
        (output * toward).sum().backward()
    for mine, other in zip(_in_order(ours), _in_order(theirs), strict=True):
        torch.testing.assert_close(mine.weight.grad, other.weight.grad, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("norm", ["bn", "ln", "gn", "gn_ws", "affine", "none"])
def test_resnet50_has_its_53_convolutions_under_every_norm(norm):
    encoder = Encoder(EncoderConfig(arch="resnet50", stem="7x7_pool", norm=norm), 3)
    convolutions = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 53 and encoder.out == 2048
    assert bool(torch.isfinite(encoder(torch.rand(2, 3, 64, 64))).all())
    strided = [m.kernel_size for m in convolutions if m.stride == (2, 2)]
    assert (
        strided.count((3, 3)) == 3 and strided.count((1, 1)) == 3
    )  # in each later stage: the 3×3 and the shortcut


def test_the_last_norm_of_a_block_starts_at_one():
    """As in the paper's results; Haiku's own ResNet would start it at 0."""
    network = Online(resolve("imagenet-r50-300ep", {}), 3)
    initialize(network, InitConfig(scheme="torch"), 0)
    assert all(
        bool((m.weight == 1).all()) for m in network.modules() if isinstance(m, nn.BatchNorm2d)
    )


def _in_order(network):
    """Convolutions and norms in the order in which they are used, shortcuts after their block."""
    layers = [m for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    return layers


@pytest.mark.parametrize(
    ("norm", "kind"),
    [("bn", nn.BatchNorm2d), ("ln", nn.GroupNorm), ("gn", nn.GroupNorm), ("none", nn.Identity)],
)
def test_each_encoder_norm_is_what_it_says(norm, kind):
    encoder = Encoder(EncoderConfig(norm=norm), 1)
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d | nn.GroupNorm)]
    assert (
        (not norms) if norm == "none" else all(type(m) is kind for m in norms) and len(norms) == 9
    )
    if kind is nn.GroupNorm:
        assert {m.num_groups for m in norms} == {1 if norm == "ln" else 8}
    biased = [m.bias is not None for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert all(biased) if norm == "none" else not any(biased)
    assert encoder(torch.rand(2, 1, 16, 16)).shape == (2, 64)


@pytest.mark.parametrize("norm", ["bn", "ln", "gn", "none"])
def test_a_head_has_one_norm_behind_its_hidden_layer(norm):
    head = MLP(64, HeadConfig(norm=norm, hidden=32, out=8, gn_groups=4))
    kinds = [type(m).__name__ for m in head]
    expected = {"bn": "BatchNorm1d", "ln": "LayerNorm", "gn": "GroupNorm", "none": "Identity"}[norm]
    assert kinds == ["Linear", expected, "ReLU", "Linear"] and head(torch.rand(4, 64)).shape == (
        4,
        8,
    )


def test_variants_share_every_weight_they_have_in_common():
    one, other = (
        Online(resolve("digits-tiny", {"projector.norm": norm}), 1) for norm in ("bn", "none")
    )
    initialize(one, InitConfig(scheme="torch", biases="torch"), 3)
    initialize(other, InitConfig(scheme="torch", biases="torch"), 3)
    first, second = dict(one.named_parameters()), dict(other.named_parameters())
    shared = first.keys() & second.keys()
    assert len(shared) == len(second) and all(
        torch.equal(first[name], second[name]) for name in shared
    )


def test_another_seed_gives_other_weights_and_no_two_layers_are_alike():
    networks = [Online(resolve("digits-tiny", {}), 1) for _ in range(2)]
    for seed, network in enumerate(networks):
        initialize(network, InitConfig(), seed)
    first, second = (dict(network.named_parameters()) for network in networks)
    weights = [name for name in first if first[name].ndim > 1]
    assert all(not torch.equal(first[name], second[name]) for name in weights)
    assert not torch.equal(
        first["projector.hidden.weight"][:1, :8], first["predictor.hidden.weight"][:1, :8]
    )


def test_he_has_variance_two_over_fan_in_and_zero_biases():
    layer = nn.Sequential(nn.Linear(400, 500))
    initialize(layer, InitConfig(), 0)
    assert (
        float(layer[0].weight.detach().var()) == pytest.approx(2 / 400, rel=0.02)
        and not layer[0].bias.any()
    )


def test_torch_scheme_has_the_distribution_of_pytorchs_own():
    layer, own = nn.Sequential(nn.Linear(400, 500)), nn.Linear(400, 500)
    initialize(layer, InitConfig(scheme="torch", biases="torch"), 0)
    for ours, theirs in ((layer[0].weight, own.weight), (layer[0].bias, own.bias)):
        assert float(ours.detach().std()) == pytest.approx(float(theirs.detach().std()), rel=0.1)
        assert float(ours.detach().abs().max()) <= 1 / 20 + 1e-6


def test_torchvision_scheme_has_the_variance_of_its_resnets():
    layer = nn.Sequential(nn.Conv2d(64, 128, 3))
    initialize(layer, InitConfig(scheme="torchvision"), 0)
    assert float(layer[0].weight.detach().var()) == pytest.approx(2 / (128 * 9), rel=0.03)
