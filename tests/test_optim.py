"""Optimizers, their groups and rates, the moving average and the schedules, against formulae in
float64 or torch's own optimizers.
"""

import io
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from byol_core.config import resolve
from byol_core.networks.byol import Online
from byol_core.optim.average import MovingAverage, move_average
from byol_core.optim.groups import local_rates, make_optimizer, rate_of, set_rates, stage_of
from byol_core.optim.lars import LARS
from byol_core.optim.schedules import Schedules, learning_rate, target_memory_steps, target_tau
from byol_core.optim.sgd import SGD

CPU = torch.device("cpu")
OPTIMIZERS = {
    "sgd": {"optimizer.name": "sgd", "optimizer.momentum": 0.9},
    "plain sgd": {"optimizer.name": "sgd", "optimizer.momentum": 0.0},
    "lars": {"optimizer.name": "lars", "optimizer.momentum": 0.9},
    "lars blog": {
        "optimizer.name": "lars",
        "optimizer.momentum": 0.9,
        "optimizer.lars_form": "blog",
    },
    "lars network": {
        "optimizer.name": "lars",
        "optimizer.momentum": 0.9,
        "optimizer.lars_scope": "network",
    },
    "adamw": {"optimizer.name": "adamw", "optimizer.momentum": 0.9, "optimizer.lr": 1e-2},
}


class Gained(nn.Linear):
    """A layer whose gain has the shape of a weight, and a matrix that nothing trains."""

    roles = {"gain": "gain", "closed_form": "fixed"}

    def __init__(self, features):
        super().__init__(features, features)
        self.gain = nn.Parameter(torch.ones(features, 1))
        self.closed_form = nn.Parameter(torch.eye(features), requires_grad=False)

    def forward(self, x):
        return super().forward(x @ self.closed_form) * self.gain.flatten()


class Blocks(nn.Module):
    """An encoder of vectors with the names of the real one: a stem and three blocks."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm((5,)))
        self.blocks = nn.Sequential(nn.Linear(5, 5), Gained(5), nn.Linear(5, 4))

    def forward(self, x):
        return self.blocks(self.stem(x))


class Network(nn.Module):
    """Stands for the online network of arch tiny: what an optimizer sees of it is names and roles."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = Blocks()
        self.projector = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3, bias=True))
        self.predictor = nn.Sequential(nn.Linear(3, 3), nn.GroupNorm(1, 3))
        self.classifier = nn.Linear(4, 2)

    def forward(self, x):
        features = self.encoder(x)
        return self.predictor(self.projector(features)), self.classifier(features)


def made(network=None, **overrides):
    """Return a network and the optimizer over it, at rate 0.1; overrides are of the optimizer."""
    network = network or Network()
    settings = {f"optimizer.{key}": value for key, value in overrides.items()}
    optimizer = make_optimizer(network, resolve("digits-tiny", settings), CPU)
    set_rates(optimizer, 0.1, 0.1)
    return network, optimizer


def loss_of(network, x):
    """Return a loss that stays bounded at every rate and reaches every parameter."""
    prediction, logits = network(x)
    return prediction.sin().sum() + logits.cos().sum()


def descend(network, optimizer, steps, start=0):
    """Take steps whose gradients depend on the number of the step alone."""
    for step in range(start, start + steps):
        set_rates(optimizer, 0.1 / (step + 1), 0.1)
        x = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad(set_to_none=True)
        loss_of(network, x).backward()
        optimizer.step()


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


# The update rules, against references.


def tensors_and_gradients(steps=5):
    """Return first values and gradients of tensors: usual ones, one of zeros, one without slope."""
    random = np.random.default_rng(1)
    shapes = [(4, 3), (7,), (3, 2), (2, 2)]
    values = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    values[2][:] = 0
    gradients = []
    for _ in range(steps):
        step = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
        step[3][:] = 0
        gradients.append(step)
    return values, gradients


def reference_ratio(w, g, decay, trust, form):
    size = np.linalg.norm(w)
    divisors = {
        "deepmind": np.linalg.norm(g + decay * w),
        "blog": np.linalg.norm(g) + decay * size,
    }
    divisor = divisors[form]
    return trust * size / divisor if size > 0 and divisor > 0 else 1.0


def reference_lars(w, gradients, rates, momentum, decay, trust, form, adapt):
    """The update of deepmind-research/byol, or of the blog's code, in float64."""
    w, m = w.astype(np.float64), np.zeros_like(w, dtype=np.float64)
    for g, rate in zip(gradients, rates, strict=True):
        update = g.astype(np.float64) + decay * w
        if adapt:
            update = update * reference_ratio(w, g, decay, trust, form)
        if form == "deepmind":
            m = momentum * m + update
            w = w - rate * m
        else:
            m = momentum * m + rate * update
            w = w - m
    return w


@pytest.mark.parametrize("form", ["deepmind", "blog"])
@pytest.mark.parametrize("adapt", [True, False])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_lars_equals_the_reference_at_every_rate(form, adapt, decay, momentum):
    values, gradients = tensors_and_gradients()
    rates = [0.0, 0.5, 2.0, 0.1, 0.4]
    parameters = [nn.Parameter(torch.from_numpy(value.copy())) for value in values]
    rate = torch.zeros(())
    group = {"params": parameters, "lr": rate, "weight_decay": decay, "adapt": adapt, "name": "all"}
    optimizer = LARS([group], momentum, 1e-1, form)
    for now, step in zip(rates, gradients, strict=True):
        rate.fill_(now)
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = torch.from_numpy(gradient.copy())
        optimizer.step()

    for i, (parameter, value) in enumerate(zip(parameters, values, strict=True)):
        own = [step[i] for step in gradients]
        expected = reference_lars(value, own, rates, momentum, decay, 1e-1, form, adapt)
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=3e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["deepmind", "blog"])
def test_one_ratio_for_the_network_is_of_the_norms_over_all_that_adapts(form):
    values, gradients = tensors_and_gradients(1)
    parameters = [nn.Parameter(torch.from_numpy(value.copy())) for value in values]
    plain = nn.Parameter(torch.ones(2))
    rate = torch.tensor(0.5)
    groups = [
        {"params": parameters[:2], "weight_decay": 0.1, "adapt": True, "name": "a"},
        {"params": parameters[2:], "weight_decay": 0.2, "adapt": True, "name": "b"},
        {"params": [plain], "weight_decay": 0.0, "adapt": False, "name": "c"},
    ]
    optimizer = LARS([{**group, "lr": rate} for group in groups], 0.0, 1e-1, form, is_common=True)
    for parameter, gradient in zip(parameters, gradients[0], strict=True):
        parameter.grad = torch.from_numpy(gradient.copy())
    plain.grad = torch.ones(2)
    optimizer.step()

    decays = [0.1, 0.1, 0.2, 0.2]
    updates = [g + d * w for g, d, w in zip(gradients[0], decays, values, strict=True)]
    divisors = [np.linalg.norm(update) for update in updates]
    if form == "blog":
        norms = zip(gradients[0], decays, values, strict=True)
        divisors = [np.linalg.norm(g) + d * np.linalg.norm(w) for g, d, w in norms]
    size = np.sqrt(sum(np.linalg.norm(value) ** 2 for value in values))
    ratio = 1e-1 * size / np.linalg.norm(divisors)
    for parameter, value, update in zip(parameters, values, updates, strict=True):
        expected = value - 0.5 * ratio * update
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-5, atol=1e-7)
    assert plain.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("form", ["deepmind", "blog"])
def test_decay_acts_where_a_gradient_is_zero_and_weights_of_zero_move(form):
    still, zero = nn.Parameter(torch.ones(3)), nn.Parameter(torch.zeros(3))
    group = {"params": [still, zero], "lr": torch.tensor(0.5), "weight_decay": 0.1, "adapt": True}
    optimizer = LARS([{**group, "name": "all"}], 0.0, 1e-1, form)
    still.grad, zero.grad = torch.zeros(3), torch.ones(3)
    optimizer.step()
    assert zero.tolist() == [-0.5] * 3
    assert still.tolist() == pytest.approx([1 - 0.5 * 1e-1 * (1 / 0.1) * 0.1] * 3)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 1e-2])
def test_sgd_equals_torchs(momentum, decay):
    values, gradients = tensors_and_gradients()
    ours = [nn.Parameter(torch.from_numpy(value.copy())) for value in values]
    theirs = [nn.Parameter(torch.from_numpy(value.copy())) for value in values]
    group = {"params": ours, "lr": torch.tensor(0.3), "weight_decay": decay}
    optimizers = (
        SGD([group], momentum),
        torch.optim.SGD(theirs, lr=0.3, momentum=momentum, weight_decay=decay),
    )
    for step in gradients:
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            for parameter, gradient in zip(parameters, step, strict=True):
                parameter.grad = torch.from_numpy(gradient.copy())
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


def test_adamw_equals_torchs_plain_one_with_a_rate_that_changes():
    network, optimizer = made(
        name="adamw", momentum=0.8, beta2=0.99, weight_decay=0.1, decay_bias_and_norm=True
    )
    twin = Network()
    trained = [p for p in twin.parameters() if p.requires_grad]
    plain = torch.optim.AdamW(trained, betas=(0.8, 0.99), weight_decay=0.1, foreach=False)
    for step in range(4):
        descend(network, optimizer, 1, step)
        plain.param_groups[0]["lr"] = 0.1 / (step + 1)
        x = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))
        plain.zero_grad()
        loss_of(twin, x).backward()
        plain.step()
    torch.testing.assert_close(network.state_dict(), twin.state_dict(), rtol=1e-5, atol=1e-6)


def test_float64_networks_are_trained_in_float64():
    for overrides in OPTIMIZERS.values():
        network = Network().double()
        optimizer = make_optimizer(network, resolve("digits-tiny", overrides), CPU)
        set_rates(optimizer, 0.1, 0.1)
        network(torch.ones(2, 6).double())[0].sum().backward()
        optimizer.step()
        assert {p.dtype for p in network.parameters()} == {torch.float64}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_parameter_without_gradient_stays(kind):
    network = Network()
    optimizer = make_optimizer(
        network, resolve("digits-tiny", {**OPTIMIZERS[kind], "optimizer.weight_decay": 0.1}), CPU
    )
    set_rates(optimizer, 0.1, 0.1)
    before = network.projector[0].weight.clone()
    network.classifier(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert torch.equal(network.projector[0].weight, before)


# Groups: what decays, what adapts, at which rate.


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


# State, and what a step must not do.


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_loaded_state_goes_on_to_the_bit_in_the_tensors_that_are_there(kind):
    config = resolve("digits-tiny", {**OPTIMIZERS[kind], "optimizer.lambda_predictor": 2.0})
    whole, resumed = Network(), Network(seed=1)
    first = make_optimizer(whole, config, CPU)
    descend(whole, first, 3)
    file = io.BytesIO()
    torch.save({"online": whole.state_dict(), "optimizer": first.state_dict()}, file)
    file.seek(0)

    second = make_optimizer(resumed, config, CPU)
    places = [group["lr"].data_ptr() for group in second.param_groups]
    state = torch.load(file, weights_only=True)
    resumed.load_state_dict(state["online"])
    second.load_state_dict(state["optimizer"])
    assert [group["lr"].data_ptr() for group in second.param_groups] == places
    rates = [[float(group["lr"]) for group in o.param_groups] for o in (first, second)]
    assert rates[0] == rates[1] and all(rates[0])

    descend(whole, first, 3, start=3)
    descend(resumed, second, 3, start=3)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.fixture
def no_reading(monkeypatch):
    """Fail where a number of a tensor is read on the host, which waits for the device."""

    def refuse(*_):
        raise AssertionError("a tensor was read on the host")

    for name in ("item", "__float__", "__int__", "__bool__", "__index__", "tolist", "numpy", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, refuse)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_no_step_reads_a_tensor_on_the_host(kind, no_reading):
    network = Network()
    settings = {**OPTIMIZERS[kind], "optimizer.weight_decay": 0.1}
    optimizer = make_optimizer(network, resolve("digits-tiny", settings), CPU)
    average = MovingAverage(Network(), network, "own", CPU)
    average.set_tau(0.9)
    for _ in range(2):
        network(torch.ones(8, 6))[0].sum().backward()
        set_rates(optimizer, 0.1, 0.1)
        optimizer.step()
        average.move()
        local_rates(optimizer)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_step_runs_on_tensors_without_values(kind):
    with FakeTensorMode():
        network = Network()
        settings = {**OPTIMIZERS[kind], "optimizer.weight_decay": 0.1}
        optimizer = make_optimizer(network, resolve("digits-tiny", settings), CPU)
        network(torch.ones(8, 6))[0].sum().backward()
        for _ in range(2):
            set_rates(optimizer, 0.1, 0.1)
            optimizer.step()


# The moving average.


def with_batch_norm(seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.PReLU())
    network(torch.randn(8, 4))
    return network


@pytest.mark.parametrize("tau", [0.0, 0.3, 0.99, 1.0])
def test_every_parameter_follows_biases_and_norms_too(tau):
    online, target = with_batch_norm(0), with_batch_norm(1)
    start = {name: value.clone() for name, value in target.state_dict().items()}
    average = MovingAverage(target, online, "own", CPU)
    average.set_tau(tau)
    average.move()
    for name, value in target.named_parameters():
        leading = online.get_parameter(name)
        expected = tau * start[name].double() + (1 - tau) * leading.double()
        torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-7)
        assert tau != 0 or torch.equal(value, leading)
        assert tau != 1 or torch.equal(value, start[name])
    for name, value in target.named_buffers():
        assert torch.equal(value, start[name])


@pytest.mark.parametrize("statistics", ["own", "ema", "eval"])
def test_running_statistics_follow_where_the_run_says_so_and_counters_never(statistics):
    online, target = with_batch_norm(0), with_batch_norm(1)
    online(torch.randn(8, 4))
    before = target[1].running_var.clone()
    average = MovingAverage(target, online, statistics, CPU)
    average.set_tau(0.0)
    average.move()
    follows = statistics != "own"
    assert torch.equal(target[1].running_var, online[1].running_var) == follows
    assert torch.equal(target[1].running_var, before) == (not follows)
    assert int(target[1].num_batches_tracked) == 1


def test_a_slow_average_moves_and_a_target_that_agrees_stays():
    leading = torch.linspace(-3, 3, 1001)
    following = leading - 1
    weight = torch.tensor(1 - 0.9999)
    for _ in range(1000):
        move_average([following], [leading], weight)
    expected = leading.double() - 0.9999**1000
    torch.testing.assert_close(following.double(), expected, rtol=0, atol=1e-4)

    same = leading.clone()
    move_average([same], [leading], weight)
    assert torch.equal(same, leading)


# Schedules.


def test_rates_and_tau_of_a_whole_run_are_deepminds():
    settings = {
        "epochs": 10,
        "optimizer.lr": 2.0,
        "optimizer.schedule": "cosine",
        "optimizer.warmup_epochs": 2.0,
        "target.schedule": "cosine",
        "target.tau_base": 0.9,
    }
    config = resolve("digits-tiny", settings)
    schedules = Schedules(config, 5)
    for step in range(50):
        decay = 0.5 * (1 + np.cos(np.pi * (step - 10) / 40))
        expected = 2.0 * step / 10 if step < 10 else 2.0 * decay
        assert schedules.rate(step) == pytest.approx(expected)
        tau = 1 - 0.1 * 0.5 * (1 + np.cos(np.pi * step / 50))
        assert schedules.tau(step) == pytest.approx(tau)


def test_by_epoch_all_steps_have_the_value_of_the_first():
    settings = {"optimizer.schedule": "cosine", "target.schedule": "cosine", "epochs": 4}
    by_step = Schedules(resolve("digits-tiny", settings), 3)
    by_epoch = Schedules(resolve("digits-tiny", {**settings, "schedule_by": "epoch"}), 3)
    for step in range(12):
        first = step // 3 * 3
        assert by_epoch.rate(step) == by_step.rate(first)
        assert by_epoch.tau(step) == by_step.tau(first)


def test_a_run_that_stops_early_has_the_first_part_of_longer_schedules():
    settings = {"optimizer.schedule": "cosine", "target.schedule": "cosine"}
    whole = Schedules(resolve("digits-tiny", {**settings, "epochs": 320}), 7)
    part = Schedules(resolve("digits-tiny", {**settings, "epochs": 10, "schedule_epochs": 320}), 7)
    for step in range(70):
        assert part.rate(step) == whole.rate(step)
        assert part.tau(step) == whole.tau(step)


def test_accumulation_moves_no_schedule_on():
    settings = {"optimizer.schedule": "cosine", "target.schedule": "cosine", "batch_size": 64}
    whole = Schedules(resolve("digits-tiny", settings), 20)
    parts = Schedules(resolve("digits-tiny", {**settings, "accumulate": 4}), 20)
    assert [whole.tau(step) for step in range(60)] == [parts.tau(step) for step in range(60)]


def test_tau_ends_at_one_and_its_corners_never_move():
    assert target_tau(0, 100, 0.99, "cosine") == pytest.approx(0.99)
    assert target_tau(50, 100, 0.99, "cosine") == pytest.approx(0.995)
    assert target_tau(100, 100, 0.99, "cosine") == target_tau(130, 100, 0.99, "cosine") == 1.0
    assert target_tau(70, 100, 0.99, "constant") == 0.99
    for corner in (0.0, 1.0):
        assert {target_tau(step, 100, corner, "cosine") for step in range(101)} == {corner}


def test_the_rate_warms_up_falls_to_zero_and_stays_there():
    rates = [learning_rate(step, 100, 10, 2.0, "cosine") for step in range(120)]
    assert rates[0] == 0 and rates[5] == pytest.approx(1.0) and rates[10] == 2.0 == max(rates)
    assert rates[55] == pytest.approx(1.0)
    assert rates[100:] == pytest.approx([0.0] * 20)
    assert learning_rate(99, 100, 0, 2.0, "constant") == 2.0
    assert learning_rate(100, 100, 100, 2.0, "cosine") == 2.0  # nothing but warm-up


def test_the_targets_memory_is_told_in_steps():
    assert target_memory_steps(0.0) == 1
    assert target_memory_steps(0.999) == pytest.approx(1000)
    assert target_memory_steps(1.0) == math.inf


# On a GPU, where there is one.

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")


@needs_gpu
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_no_step_waits_for_a_gpu(kind):
    gpu = torch.device("cuda")
    network = Network().to(gpu)
    settings = {**OPTIMIZERS[kind], "optimizer.weight_decay": 0.1}
    optimizer = make_optimizer(network, resolve("digits-tiny", settings), gpu)
    average = MovingAverage(Network().to(gpu), network, "own", gpu)
    x = torch.ones(8, 6, device=gpu)
    for step in range(2):
        optimizer.zero_grad(set_to_none=True)
        loss_of(network, x).backward()
        torch.cuda.set_sync_debug_mode("error")
        try:
            set_rates(optimizer, 0.1 / (step + 1), 0.1)
            optimizer.step()
            average.set_tau(0.9)
            average.move()
            local_rates(optimizer)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@needs_gpu
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_captured_step_reads_the_rate_of_the_moment(kind):
    gpu = torch.device("cuda")
    config = resolve("digits-tiny", {**OPTIMIZERS[kind], "optimizer.weight_decay": 0.1})
    networks = [Network().to(gpu), Network().to(gpu)]
    optimizers = [make_optimizer(network, config, gpu) for network in networks]
    x = torch.randn(8, 6, device=gpu)

    # One step each as usual, which makes the state; then the second network's step is captured.
    graph = torch.cuda.CUDAGraph()
    for network, optimizer in zip(networks, optimizers, strict=True):
        set_rates(optimizer, 0.1, 0.1)
        loss_of(network, x).backward()
        optimizer.step()
    networks[1].zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        loss_of(networks[1], x).backward()
        optimizers[1].step()

    for rate in (0.05, 0.2, 0.0):
        for optimizer in optimizers:
            set_rates(optimizer, rate, 0.1)
        optimizers[0].zero_grad(set_to_none=True)
        loss_of(networks[0], x).backward()
        optimizers[0].step()
        graph.replay()
        torch.testing.assert_close(networks[0].state_dict(), networks[1].state_dict())


@needs_gpu
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_gpu_trains_as_a_processor_does_and_takes_over_its_state(kind):
    config = resolve("digits-tiny", {**OPTIMIZERS[kind], "optimizer.weight_decay": 0.1})
    here, there = Network(), Network().to("cuda")
    first = make_optimizer(here, config, CPU)
    second = make_optimizer(there, config, torch.device("cuda"))
    descend(here, first, 2)
    there.load_state_dict(here.state_dict())
    second.load_state_dict(first.state_dict())
    assert all(group["lr"].is_cuda for group in second.param_groups)

    x = torch.ones(8, 6)
    for network, optimizer in ((here, first), (there, second)):
        set_rates(optimizer, 0.1, 0.1)
        optimizer.zero_grad(set_to_none=True)
        loss_of(network, x.to(network.classifier.weight.device)).backward()
        optimizer.step()
    moved = {name: value.cpu() for name, value in there.state_dict().items()}
    torch.testing.assert_close(moved, dict(here.state_dict()), rtol=1e-4, atol=1e-5)
