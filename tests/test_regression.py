"""The regression of the probe: scikit-learn's optimum, and features that make it hard."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from byol_core.evaluation import regression
from byol_core.evaluation.regression import fit

CPU = torch.device("cpu")


def images(n=300, width=12, classes=5, seed=0, apart=1.5):
    """Features that tell classes apart, the better the further these are."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    centres = rng.normal(size=(classes, width)) * apart
    x = centres[y] + rng.normal(size=(n, width))
    return torch.from_numpy(x).float(), torch.from_numpy(y)


def oracle(x, y):
    """Scikit-learn's regression, and what it is fitted to."""
    wide = x.double().numpy()
    deviation = wide.std(0)
    standard = (wide - wide.mean(0)) / np.where(deviation > 0, deviation, 1)
    model = LogisticRegression(C=1.0, tol=1e-8, max_iter=100_000)
    return model.fit(standard, y.numpy()), standard


def check_equal(x, y, classes):
    """Hold weights and predictions against scikit-learn's."""
    ours = fit(x, y, classes, 1.0, CPU)
    theirs, standard = oracle(x, y)
    assert ours.converged
    weights = ours.weights.numpy()
    if classes == 2:
        weights = weights[1:] - weights[:1]
    np.testing.assert_allclose(weights[:, :-1], theirs.coef_, atol=1e-4)
    assert np.array_equal(ours.predict(x).numpy(), theirs.predict(standard))


SKEWED = images(seed=3)[0] @ torch.diag(torch.logspace(-4, 4, 12)) + 100
HARD = {
    "as they come": images(),
    "two classes": images(classes=2, apart=0.5),
    "as many classes as images": (images(n=20, classes=20)[0], torch.arange(20)),
    "more features than images": images(n=30, width=200),
    "one image of a class": (images(classes=2)[0], torch.tensor([1] + [0] * 299)),
    "told apart without error": images(apart=20.0),
    "not told apart": images(apart=0.0),
    "of all sizes, far from zero": (SKEWED, images(seed=3)[1]),
    "tiny": (images()[0] * 1e-30, images()[1]),
    "huge": (images()[0] * 1e30, images()[1]),
    "with copies and constants": (
        torch.cat([images()[0], images()[0], torch.full((300, 3), 7.0)], 1),
        images()[1],
    ),
    "all of one direction": (images()[0][:, :1] * torch.arange(1.0, 9.0), images()[1]),
}


@pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
@pytest.mark.parametrize("kind", HARD)
def test_weights_and_answers_are_those_of_scikit_learns_optimum(kind):
    x, y = HARD[kind]
    check_equal(x, y, int(y.max()) + 1)


def test_constant_features_leave_the_most_frequent_class_rounding_or_not():
    y = torch.tensor([0] * 20 + [1] * 30 + [2] * 10)
    constant = torch.full((60, 8), 3.0)
    noise = torch.randn(60, 8, generator=torch.Generator().manual_seed(0)) * 1e-7
    for x in (torch.zeros(60, 8), constant, constant + noise):
        ours = fit(x, y, 3, 1.0, CPU)
        assert ours.converged and set(ours.predict(x).tolist()) == {1}
        shares = ours.weights[:, -1].softmax(0)
        torch.testing.assert_close(shares, torch.tensor([2, 3, 1]).double() / 6, atol=1e-5, rtol=0)


def test_the_optimum_does_not_depend_on_the_order_of_images_or_on_blocks(monkeypatch):
    x, y = images(n=500, classes=4, seed=5)
    whole = fit(x, y, 4, 1.0, CPU)
    order = torch.randperm(500, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(regression, "_BLOCK", 1000)
    other = fit(x[order], y[order], 4, 1.0, CPU)
    torch.testing.assert_close(other.weights, whole.weights, atol=1e-5, rtol=0)
    assert torch.equal(other.predict(x), whole.predict(x))


def test_a_regression_that_may_not_go_on_says_that_it_has_not_converged(monkeypatch):
    monkeypatch.setattr(regression, "MAX_STEPS", 1)
    ours = fit(*images(), 5, 1.0, CPU)
    assert not ours.converged and ours.steps == 1
