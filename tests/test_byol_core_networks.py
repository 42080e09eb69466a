"""Encoders, heads and norms, against torchvision where it has the same."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18, resnet34, resnet50

from byol_core.config import BatchNormConfig, ConfigError, EncoderConfig, HeadConfig, resolve
from byol_core.networks.batch_norm import BatchNorm
from byol_core.networks.byol import Online, Target
from byol_core.networks.encoder import Encoder
from byol_core.networks.heads import MLP
from byol_core.networks.norms import StandardizedConv2d, StandardizedLinear
from byol_core.plugins import PlugInError, build_part, load_part

PLAIN = BatchNormConfig()
NORMS = ["bn", "ln", "gn", "in", "affine", "none"]
NORM_LAYERS = (BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm2d)


def make_encoder(channels=3, **config):
    return Encoder(EncoderConfig(**config), channels, PLAIN)


def make_head(features=64, **config):
    return MLP(features, HeadConfig(**{"hidden": 32, "out": 8, "gn_groups": 4, **config}), PLAIN)


@pytest.mark.parametrize(
    ("arch", "make"),
    [
        ("resnet18", resnet18),
        pytest.param("resnet34", resnet34, marks=pytest.mark.slow),
        pytest.param("resnet50", resnet50, marks=pytest.mark.slow),
    ],
)
def test_outputs_and_gradients_equal_torchvisions_weight_for_weight(arch, make):
    """In float64: equal up to the order of sums, in train mode, in eval mode and in every gradient."""
    theirs = make(weights=None).double()
    theirs.fc = nn.Identity()
    ours = make_encoder(arch=arch, stem="7x7_pool").double()
    with torch.no_grad():
        for mine, other in zip(layers_of(ours), layers_of(theirs), strict=True):
            mine.load_state_dict(other.state_dict())
    random = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 36, 36, generator=random).double()
    toward = torch.rand(4, ours.out, generator=random).double()

    outputs = [network.train()(images) for network in (ours, theirs)]
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-9)
    for output in outputs:
        (output * toward).sum().backward()
    for mine, other in zip(layers_of(ours), layers_of(theirs), strict=True):
        torch.testing.assert_close(mine.weight.grad, other.weight.grad, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images), rtol=1e-9, atol=1e-9)


def layers_of(network):
    """Return convolutions and norms in the order of their use, shortcuts after their block."""
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | BatchNorm)]


def test_resnet50x2_doubles_every_width_of_resnet50():
    """BYOL's 2x has 94 million parameters (table 1); torchvision's wide one has 67."""
    with torch.device("meta"):
        single = make_encoder(arch="resnet50", stem="7x7_pool")
        double = make_encoder(arch="resnet50x2", stem="7x7_pool")
    assert double.out == 4096
    assert sum(p.numel() for p in double.parameters()) == pytest.approx(94e6, rel=0.01)
    for narrow, wide in zip(layers_of(single)[1:], layers_of(double)[1:], strict=True):
        assert wide.weight.shape[0] == 2 * narrow.weight.shape[0]


@pytest.mark.parametrize("norm", NORMS)
def test_resnet50_has_its_53_convolutions_under_every_norm(norm):
    with torch.device("meta"):
        encoder = make_encoder(arch="resnet50", stem="7x7_pool", norm=norm)
        assert encoder(torch.rand(2, 3, 64, 64)).shape == (2, 2048)
    convolutions = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 53 and encoder.out == 2048

    # In each later stage: the 3×3 and the shortcut.
    strided = [m.kernel_size for m in convolutions if m.stride == (2, 2)]
    assert strided.count((3, 3)) == 3 and strided.count((1, 1)) == 3


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_tiny_repeats_its_blocks_in_each_stage(blocks):
    encoder = make_encoder(tiny_blocks=blocks)
    widths = [block.conv1.out_channels for block in encoder.blocks]
    assert widths == [16] * blocks + [32] * blocks + [64] * blocks
    assert make_encoder(arch="resnet18", tiny_blocks=blocks).blocks[7].conv1.out_channels == 512


@pytest.mark.parametrize(
    ("norm", "kind"),
    [
        ("bn", BatchNorm),
        ("ln", nn.GroupNorm),
        ("gn", nn.GroupNorm),
        ("in", nn.InstanceNorm2d),
        ("none", nn.Identity),
    ],
)
@pytest.mark.parametrize("affine", [True, False])
def test_each_encoder_norm_is_what_it_says(norm, kind, affine):
    encoder = make_encoder(1, norm=norm, norm_affine=affine)
    norms = [m for m in encoder.modules() if isinstance(m, NORM_LAYERS)]
    assert len(norms) == (0 if norm == "none" else 9) and all(isinstance(m, kind) for m in norms)
    assert all((m.weight is not None) is affine for m in norms)
    if kind is nn.GroupNorm:
        assert {m.num_groups for m in norms} == {1 if norm == "ln" else 8}
    biased = [m.bias is not None for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert all(biased) if norm == "none" else not any(biased)
    assert encoder(torch.rand(2, 1, 16, 16)).shape == (2, 64)


def test_group_norm_with_one_group_is_layer_norm():
    for build, x in ((make_encoder, torch.rand(2, 3, 16, 16)), (make_head, torch.rand(2, 64))):
        layer, one_group = build(norm="ln"), build(norm="gn", gn_groups=1)
        one_group.load_state_dict(layer.state_dict())
        assert str(layer) == str(one_group) and torch.equal(layer(x), one_group(x))


def test_instance_norm_of_one_pixel_is_refused():
    encoder = make_encoder(arch="resnet18", stem="7x7_pool", norm="in")
    with pytest.raises(ConfigError, match="a map of one pixel becomes 0") as error:
        encoder(torch.rand(2, 3, 32, 32))
    assert error.value.key == "encoder.norm"


@pytest.mark.parametrize("norm", ["bn", "ln", "gn", "none"])
def test_a_head_has_one_norm_behind_its_hidden_layer(norm):
    head = make_head(norm=norm)
    kinds = [type(m).__name__ for m in head]
    expected = {"bn": "BatchNorm", "ln": "LayerNorm", "gn": "GroupNorm", "none": "Identity"}[norm]
    assert kinds == ["Linear", expected, "ReLU", "Linear"]
    assert head(torch.rand(4, 64)).shape == (4, 8)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("out_norm", [True, False])
def test_a_heads_depth_counts_its_linear_layers(depth, out_norm):
    head = make_head(depth=depth, out_norm=out_norm)
    linears = [m for m in head if isinstance(m, nn.Linear)]
    widths = [m.out_features for m in linears]
    assert widths == [32] * (depth - 1) + [8] and linears[0].in_features == 64
    norms = [len(m.running_mean) for m in head if isinstance(m, BatchNorm)]
    assert norms == widths[:-1] + ([8] if out_norm else [])
    names = [name for name, _ in head.named_children() if name.startswith(("hidden", "out"))]
    assert names[: depth - 1] == ["hidden", "hidden2", "hidden3"][: depth - 1]
    assert head(torch.rand(2, 4, 64)).shape == (2, 4, 8)


def test_standardization_is_of_all_weights_or_the_blogs():
    """The paper's covers all convolutions and linear layers; the blog's leaves a head's last."""
    parts = ("encoder", "projector", "predictor")
    for form, plain_layers in (("biased", []), ("unbiased", ["projector.out", "predictor.out"])):
        overrides = {f"{part}.weight_standardization": form for part in parts}
        network = Online(resolve("digits-tiny", overrides), 1)
        layers = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
        standardized = (StandardizedConv2d, StandardizedLinear)
        assert [n for n, m in layers.items() if not isinstance(m, standardized)] == plain_layers
        assert {m.form for m in layers.values() if isinstance(m, standardized)} == {form}
        assert len(layers) == 13 and any(isinstance(m, BatchNorm) for m in network.modules())


@pytest.mark.parametrize("norm", NORMS)
def test_views_go_through_together_as_each_alone(norm):
    """Whatever has no statistics over images gives each view what it gives it alone."""
    heads = {f"{part}.norm": "ln" if norm == "in" else norm for part in ("projector", "predictor")}
    network = Target(resolve("digits-tiny", {"encoder.norm": norm, **heads}), 3)
    views = torch.rand(2, 6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    features, projections = network(views)
    assert features.shape == (2, 6, 64) and projections.shape == (2, 6, 64)
    assert bool(torch.isfinite(projections).all())
    for view, *together in zip(views, features, projections, strict=True):
        for alone, of_view in zip(network(view), together, strict=True):
            torch.testing.assert_close(alone, of_view, rtol=1e-4, atol=1e-5)


def test_making_networks_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    Online(resolve("digits-tiny", {}), 1)
    assert torch.equal(torch.get_rng_state(), state)


OWN = '''
import torch
from torch import nn


class Halving(nn.Module):
    """A norm of one's own."""

    roles = {"scale": "norm"}

    def __init__(self, channels: int, of_images: bool) -> None:
        super().__init__()
        self.views = 0
        self.scale = nn.Parameter(torch.full((channels, 1, 1) if of_images else (channels,), 0.5))

    def forward(self, x):
        return x * self.scale


class NotAModule:
    def __init__(self, *arguments):
        pass


class Fussy(nn.Module):
    def __init__(self, channels):
        super().__init__()


number = 7
'''


@pytest.fixture
def own_parts(tmp_path, monkeypatch):
    (tmp_path / "own_parts_b.py").write_text(OWN)
    (tmp_path / "broken_part_b.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_a_norm_of_ones_own_stands_wherever_a_norm_does(own_parts):
    norms = {f"{part}.norm": "own_parts_b:Halving" for part in ("encoder", "projector")}
    network = Online(resolve("digits-tiny", norms), 1)
    own = [m for m in network.modules() if type(m).__name__ == "Halving"]
    assert network(torch.rand(2, 4, 1, 16, 16))[1].shape == (2, 4, 64)
    assert [m.views for m in own] == [2] * 10
    assert [m.bias for m in network.encoder.modules() if isinstance(m, nn.Conv2d)] == [None] * 9


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_b:X", "no_such_module_b cannot be imported (ModuleNotFoundError"),
        ("broken_part_b:X", "broken_part_b cannot be imported (ZeroDivisionError"),
        ("own_parts_b:Halvin", "has no class Halvin; its classes: Halving, NotAModule, Fussy"),
        ("own_parts_b:number", "has no class number"),
        ("own_parts_b:NotAModule", "it is no Module of torch; make it a subclass of that"),
        ("own_parts_b:Fussy", "it cannot be built from (4, True): TypeError"),
    ],
)
def test_a_part_that_cannot_be_built_is_named_in_a_line(own_parts, name, message):
    with pytest.raises(PlugInError) as error:
        build_part(name, nn.Module, 4, True)
    text = str(error.value)
    assert text.startswith(f"{name}: ") and message in text and "\n" not in text


def test_a_part_is_loaded_as_a_class(own_parts):
    assert load_part("own_parts_b:Halving").__name__ == "Halving"
