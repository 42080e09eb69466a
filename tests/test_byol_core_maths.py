"""Losses and signs of collapse against formulae in float64 or reference implementations."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from byol_core.losses.contrastive import contrastive_loss, nt_xent
from byol_core.losses.regression import l2_normalize, regression_loss
from byol_core.metrics.collapse import collapse_metrics, effective_rank, std_sqrt_d


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
