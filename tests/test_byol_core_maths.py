"""Losses against formulae in float64 that are written out number by number."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from byol_core.losses.contrastive import contrastive_loss, nt_xent, regression_with_negatives
from byol_core.losses.normalize import l2_normalize, normalize
from byol_core.losses.regression import regression_loss


@pytest.fixture
def vectors():
    return torch.from_numpy(np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32))


@pytest.fixture
def views():
    """Predictions and targets of two views of four images."""
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.standard_normal((2, 2, 4, 5)))


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


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


def test_layer_and_batch_normalization_are_divided_by_the_root_of_the_width(vectors):
    x = vectors.double()
    layer = F.layer_norm(x, (5,)) / math.sqrt(5)
    batch = F.batch_norm(x, None, None, training=True) / math.sqrt(5)
    torch.testing.assert_close(normalize(x, "layer"), layer)
    torch.testing.assert_close(normalize(x, "batch"), batch)
    torch.testing.assert_close(normalize(x, "none"), x)


@pytest.mark.parametrize("kind", ["l2", "layer", "batch", "none"])
def test_views_are_normalized_each_by_itself(views, kind):
    stacked = normalize(views[0], kind)
    torch.testing.assert_close(stacked[1], normalize(views[0, 1], kind))


@pytest.mark.parametrize("kind", ["layer", "batch", "none"])
def test_other_normalizations_compare_by_squared_distance(views, kind):
    q, z = views[0, 0], views[1, 1]
    expected = (normalize(q, kind) - normalize(z, kind)).norm(dim=1) ** 2
    torch.testing.assert_close(regression_loss(q, z, kind), expected)


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


def test_nt_xent_of_projections_alone_is_simclrs(vectors):
    both = torch.stack([vectors[:3].double(), vectors[3:].double()])
    z = F.normalize(both.flatten(0, 1), dim=1)
    similarity = torch.exp(z @ z.T / 0.5)
    expected = []
    for i in range(6):
        others = [j for j in range(6) if j != i]
        expected.append(-torch.log(similarity[i, (i + 3) % 6] / similarity[i, others].sum()))
    torch.testing.assert_close(nt_xent(both, both, 0.5).flatten(), torch.stack(expected))


def test_nt_xent_of_predictions_has_all_other_targets_as_negatives(views):
    prediction, target = views.numpy()
    losses = nt_xent(*views, 0.3)
    for view in range(2):
        for i in range(4):
            choices = [target[1 - view, j] for j in range(4)]
            choices += [target[view, j] for j in range(4) if j != i]
            weights = [math.exp(cosine(prediction[view, i], t) / 0.3) for t in choices]
            assert float(losses[view, i]) == pytest.approx(-math.log(weights[i] / sum(weights)))


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_loss_with_negatives_is_equation_6(views, beta):
    (p, _), (own, other) = views.numpy()
    alpha = 0.4
    losses = regression_with_negatives(
        views[0, 0], views[1, 1], views[1, 0], beta=beta, temperature=alpha
    )
    for i in range(4):
        total = sum(math.exp(cosine(p[i], own[j]) / alpha) for j in range(4) if j != i)
        total += sum(math.exp(cosine(p[i], other[j]) / alpha) for j in range(4))
        expected = 2 - (2 * cosine(p[i], other[i]) - beta * 2 * alpha * math.log(total))
        assert float(losses[i]) == pytest.approx(expected)


def test_ends_of_equation_6_are_byol_and_simclr(views):
    prediction, target = views
    byol = regression_with_negatives(prediction[0], target[1], target[0], 0.0, 0.4)
    torch.testing.assert_close(byol, regression_loss(prediction[0], target[1]))

    simclr = regression_with_negatives(prediction[0], target[1], target[0], 1.0, 0.4)
    torch.testing.assert_close(simclr, 2 + 2 * 0.4 * nt_xent(prediction, target, 0.4)[0])


def test_gradients_are_those_of_finite_differences(views):
    prediction, target = views.detach().clone().requires_grad_(True)
    losses = (
        lambda p, t: regression_loss(p[0], t[1]),
        lambda p, t: regression_loss(p[0], t[1], "layer"),
        lambda p, t: regression_loss(p[0], t[1], "batch"),
        lambda p, t: nt_xent(p, t, 0.3),
        lambda p, t: regression_with_negatives(p[0], t[1], t[0], 0.5, 0.3),
    )
    for loss in losses:
        assert torch.autograd.gradcheck(loss, (prediction, target))
