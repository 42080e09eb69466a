"""Fits a multinomial logistic regression to its optimum, on the device that is named.

It minimizes the sum of cross-entropies + ½ · l2 · ‖weights‖², with intercepts that are free: the
problem of scikit-learn's LogisticRegression(C=1/l2) on standardized features. Newton's method with
conjugate gradients solves it. Steps are found in float32, which makes them cheap; loss and gradient
are float64, so that the optimum is as exact as if all were.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 1e-5
"""The norm of the gradient to stop at. The penalty curves the loss by l2 in every direction of the
weights: whatever the path was, they lie no further than about tolerance / l2 from the optimum."""
MAX_STEPS = 100
MAX_PRODUCTS = 1000
"""Of the Hessian with a vector, at most, in search of one step."""

_FORCING = 0.1  # how exact a step is: by this factor at first, by more near the optimum
_DECREASE = 1e-4  # of what the slope promises, the least that a step has to bring (Armijo)
_SHORTEST = 1e-8
_BLOCK = 2**22  # numbers of a block that is computed in float64
_ROUNDING = 2.0**-21  # of a feature's size: a spread that float32 alone explains


@dataclass(frozen=True)
class Scale:
    """Holds how features become standardized: mean 0 and variance 1 over the training features.

    Attributes:
        mean: (F,) float64.
        factor: (F,) float64, one over the standard deviation; 0 for a feature that is constant.
    """

    mean: Tensor
    factor: Tensor

    def blocks(self, features: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield rows and their standardized features with a column of ones, in float64."""
        n, width = features.shape
        rows = max(1, _BLOCK // (width + 1))
        for start in range(0, n, rows):
            part = slice(start, start + rows)
            block = (features[part].to(self.mean.device).double() - self.mean) * self.factor
            yield part, F.pad(block, (0, 1), value=1.0)


@dataclass(frozen=True)
class Fitted:
    """Holds a regression.

    Attributes:
        scale: of its features.
        weights: (K, F + 1) float64, the intercept last.
        converged: whether the optimum was reached.
        steps: of Newton's method.
    """

    scale: Scale
    weights: Tensor
    converged: bool
    steps: int

    def predict(self, features: Tensor) -> Tensor:
        """Return the number of the likeliest class of each row, (N,) on the weights' device."""
        parts = [(block @ self.weights.T).argmax(1) for _, block in self.scale.blocks(features)]
        return torch.cat(parts)


@dataclass(frozen=True)
class _Point:
    """Holds what is known at some weights.

    Attributes:
        weights: (K, F + 1) float64.
        log_likelihood: of each image's own class, (N,) float64.
        probability: (K, N) float32, of each class.
        gradient: (K, F + 1) float64.
    """

    weights: Tensor
    log_likelihood: Tensor
    probability: Tensor
    gradient: Tensor


def fit(features: Tensor, y: Tensor, classes: int, l2: float, device: torch.device) -> Fitted:
    """Fit a regression.

    Args:
        features: (N, F) finite float32, on any device.
        y: (N,) int64, the class of each row: 0 to classes − 1.
        classes: how many, two or more.
        l2: strength of the penalty. Of two classes scikit-learn penalizes the difference of their
            weights, and so does this.
        device: that computes.
    """
    scale = _scale_of(features, device)
    problem = _Problem(features, y.to(device), classes, 2 * l2 if classes == 2 else l2, scale)
    point = problem.at(scale.mean.new_zeros(classes, features.shape[1] + 1))
    smallest = first = problem.size(point.gradient)
    steps = 0
    while not (converged := float(point.gradient.norm()) <= TOLERANCE) and steps < MAX_STEPS:
        # The nearer the optimum, the more exact the step, so that convergence is faster than linear.
        smallest = min(smallest, problem.size(point.gradient))
        step = problem.step(point, min(_FORCING, smallest / first))
        moved = problem.search(point, step)
        if moved is None:
            break
        point = moved
        steps += 1

    # What all classes share changes no answer, and nothing holds it where rounding moves it.
    weights = point.weights - point.weights.mean(0)
    return Fitted(scale, weights, converged, steps)


def _scale_of(features: Tensor, device: torch.device) -> Scale:
    """Return how training features are standardized, by sums in float64."""
    n, width = features.shape
    total = torch.zeros(width, dtype=torch.float64, device=device)
    for _, block in Scale(total, torch.ones_like(total)).blocks(features):
        total = total + block[:, :width].sum(0)
    mean = total / n

    # A second pass: a variance from sums of squares would lose digits.
    squares = torch.zeros_like(mean)
    for _, block in Scale(mean, torch.ones_like(mean)).blocks(features):
        squares += block[:, :width].square().sum(0)
    deviation = (squares / n).sqrt()

    # What is constant but for rounding would become noise of variance 1.
    is_constant = deviation <= _ROUNDING * mean.abs()
    return Scale(mean, torch.where(is_constant, 0.0, 1 / deviation))


class _Problem:
    """Knows the loss of a regression, and its derivatives."""

    def __init__(self, features: Tensor, y: Tensor, classes: int, l2: float, scale: Scale) -> None:
        self.features = features
        self.y = y
        self.classes = classes
        self.scale = scale
        n, width = features.shape

        # No penalty on the intercept.
        self.penalty = scale.mean.new_full((width + 1,), l2)
        self.penalty[-1] = 0

        # One pass: the features in float32 for the search of steps, and their products.
        self.rounded = torch.empty(n, width + 1, device=y.device)
        products = torch.diag(self.penalty)
        for rows, block in scale.blocks(features):
            self.rounded[rows] = block.float()
            products.addmm_(block.T, block, alpha=1 / classes)

        # The inverse of the Hessian at the start, but for a factor near 1, evens out directions.
        products.diagonal().add_(1e-9 * products.diagonal().sum())
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(products))
        self.inverse = inverse.float()
        self.rounded_penalty = self.penalty.float()

    def at(self, weights: Tensor) -> _Point:
        """Return what is known at some weights."""
        n = len(self.y)
        numbers = torch.arange(self.classes, device=weights.device)[:, None]
        log_likelihood = weights.new_empty(n)
        probability = torch.empty(self.classes, n, device=weights.device)
        gradient = weights * self.penalty
        for rows, block in self.scale.blocks(self.features):
            y = self.y[rows]
            log_p = (weights @ block.T).log_softmax(0)
            log_likelihood[rows] = log_p.gather(0, y[None])[0]
            p = log_p.exp()
            probability[:, rows] = p.float()
            gradient.addmm_(p - (numbers == y).double(), block)
        return _Point(weights, log_likelihood, probability, gradient)

    def size(self, gradient: Tensor) -> float:
        """Return the norm of a gradient, with directions evened out."""
        return float((gradient.float() @ self.inverse * gradient).sum().clamp_min(0).sqrt())

    def step(self, point: _Point, exactness: float) -> Tensor:
        """Return a step of Newton's method, by conjugate gradients.

        Args:
            point: where it starts.
            exactness: how small the residual is to become, as a share of the gradient.
        """
        p = point.probability
        length = float(point.gradient.norm())  # float32 cannot hold every size
        residual = (-point.gradient / length).float()
        step = torch.zeros_like(residual)
        direction = even = residual @ self.inverse
        now = start = float((residual * even).sum())
        for _ in range(MAX_PRODUCTS):
            product = self._hessian_times(p, direction)
            curvature = float((direction * product).sum())
            if curvature <= 0 or now <= exactness**2 * start:
                break
            step += now / curvature * direction
            residual -= now / curvature * product
            even = residual @ self.inverse
            before, now = now, float((residual * even).sum())
            direction = even + now / before * direction
        return step.double() * length

    def _hessian_times(self, p: Tensor, direction: Tensor) -> Tensor:
        """Return the product of the Hessian at probabilities with a direction, in float32."""
        logits = direction @ self.rounded.T
        change = p * (logits - (p * logits).sum(0))
        return change @ self.rounded + direction * self.rounded_penalty

    def search(self, point: _Point, step: Tensor) -> _Point | None:
        """Return the first point along a step, halved as needed, that lowers the loss enough."""
        slope = float((point.gradient * step).sum())
        share = 1.0
        while share >= _SHORTEST:
            there = self.at(point.weights + share * step)

            # Differences image by image: those of two large sums would be rounding alone.
            gain = (there.log_likelihood - point.log_likelihood).sum()
            middle = (there.weights + point.weights) / 2
            penalty = (self.penalty * middle * (there.weights - point.weights)).sum()
            if float(penalty - gain) <= _DECREASE * share * slope:
                return there
            share /= 2
        return None
