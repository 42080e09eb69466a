"""Measures what a step does not optimize, from what the networks made of the batch."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from byol_core.losses.normalize import at_least_float32, l2_normalize
from byol_core.metrics.collapse import cosine_of_views, signs_of_collapse, std_sqrt_d
from byol_core.metrics.predictor_gap import ROWS_PER_DIMENSION, predictor_gap
from byol_core.metrics.spectra import predictor_matrices, scaled_gram


@dataclass(frozen=True)
class Measured:
    """What was measured at one step, on the device.

    Attributes:
        scalars: name → value.
        matrices: name → what `spectra.READERS` reads values from.
    """

    scalars: dict[str, Tensor]
    matrices: dict[str, Tensor]


class Outputs(Protocol):
    """What the networks make of both views, each (2, B, …)."""

    @property
    def features(self) -> Tensor:
        """Those of the online encoder."""

    @property
    def projection(self) -> Tensor:
        """Those of the online projector."""

    @property
    def prediction(self) -> Tensor:
        """Those of the predictor."""

    @property
    def target(self) -> Tensor:
        """The projections that are predicted."""


class Predictor(Protocol):
    """What measuring asks of a predictor."""

    def matrix(self) -> Tensor | None:
        """Return its matrix, where it is one."""


class Objective(Protocol):
    """What measuring asks of an objective."""

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""

    def comparable(self, target: Tensor) -> Tensor:
        """Return targets as the loss compares them."""


@torch.no_grad()
def measure(outputs: Outputs, predictor: Predictor, objective: Objective, extras: bool) -> Measured:
    """Measure a step, without waiting for the device.

    Args:
        outputs: of the step, before its update.
        predictor: that made the predictions.
        objective: that compares them with the targets.
        extras: also measure what is not needed at each step: encoder features, cosines of the views
            and, where the batch has rows enough, the predictor against the best linear one.
    """
    projection = at_least_float32(outputs.projection)
    target = at_least_float32(outputs.target)
    with torch.autocast(projection.device.type, enabled=False):
        measured = Measured(
            signs_of_collapse(projection, target),
            {"effective_rank": scaled_gram(l2_normalize(projection))},
        )
        if extras:
            _add_views(measured, outputs)
            if _rows(projection) >= ROWS_PER_DIMENSION * projection.shape[-1]:
                _add_predictor(measured, outputs, predictor, objective)
    return measured


def _add_views(measured: Measured, outputs: Outputs) -> None:
    """Add the spread of encoder features, and the cosines of the two views at each stage."""
    features = at_least_float32(outputs.features)
    unit = l2_normalize(features)
    measured.scalars["feature_std"] = std_sqrt_d(unit)
    measured.matrices["feature_rank"] = scaled_gram(unit)
    measured.scalars["cosine_y"] = cosine_of_views(features)
    measured.scalars["cosine_z"] = cosine_of_views(at_least_float32(outputs.projection))
    measured.scalars["cosine_p"] = cosine_of_views(at_least_float32(outputs.prediction))


def _add_predictor(
    measured: Measured, outputs: Outputs, predictor: Predictor, objective: Objective
) -> None:
    """Add how the predictor compares with the best linear one, and its spectrum."""
    z = at_least_float32(outputs.projection)
    prediction = at_least_float32(outputs.prediction)
    target = at_least_float32(outputs.target)
    comparable = objective.comparable(target)
    measured.scalars.update(predictor_gap(z, prediction, target, comparable, objective))
    measured.matrices["predictor"] = predictor_matrices(
        z.flatten(0, 1), prediction.flatten(0, 1), predictor.matrix()
    )


def _rows(projection: Tensor) -> int:
    return projection.shape[0] * projection.shape[1]
