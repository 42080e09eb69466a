"""Predictors: closed forms against NumPy, what gradients reach, and predictors of the user's own."""

import sys

import numpy as np
import pytest
import torch
from host_waits import HostWaitError, NoHostWaits

from byol_core.config import ConfigError, canonical, resolve
from byol_core.networks.byol import Online
from byol_core.networks.init import initialize
from byol_core.networks.least_squares import least_squares
from byol_core.networks.predictors import make_predictor
from byol_core.networks.roles import roles_of
from byol_core.plugins import PlugInError

KINDS = ("mlp", "linear", "optimal", "directpred", "none")


def predictor_of(kind, **overrides):
    settings = {"projector.out": 6, "predictor.kind": kind, **overrides}
    if kind in ("mlp", "linear"):
        settings["predictor.out"] = 6
    return make_predictor(resolve("digits-tiny", settings))


def batch(seed=0, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    z = torch.from_numpy(rng.standard_normal((2, 20, 6)))
    mixing = torch.from_numpy(rng.standard_normal((6, 6)))
    target = z.flip(0) @ mixing + torch.from_numpy(rng.standard_normal((2, 20, 6)))
    return z.to(dtype), target.to(dtype)


def rows_of(z, target):
    """Return what an optimal predictor is fitted to, as arrays: view 1 to view 2, and back."""
    return np.concatenate([z[0], z[1]]), np.concatenate([target[1], target[0]])


def test_optimal_is_least_squares_of_each_view_on_the_other():
    z, target = batch()
    predictor = predictor_of("optimal").double()
    predictor.fit(z, target, 0)
    expected, *_ = np.linalg.lstsq(*rows_of(z, target), rcond=None)
    np.testing.assert_allclose(predictor.weight.numpy(), expected, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(predictor(z), z @ torch.from_numpy(expected))


def test_optimal_of_float32_is_solved_in_float64():
    z, target = batch(dtype=torch.float32)
    z = z * torch.logspace(0, -3, 6)  # squared, this spread is all that float32 can hold
    predictor = predictor_of("optimal")
    predictor.fit(z, target, 0)
    z64, target64 = rows_of(z.double(), target.double())
    expected, *_ = np.linalg.lstsq(z64, target64, rcond=None)
    np.testing.assert_allclose(predictor.weight.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_ridge_is_relative_to_the_mean_square_of_z():
    z, target = batch()
    predictor = predictor_of("optimal", **{"predictor.ridge": 0.3}).double()
    predictor.fit(z, target, 0)

    # Ridge regression is least squares with further rows.
    rows, others = rows_of(z, target)
    penalty = np.sqrt(0.3 * (rows**2).mean() * len(rows)) * np.eye(6)
    expected, *_ = np.linalg.lstsq(
        np.concatenate([rows, penalty]), np.concatenate([others, np.zeros((6, 6))]), rcond=None
    )
    np.testing.assert_allclose(predictor.weight.numpy(), expected, rtol=1e-8, atol=1e-9)


def test_optimal_can_be_fitted_to_unit_vectors():
    z, target = batch()
    predictor = predictor_of("optimal", **{"predictor.fit_normalized": True}).double()
    predictor.fit(z, target, 0)
    rows, others = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rows_of(z, target))
    expected, *_ = np.linalg.lstsq(rows, others, rcond=None)
    np.testing.assert_allclose(predictor.weight.numpy(), expected, rtol=1e-8, atol=1e-9)


def test_no_linear_predictor_is_nearer_than_the_optimal():
    z, target = batch()
    predictor = predictor_of("optimal").double()
    predictor.fit(z, target, 0)

    def distance(matrix):
        return float((z @ matrix - target.flip(0)).square().sum())

    best = distance(predictor.weight)
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        nearby = predictor.weight + 1e-3 * torch.randn(6, 6, dtype=z.dtype, generator=rng)
        assert distance(nearby) > best


@pytest.mark.parametrize("kind", ["optimal", "directpred"])
def test_a_closed_form_lets_the_gradient_through_to_the_projections_alone(kind):
    z, target = batch(dtype=torch.float32)
    z.requires_grad_(True)
    predictor = predictor_of(kind)
    predictor.fit(z.detach(), target, 0)
    predictor(z).sum().backward()

    # As if the matrix were a constant; and no optimizer is offered it.
    expected = torch.ones(2, 20, 6) @ predictor.weight.T
    torch.testing.assert_close(z.grad, expected)
    assert not predictor.weight.requires_grad
    assert roles_of(predictor) == {}


@pytest.mark.parametrize("kind", ["optimal", "directpred"])
@pytest.mark.parametrize("spread", [0.0, 5e-8, 1e-30])
def test_a_closed_form_survives_collapse(kind, spread):
    z, target = batch(dtype=torch.float32)
    predictor = predictor_of(kind)
    for constant in (0.0, 1.0):
        predictor.fit(constant + spread * z, target, 0)
        assert bool(torch.isfinite(predictor.weight).all())


@pytest.mark.parametrize("kind", ["optimal", "directpred"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, 3e38])
def test_a_closed_form_of_a_diverged_batch_raises_nothing(kind, value):
    z, target = batch(dtype=torch.float32)
    predictor = predictor_of(kind)
    predictor.fit(z, target, 0)
    z[0, 0, 0] = value
    predictor.fit(z, target, 1)
    if value != 3e38:  # whose square float64 can hold
        assert not bool(torch.isfinite(predictor(z)).any())


def test_a_rank_deficient_batch_gets_nearly_the_smallest_solution():
    z, target = batch()
    z[..., 3:] = z[..., :3]
    predictor = predictor_of("optimal").double()
    predictor.fit(z, target, 0)
    expected, *_ = np.linalg.lstsq(*rows_of(z, target), rcond=None)
    np.testing.assert_allclose(predictor.weight.numpy(), expected, atol=1e-3)
    np.testing.assert_allclose((z @ predictor.weight).numpy(), z.numpy() @ expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["optimal", "directpred"])
def test_a_closed_form_is_fitted_at_every_nth_step(kind):
    predictor = predictor_of(kind, **{"predictor.fit_every": 3})
    weights = []
    for step in range(7):
        predictor.fit(*batch(step, torch.float32), step)
        weights.append(predictor.weight.clone())
    changes = [step for step in range(1, 7) if not torch.equal(weights[step], weights[step - 1])]
    assert changes == [3, 6]


def test_directpred_follows_its_equations():
    settings = {"predictor.memory": 0.7, "predictor.boost": 0.05, "predictor.fit_every": 2}
    predictor = predictor_of("directpred", **settings).double()
    average = None
    for step in range(3):
        z, target = batch(step)
        predictor.fit(z, target, step)
        rows = z.flatten(0, 1).numpy()
        newest = rows.T @ rows / len(rows)
        average = newest if average is None else 0.7 * average + 0.3 * newest

    s, u = np.linalg.eigh(average)
    expected = u @ np.diag(np.sqrt(s) + 0.05 * s.max()) @ u.T
    np.testing.assert_allclose(predictor.weight.numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_predictor_goes_on_from_its_state(kind):
    first = predictor_of(kind)
    first.fit(*batch(0, torch.float32), 0)
    second = predictor_of(kind)
    second.load_state_dict(first.state_dict())
    for predictor in (first, second):
        predictor.fit(*batch(1, torch.float32), 1)
    z, _ = batch(2, torch.float32)
    assert torch.equal(first(z), second(z))


@pytest.mark.parametrize("kind", ["mlp", "linear", "optimal", "none"])
def test_no_predictor_waits_for_the_device(kind):
    z, target = batch(dtype=torch.float32)
    predictor = predictor_of(kind)
    with NoHostWaits():
        predictor.fit(z, target, 0)
        assert predictor(z).shape == z.shape


def test_directpred_waits_for_its_eigenvectors_alone():
    z, target = batch(dtype=torch.float32)
    predictor = predictor_of("directpred", **{"predictor.fit_every": 2})
    with NoHostWaits():
        predictor.fit(z, target, 1)
        with pytest.raises(HostWaitError, match="eigh"):
            predictor.fit(z, target, 2)


def test_names_and_roles_of_trained_predictors():
    assert roles_of(predictor_of("linear")) == {"out.weight": "weight", "out.bias": "bias"}
    assert set(roles_of(predictor_of("mlp"))) >= {"hidden.weight", "norm.weight", "out.bias"}
    assert roles_of(predictor_of("none")) == {}


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_linear_predictor_is_its_matrix(symmetric):
    predictor = predictor_of("linear", **{"predictor.symmetric": symmetric}).double()
    torch.nn.init.normal_(predictor.out.bias)
    z, _ = batch()
    matrix = predictor.matrix()
    torch.testing.assert_close(predictor(z), z @ matrix + predictor.out.bias)
    assert torch.allclose(matrix, matrix.T) == symmetric
    assert not matrix.requires_grad


def test_a_symmetric_predictor_has_a_symmetric_gradient():
    predictor = predictor_of("linear", **{"predictor.symmetric": True})
    z, target = batch(dtype=torch.float32)
    (predictor(z) - target).square().sum().backward()
    torch.testing.assert_close(predictor.out.weight.grad, predictor.out.weight.grad.T)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"predictor.depth": 1, "predictor.weight_standardization": "unbiased"},
            {"predictor.depth": 1, "predictor.norm": "ln"},
        ),
        (
            {"predictor.kind": "linear", "predictor.weight_standardization": "unbiased"},
            {"predictor.kind": "linear"},
        ),
        (
            {"projector.depth": 1, "projector.weight_standardization": "unbiased"},
            {"projector.depth": 1},
        ),
    ],
)
def test_equal_heads_of_one_layer_have_one_identity(one, other):
    configs = [resolve("digits-tiny", settings) for settings in (one, other)]
    assert canonical(configs[0]) == canonical(configs[1])
    networks = [Online(config, 1) for config in configs]
    for network, config in zip(networks, configs, strict=True):
        initialize(network, config.init, seed=0)
    images = torch.ones(2, 4, 1, 8, 8)
    projections = [network(images)[1] for network in networks]
    predictions = [n.predictor(z) for n, z in zip(networks, projections, strict=True)]
    assert torch.equal(predictions[0], predictions[1])


def test_heads_of_one_layer_that_differ_have_identities_of_their_own():
    settings = (
        {"predictor.kind": "linear"},
        {"predictor.kind": "linear", "predictor.symmetric": True},
        {"predictor.kind": "linear", "predictor.weight_standardization": "biased"},
        {"predictor.depth": 1, "predictor.out_norm": True},
        {"predictor.weight_standardization": "unbiased"},
        {},
    )
    forms = [str(canonical(resolve("digits-tiny", overrides))) for overrides in settings]
    assert len(set(forms)) == len(forms)


def test_least_squares_of_few_rows_fits_them():
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(3, 8, dtype=torch.float64, generator=rng)
    target = torch.randn(3, 8, dtype=torch.float64, generator=rng)
    torch.testing.assert_close(z @ least_squares(z, target), target, rtol=1e-6, atol=1e-6)


OWN_PREDICTORS = '''
import torch

class Gate(torch.nn.Module):
    """Scales each number of a projection by a trained factor."""

    def __init__(self, config):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(config.projector.out))
        self.fits = []

    roles = {"gain": "gain"}

    def forward(self, z):
        return z * self.gain

    def fit(self, z, target, step):
        self.fits.append(step)

class Flat(torch.nn.Module):
    def __init__(self, config):
        super().__init__()

    def forward(self, z):
        return z.flatten(1)
'''


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_predictors_of_a_test.py").write_text(OWN_PREDICTORS)
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_predictors_of_a_test"
    sys.modules.pop("own_predictors_of_a_test", None)


def test_a_predictor_of_the_users_own(own_module):
    z, target = batch(dtype=torch.float32)
    predictor = predictor_of(f"{own_module}:Gate")
    predictor.fit(z, target, 4)
    assert predictor.own.fits == [4] and predictor.matrix() is None
    assert torch.equal(predictor(z), z)
    assert roles_of(predictor) == {"own.gain": "gain"}


def test_a_predictor_of_another_shape_is_refused(own_module):
    predictor = predictor_of(f"{own_module}:Flat")
    predictor.fit(*batch(), 0)  # it needs no method but forward
    with pytest.raises(PlugInError, match=r"\(2, 120\).*\(2, 20, 6\)"):
        predictor(batch()[0])


@pytest.mark.parametrize(
    ("overrides", "allowed"),
    [
        ({"batch_size": 128}, True),
        ({"batch_size": 127}, False),
        ({"batch_size": 256, "accumulate": 2}, True),
        ({"batch_size": 128, "accumulate": 2}, False),
        ({"batch_size": 127, "projector.out": 63}, True),
        ({"target.kind": "online"}, True),
        ({"batch_size": 32, "method": "random"}, True),
    ],
)
def test_an_optimal_predictor_that_fits_its_batch_exactly_is_refused(overrides, allowed):
    settings = {"predictor.kind": "optimal", **overrides}
    if allowed:
        resolve("digits-tiny", settings)
        return
    with pytest.raises(ConfigError, match="128 images or more") as refusal:
        resolve("digits-tiny", settings)
    assert refusal.value.key == "predictor.kind"


def test_a_symmetric_predictor_has_no_standardized_weights():
    settings = {"predictor.kind": "linear", "predictor.weight_standardization": "biased"}
    resolve("digits-tiny", settings)
    with pytest.raises(ConfigError, match=r"predictor\.symmetric"):
        resolve("digits-tiny", {**settings, "predictor.symmetric": True})
