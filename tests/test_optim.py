"""Optimizers, their state and the moving average, against formulae in float64 or torch's own."""

import io

import numpy as np
import pytest
import torch
from small_network import CPU, OPTIMIZERS, Network, descend, loss_of, made
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from byol_core.config import resolve
from byol_core.optim.average import MovingAverage, move_average
from byol_core.optim.groups import local_rates, make_optimizer, set_rates
from byol_core.optim.lars import LARS
from byol_core.optim.sgd import SGD

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


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_loaded_state_changes_no_setting(kind):
    _, other = made(**{"name": OPTIMIZERS[kind]["optimizer.name"], "weight_decay": 0.5})
    optimizer = make_optimizer(Network(), resolve("digits-tiny", OPTIMIZERS[kind]), CPU)
    before = [{**group, "lr": None} for group in optimizer.param_groups]
    optimizer.load_state_dict(other.state_dict())
    assert [{**group, "lr": None} for group in optimizer.param_groups] == before
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(0.1)


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
