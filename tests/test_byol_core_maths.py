"""Losses, schedules, optimizers and signs of collapse against formulae in float64 or reference
implementations.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from byol_core.config import OptimizerConfig, resolve
from byol_core.losses.contrastive import contrastive_loss, nt_xent
from byol_core.losses.regression import l2_normalize, regression_loss
from byol_core.metrics.collapse import collapse_metrics, effective_rank, std_sqrt_d
from byol_core.networks.byol import Online
from byol_core.optim.groups import make_optimizer
from byol_core.optim.lars import LARS
from byol_core.optim.schedules import learning_rate, target_tau


@pytest.fixture
def vectors():
    return torch.from_numpy(np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32))


def test_regression_loss_on_known_vectors():
    q = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    z = torch.tensor([[5.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
    assert regression_loss(q, z).tolist() == pytest.approx([0.0, 4.0, 2.0])


def test_regression_loss_is_the_squared_distance_of_unit_vectors(vectors):
    q, z = vectors[:3].double(), vectors[3:].double()
    expected = ((q / q.norm(dim=1, keepdim=True) - z / z.norm(dim=1, keepdim=True)) ** 2).sum(1)
    torch.testing.assert_close(regression_loss(q, z), expected)


def test_normalizing_a_zero_vector_is_finite_with_its_gradient():
    zero = torch.zeros(1, 4, requires_grad=True)
    l2_normalize(zero).sum().backward()
    assert bool(torch.isfinite(zero.grad).all())


def test_contrastive_loss_equals_the_formula(vectors):
    query, key, queue = (
        vectors[:2].double(),
        vectors[2:4].double(),
        F.normalize(vectors[4:].double(), dim=1),
    )
    q, k = F.normalize(query, dim=1), F.normalize(key, dim=1)
    positive, negatives = torch.exp((q * k).sum(1) / 0.2), torch.exp(q @ queue.T / 0.2).sum(1)
    expected = -torch.log(positive / (positive + negatives))
    torch.testing.assert_close(contrastive_loss(query, key, queue, 0.2), expected)


def test_tau_schedule_is_the_papers():
    assert target_tau(0, 100, 0.99, "cosine") == pytest.approx(0.99)
    assert target_tau(50, 100, 0.99, "cosine") == pytest.approx(0.995)
    assert target_tau(100, 100, 0.99, "cosine") == pytest.approx(1.0)
    assert target_tau(70, 100, 0.99, "constant") == 0.99


@pytest.mark.parametrize("corner", [0.0, 1.0])
def test_tau_zero_and_one_never_move(corner):
    assert {target_tau(step, 100, corner, "cosine") for step in range(101)} == {corner}


def test_learning_rate_warms_up_and_falls_to_zero():
    rates = [learning_rate(step, 100, 10, 2.0, "cosine") for step in range(101)]
    assert rates[0] == 0 and rates[5] == pytest.approx(1.0) and rates[10] == 2.0 == max(rates)
    assert rates[55] == pytest.approx(1.0) and rates[100] == pytest.approx(0.0)
    assert learning_rate(99, 100, 0, 2.0, "constant") == 2.0


def reference_lars(w, gradients, lr, momentum, decay, trust, adapt):
    """The update of deepmind-research/byol in float64."""
    w, m = w.astype(np.float64), np.zeros_like(w, dtype=np.float64)
    for g in gradients:
        update = g + decay * w
        if adapt:
            norms = np.linalg.norm(w), np.linalg.norm(update)
            update = update * (
                trust * norms[0] / norms[1] if norms[0] > 0 and norms[1] > 0 else 1.0
            )
        m = momentum * m + update
        w = w - lr * m
    return w


@pytest.mark.parametrize("adapt", [True, False])
@pytest.mark.parametrize("start", [1.0, 0.0])
def test_lars_equals_the_reference(adapt, start):
    random = np.random.default_rng(1)
    w0 = (random.standard_normal((4, 3)) * start).astype(np.float32)
    gradients = [random.standard_normal((4, 3)).astype(np.float32) for _ in range(5)] + [
        np.zeros((4, 3), np.float32)
    ]
    parameter = torch.nn.Parameter(torch.from_numpy(w0.copy()))
    optimizer = LARS([{"params": [parameter], "weight_decay": 0.1, "adapt": adapt}], 0.5, 0.9, 1e-1)
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    expected = reference_lars(w0, gradients, 0.5, 0.9, 0.1, 1e-1, adapt)
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("decay_all", [True, False])
def test_biases_and_norms_decay_and_adapt_only_where_asked(decay_all):
    network = Online(resolve("digits-tiny", {}), 1)
    config = OptimizerConfig(name="lars", weight_decay=0.1, decay_bias_and_norm=decay_all)
    groups = make_optimizer(network, config).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    for group in groups:
        is_weight = {parameter.ndim > 1 for parameter in group["params"]}
        assert is_weight == {group["adapt"]}
        assert group["weight_decay"] == (0.1 if group["adapt"] or decay_all else 0.0)


def test_lambda_and_mu_scale_every_parameter_of_their_part():
    network = Online(resolve("digits-tiny", {"predictor.norm": "affine"}), 1)
    groups = make_optimizer(
        network, OptimizerConfig(lambda_predictor=10.0, mu_projector=2.0)
    ).param_groups
    factors = {
        id(parameter): group["lr_factor"] for group in groups for parameter in group["params"]
    }
    for part, factor in (
        (network.encoder, 1.0),
        (network.projector, 2.0),
        (network.predictor, 10.0),
    ):
        assert {factors[id(parameter)] for parameter in part.parameters()} == {factor}


def test_nt_xent_equals_the_formula(vectors):
    one, other = vectors[:3].double(), vectors[3:].double()
    z = F.normalize(torch.cat([one, other]), dim=1)
    similarity = torch.exp(z @ z.T / 0.5)
    expected = []
    for i in range(6):
        others = [j for j in range(6) if j != i]
        expected.append(-torch.log(similarity[i, (i + 3) % 6] / similarity[i, others].sum()))
    torch.testing.assert_close(nt_xent(one, other, 0.5), torch.stack(expected))


def test_spread_is_one_minus_the_mean_cosine_of_different_images(vectors):
    unit = F.normalize(vectors, dim=1)
    cosines = unit @ unit.T
    different = cosines[~torch.eye(6, dtype=torch.bool)]
    assert float(std_sqrt_d(unit)) == pytest.approx(
        math.sqrt(1 - float(different.mean())), rel=1e-5
    )


def test_signs_of_a_collapsed_batch():
    point = torch.ones(8, 4)
    signs = {
        name: float(value) for name, value in collapse_metrics(point, point, point, point).items()
    }
    assert signs["std_sqrt_d"] < 1e-3 and signs["effective_rank"] == pytest.approx(1.0, abs=0.2)
    assert signs["positive_cosine"] == pytest.approx(1.0) and signs[
        "negative_cosine"
    ] == pytest.approx(1.0)


def test_signs_of_an_evenly_spread_batch():
    basis = torch.eye(8)
    signs = {
        name: float(value) for name, value in collapse_metrics(basis, basis, basis, basis).items()
    }
    assert signs["std_sqrt_d"] == pytest.approx(1.0) and signs["retrieval"] == 1.0
    assert signs["positive_cosine"] == pytest.approx(1.0) and signs[
        "negative_cosine"
    ] == pytest.approx(0.0, abs=1e-6)
    assert signs["effective_rank"] == pytest.approx(
        7.0, abs=0.01
    )  # centred, so one direction is gone


def test_effective_rank_of_any_batch_is_a_number_or_nan():
    tiny = 1 + torch.randn(128, 64, generator=torch.Generator().manual_seed(0)) * 1e-22
    for batch in (tiny, tiny * 1e-20, torch.full((8, 4), torch.nan), torch.full((8, 4), 3.0e38)):
        rank = float(effective_rank(batch))
        assert math.isnan(rank) or 0.9 <= rank <= 64


def test_effective_rank_is_the_entropy_of_the_singular_values(vectors):
    values = np.linalg.svd((vectors - vectors.mean(0)).double().numpy(), compute_uv=False)
    shares = values / values.sum()
    expected = math.exp(-sum(s * math.log(s) for s in shares if s > 0))
    assert float(effective_rank(vectors)) == pytest.approx(expected, rel=1e-4)
