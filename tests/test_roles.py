"""Every parameter has exactly one role, and shapes do not decide it."""

import pytest
import torch
from torch import nn

from byol_core.config import resolve
from byol_core.networks.byol import Online
from byol_core.networks.roles import RoleError, roles_of

NORM = {f"{part}.norm": "bn" for part in ("encoder", "projector", "predictor")}
BLOCK = {
    "conv1.weight": "weight",
    "norm1.weight": "norm",
    "norm1.bias": "norm",
    "conv2.weight": "weight",
    "norm2.weight": "norm",
    "norm2.bias": "norm",
}
SHORTCUT = {"shortcut.0.weight": "weight", "shortcut.1.weight": "norm", "shortcut.1.bias": "norm"}
HEAD = {
    "hidden.weight": "weight",
    "hidden.bias": "bias",
    "norm.weight": "norm",
    "norm.bias": "norm",
    "out.weight": "weight",
    "out.bias": "bias",
}


def prefixed(prefix, roles):
    return {f"{prefix}.{name}": role for name, role in roles.items()}


def test_golden_roles_of_the_smallest_network():
    expected = {
        "encoder.stem.0.weight": "weight",
        "encoder.stem.1.weight": "norm",
        "encoder.stem.1.bias": "norm",
        **prefixed("encoder.blocks.0", BLOCK),
        **prefixed("encoder.blocks.1", BLOCK | SHORTCUT),
        **prefixed("encoder.blocks.2", BLOCK | SHORTCUT),
        **prefixed("projector", HEAD),
        **prefixed("predictor", HEAD),
    }
    assert roles_of(Online(resolve("digits-tiny", {}), 1)) == expected


# Arch and norm of all parts → how many parameters of each role.
COUNTS = [
    ("tiny", "bn", {}, (13, 4, 22)),
    ("tiny", "ln", {}, (13, 4, 22)),
    ("tiny", "gn", {}, (13, 4, 22)),
    ("tiny", "affine", {}, (13, 4, 22)),
    ("tiny", "none", {}, (13, 13, 0)),
    ("tiny", "bn", {"encoder.norm_affine": False}, (13, 4, 4)),
    ("tiny", "gn", {"encoder.weight_standardization": "biased"}, (13, 4, 22)),
    ("resnet18", "bn", {}, (24, 4, 44)),
    ("resnet34", "bn", {}, (40, 4, 76)),
    ("resnet50", "bn", {}, (57, 4, 110)),
]


@pytest.mark.parametrize(("arch", "norm", "more", "counts"), COUNTS)
def test_each_parameter_of_each_model_has_one_role(arch, norm, more, counts):
    parts = dict.fromkeys(NORM, norm)
    with torch.device("meta"):
        network = Online(resolve("digits-tiny", {"encoder.arch": arch, **parts, **more}), 3)
    roles = roles_of(network)
    assert set(roles) == {name for name, _ in network.named_parameters()}
    values = list(roles.values())
    assert tuple(values.count(role) for role in ("weight", "bias", "norm")) == counts


def test_the_classifier_of_labels_has_roles_too():
    config = resolve("digits-tiny", {"loss.label_weight": 1.0})
    roles = roles_of(Online(config, 1, classes=10))
    assert roles["classifier.weight"] == "weight" and roles["classifier.bias"] == "bias"


class Gained(nn.Conv2d):
    """A convolution with a gain per filter, of four axes."""

    roles = {"gain": "gain"}

    def __init__(self):
        super().__init__(2, 3, 3)
        self.gain = nn.Parameter(torch.ones(3, 1, 1, 1))


class Closed(nn.Module):
    """A matrix that no optimizer may touch."""

    roles = {"matrix": "fixed"}

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(3), requires_grad=False)


def test_shapes_decide_nothing():
    network = nn.Sequential(Gained(), nn.LayerNorm((3, 4, 4)), Closed())
    assert roles_of(network) == {
        "0.weight": "weight",
        "0.bias": "bias",
        "0.gain": "gain",
        "1.weight": "norm",
        "1.bias": "norm",
        "2.matrix": "fixed",
    }


def test_a_parameter_without_a_role_is_named():
    class Unknown(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

    with pytest.raises(RoleError, match=r"^1\.scale: Unknown .* weight, bias, norm, gain, fixed$"):
        roles_of(nn.Sequential(nn.ReLU(), Unknown()))


def test_a_role_that_does_not_exist_is_named():
    class Odd(nn.Linear):
        roles = {"weight": "wieght"}

    with pytest.raises(RoleError, match=r"Odd\.roles: 'weight' is 'wieght'; allowed: weight"):
        roles_of(Odd(2, 2))


def test_a_shared_parameter_counts_once():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    assert list(roles_of(nn.Sequential(first, second))) == ["0.weight", "0.bias", "1.bias"]
