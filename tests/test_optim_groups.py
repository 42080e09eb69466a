"""Groups of an optimizer: what decays, what adapts, at which rate, by the roles of parameters."""

import pytest
import torch
from small_network import CPU, OPTIMIZERS, Network, descend, loss_of, made
from torch import nn

from byol_core.config import resolve
from byol_core.networks.byol import Online
from byol_core.optim.groups import local_rates, make_optimizer, rate_of, set_rates, stage_of


def group_of(optimizer, parameter):
    """Return the only group that holds a parameter; None where none does."""
    groups = [
        group
        for group in optimizer.param_groups
        if any(parameter is member for member in group["params"])
    ]
    assert len(groups) <= 1
    return groups[0] if groups else None


def group_by(network, optimizer, name):
    return group_of(optimizer, network.get_parameter(name))


def test_every_trained_parameter_is_in_one_group_and_fixed_ones_in_none():
    network, optimizer = made()
    for name, parameter in network.named_parameters():
        group = group_of(optimizer, parameter)
        assert (group is None) == ("closed_form" in name), name


ADAPTED = {
    "all": {"stem", "stage1", "stage2", "stage3", "projector", "predictor", "classifier"},
    "network": {"stem", "stage1", "stage2", "stage3", "projector", "predictor", "classifier"},
    "encoder": {"stem", "stage1", "stage2", "stage3"},
    "early": {"stem", "stage1", "stage2"},
    "heads": {"projector", "predictor", "classifier"},
}


@pytest.mark.parametrize("scope", ADAPTED)
@pytest.mark.parametrize("adapt_rest", [False, True])
@pytest.mark.parametrize("decay_rest", [False, True])
def test_decay_and_adaptation_are_two_switches_by_role(scope, adapt_rest, decay_rest):
    _, optimizer = made(
        name="lars",
        weight_decay=0.1,
        decay_bias_and_norm=decay_rest,
        adapt_bias_and_norm=adapt_rest,
        lars_scope=scope,
    )
    for group in optimizer.param_groups:
        is_weight = group["name"] == group["stage"]
        assert group["weight_decay"] == (0.1 if is_weight or decay_rest else 0.0)
        assert group["adapt"] == (group["stage"] in ADAPTED[scope] and (is_weight or adapt_rest))


def test_a_gain_of_a_weights_shape_and_a_norm_over_an_image_are_no_weights():
    network = Network()
    network.encoder.stem[1] = nn.LayerNorm((5, 2, 2))
    _, optimizer = made(network, name="lars", weight_decay=0.1)
    for name in ("encoder.blocks.1.gain", "encoder.stem.1.weight", "predictor.1.weight"):
        group = group_by(network, optimizer, name)
        assert group["weight_decay"] == 0
        assert not group["adapt"]


NETWORKS = {
    "bn": {},
    "group norm and standardized weights": {
        "encoder.norm": "gn",
        "encoder.weight_standardization": "biased",
        "projector.norm": "gn",
        "projector.weight_standardization": "unbiased",
    },
    "modified init": {"encoder.norm": "affine", "projector.norm": "affine"},
    "layer norm, no norm": {"encoder.norm": "ln", "projector.norm": "none"},
    "three layers, norm on the output": {"projector.depth": 3, "projector.out_norm": True},
    "closed form": {"predictor.kind": "optimal"},
    "directpred": {"predictor.kind": "directpred"},
    "linear, labels": {"predictor.kind": "linear", "loss.label_weight": 1.0},
    "bottlenecks": {"encoder.arch": "resnet50"},
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_in_real_networks_weights_of_layers_alone_decay_and_adapt(kind):
    settings = {"optimizer.name": "lars", "optimizer.weight_decay": 0.1, **NETWORKS[kind]}
    config = resolve("digits-tiny", settings)
    with torch.device("meta"):
        network = Online(config, 3, 10)
    optimizer = make_optimizer(network, config, CPU)
    for name, parameter in network.named_parameters():
        owner, _, last = name.rpartition(".")
        is_layer = isinstance(network.get_submodule(owner), nn.Conv2d | nn.Linear)
        is_weight = is_layer and last == "weight"
        group = group_of(optimizer, parameter)
        assert group["adapt"] == is_weight, name
        assert group["weight_decay"] == (0.1 if is_weight else 0.0), name


def test_each_parts_decay_has_its_own_factor():
    network, optimizer = made(
        weight_decay=0.1, decay_encoder=0.0, decay_projector=2.0, decay_predictor=3.0
    )
    decays = {
        name: group_by(network, optimizer, f"{name}.weight")["weight_decay"]
        for name in ("encoder.stem.0", "encoder.blocks.2", "projector.0", "predictor.0")
    }
    assert list(decays.values()) == pytest.approx([0.0, 0.0, 0.2, 0.3])
    assert group_by(network, optimizer, "classifier.weight")["weight_decay"] == 0.1


def test_lambda_mu_and_the_early_factor_scale_every_parameter_of_their_part():
    network, optimizer = made(lambda_predictor=10.0, mu_projector=2.0, early_factor=0.5)
    expected = {"encoder": 0.1, "projector": 0.2, "predictor": 1.0, "classifier": 0.1}
    for name, parameter in network.named_parameters():
        group = group_of(optimizer, parameter)
        if group is None:
            continue
        rate = expected[name.split(".")[0]]
        if group["stage"] in ("stem", "stage1", "stage2"):
            rate = 0.05
        assert float(group["lr"]) == pytest.approx(rate), name


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["same", "constant"])
def test_lambda_zero_freezes_the_predictor_to_the_bit_and_nothing_else(kind, schedule):
    network = Network()
    settings = {
        **OPTIMIZERS[kind],
        "optimizer.lambda_predictor": 0.0,
        "optimizer.predictor_schedule": schedule,
        "optimizer.weight_decay": 0.1,
        "optimizer.decay_bias_and_norm": True,
    }
    optimizer = make_optimizer(network, resolve("digits-tiny", settings), CPU)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    descend(network, optimizer, 3)
    for name, value in network.state_dict().items():
        is_still = name.startswith("predictor.") or "closed_form" in name
        assert torch.equal(value, before[name]) == is_still, name


def test_a_constant_rate_of_the_predictor_follows_neither_warm_up_nor_cosine():
    _, optimizer = made(predictor_schedule="constant", lambda_predictor=2.0)
    for rate in (0.0, 0.3, 0.1):
        set_rates(optimizer, rate, 0.4)
        assert float(rate_of(optimizer, "predictor")) == pytest.approx(0.8)
        assert float(rate_of(optimizer, "projector")) == pytest.approx(rate)


def test_rates_are_written_into_the_tensors_that_are_there():
    _, optimizer = made(lambda_predictor=10.0)
    before = [group["lr"].data_ptr() for group in optimizer.param_groups]
    set_rates(optimizer, 0.7, 0.7)
    assert [group["lr"].data_ptr() for group in optimizer.param_groups] == before
    assert len(set(before)) == 2  # two factors, two tensors to write in a step
    assert all(group["lr"].dtype == torch.float32 for group in optimizer.param_groups)


def test_stages_count_the_blocks_of_each_arch():
    names = {
        "tiny": {0: "stage1", 1: "stage2", 2: "stage3"},
        "resnet18": {0: "stage1", 1: "stage1", 2: "stage2", 3: "stage2", 4: "stage3", 7: "stage4"},
        "resnet50": {
            2: "stage1",
            3: "stage2",
            6: "stage2",
            7: "stage3",
            12: "stage3",
            13: "stage4",
        },
    }
    for arch, blocks in names.items():
        encoder = resolve("digits-tiny", {"encoder.arch": arch}).encoder
        assert stage_of("encoder.stem.0.weight", encoder) == "stem"
        for number, stage in blocks.items():
            assert stage_of(f"encoder.blocks.{number}.conv1.weight", encoder) == stage
    deeper = resolve("digits-tiny", {"encoder.tiny_blocks": 3}).encoder
    assert stage_of("encoder.blocks.3.shortcut.0.weight", deeper) == "stage2"
    assert stage_of("classifier.weight", deeper) == "classifier"


def test_local_rates_are_the_mean_ratio_of_each_stages_weights():
    network, optimizer = made(
        name="lars", lars_scope="encoder", adapt_bias_and_norm=True, trust_coefficient=0.01
    )
    assert local_rates(optimizer) == {}
    loss_of(network, torch.ones(8, 6)).backward()
    weight = network.encoder.stem[0].weight.detach().clone()
    gradient = network.encoder.stem[0].weight.grad.clone()
    optimizer.step()
    rates = local_rates(optimizer)
    assert list(rates) == ["stem", "stage1", "stage2", "stage3"]
    assert float(rates["stem"]) == pytest.approx(float(0.01 * weight.norm() / gradient.norm()))
    assert local_rates(made()[1]) == {}
