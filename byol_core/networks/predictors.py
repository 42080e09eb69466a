"""Builds predictors: trained ones, and those that a formula sets from the batch at hand.

Each maps projections (V, B, D) to predictions of the other view's target, and has `fit`, which the
step calls before: it does nothing where gradients train the predictor. Matrices that a formula sets
are buffers; gradients flow through them to the projections, and none into them.
"""

from typing import Any

import torch
from torch import Tensor, nn

from byol_core.config import BatchNormConfig, PredictorConfig, TrainConfig
from byol_core.networks.heads import MLP
from byol_core.networks.least_squares import least_squares, most_precise
from byol_core.plugins import PlugInError, build_part, is_plug_in


class Predictor(nn.Module):
    """Is the base of all predictors."""

    def fit(self, z: Tensor, target: Tensor, step: int) -> None:
        """Set what a formula sets; nothing here.

        Args:
            z: (V, B, D) projections of the batch, without gradient.
            target: (V, B, D) targets in the same order of views, without gradient.
            step: of the run, from 0.
        """

    def matrix(self) -> Tensor | None:
        """Return (D, D) with prediction = z · matrix, plus a constant; None where it is no matrix."""
        return None


class Identity(Predictor):
    """Predicts the projection itself."""

    def forward(self, z: Tensor) -> Tensor:
        """Return the projections as they are."""
        return z


class MLPPredictor(MLP, Predictor):
    """Is the paper's: a head like the projector (BYOL, section 3.3)."""


class LinearPredictor(MLPPredictor):
    """Is one linear layer, a head of depth 1."""

    def __init__(self, features_in: int, config: PredictorConfig, norms: BatchNormConfig) -> None:
        flat = config.model_copy(update={"depth": 1, "out_norm": False})
        super().__init__(features_in, flat, norms)

    def matrix(self) -> Tensor | None:
        """As `Predictor.matrix`; of standardized weights, what they act as."""
        weight = self.out.weight
        identity = torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)
        matrix: Tensor = self(identity) - self(torch.zeros_like(identity))
        return matrix.detach()


class SymmetricPredictor(LinearPredictor):
    """Is one linear layer that acts as the symmetric part of its matrix (arXiv 2102.06810).

    The other part of the stored matrix has no effect and no gradient; it decays, and LARS sees it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return z (A + Aᵀ)/2 + b."""
        matrix = (self.out.weight + self.out.weight.T) / 2
        return nn.functional.linear(x, matrix, self.out.bias)


class ClosedForm(Predictor):
    """Is the base of linear predictors whose matrix a formula sets.

    Args:
        width: D.
        config: says how often the matrix is set anew.
    """

    weight: Tensor

    def __init__(self, width: int, config: PredictorConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("weight", torch.eye(width))

    def forward(self, z: Tensor) -> Tensor:
        """Return z · weight."""
        return z @ self.weight.to(z.dtype)

    def matrix(self) -> Tensor | None:
        """As `Predictor.matrix`."""
        return self.weight

    def _is_due(self, step: int) -> bool:
        return step % self.config.fit_every == 0


class OptimalPredictor(ClosedForm):
    """Is the linear predictor that fits each batch best (BYOL, section 5 and appendix I).

    Q* = argmin ‖Z Q − Z′‖², with a ridge on request, over the rows of both views: z of view 1
    against z′ of view 2, and the other way round, also where the loss looks at one order alone. It
    is set before the loss is taken, and no gradient flows through how it was found.
    """

    @torch.no_grad()
    def fit(self, z: Tensor, target: Tensor, step: int) -> None:
        """Set the matrix, at every `fit_every`-th step."""
        if not self._is_due(step):
            return

        # The target of each row is that of the other view.
        rows = most_precise(z).flatten(0, 1)
        others = most_precise(target).flip(0).flatten(0, 1)
        if self.config.fit_normalized:
            rows = nn.functional.normalize(rows, dim=1)
            others = nn.functional.normalize(others, dim=1)
        self.weight.copy_(least_squares(rows, others, self.config.ridge))


class DirectPredictor(ClosedForm):
    """Is DirectPred (Tian et al. 2021, arXiv 2102.06810, section 4, equations 18 and 19).

    F ← ρ F + (1 − ρ) E[z zᵀ], not centred, over the rows of both views; of its eigenvalues s and
    eigenvectors U, the matrix is U diag(√s + ε max s) Uᵀ. F starts as the first batch's, where
    their code starts at zero. The eigenvectors are computed in float64; on a GPU the host waits for
    them, so this is the predictor whose fit cannot be captured in a graph.
    """

    correlation: Tensor
    started: Tensor

    def __init__(self, width: int, config: PredictorConfig) -> None:
        super().__init__(width, config)
        self.register_buffer("correlation", torch.zeros(width, width))
        self.register_buffer("started", torch.zeros(()))  # 1 after the first batch

    @torch.no_grad()
    def fit(self, z: Tensor, target: Tensor, step: int) -> None:
        """Move the average at each step, and set the matrix at every `fit_every`-th."""
        rows = most_precise(z).flatten(0, 1)
        newest = (rows.T @ rows / len(rows)).to(self.correlation.dtype)
        kept = self.config.memory * self.started
        self.correlation.copy_(kept * self.correlation + (1 - kept) * newest)
        self.started.fill_(1)
        if self._is_due(step):
            self.weight.copy_(self._from_spectrum())

    def _from_spectrum(self) -> Tensor:
        """Return U diag(p) Uᵀ; NaN where the run has diverged, which the solver would refuse."""
        finite = torch.isfinite(self.correlation).all()
        correlation = most_precise(self.correlation.nan_to_num(0.0, 0.0, 0.0))
        eigenvalues, vectors = torch.linalg.eigh(correlation)
        s = eigenvalues.clamp_min(0)
        p = s.sqrt() + self.config.boost * s.max()
        return torch.where(finite, (vectors * p) @ vectors.T, torch.nan)


class OwnPredictor(Predictor):
    """Is a predictor of the user's own; `fit` and `matrix` are called where it has them."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.name = config.predictor.kind
        self.own = build_part(self.name, nn.Module, config)

    def forward(self, z: Tensor) -> Tensor:
        """Return its predictions.

        Raises:
            PlugInError: they have another shape than the projections, which they must be like.
        """
        prediction: Tensor = self.own(z)
        if prediction.shape != z.shape:
            raise PlugInError(
                f"{self.name}: it returns {tuple(prediction.shape)} for projections "
                f"{tuple(z.shape)}; predictions must have the same shape"
            )
        return prediction

    def fit(self, z: Tensor, target: Tensor, step: int) -> None:
        """Hand the batch on."""
        self._call("fit", z, target, step)

    def matrix(self) -> Tensor | None:
        """As `Predictor.matrix`."""
        matrix: Tensor | None = self._call("matrix")
        return matrix

    def _call(self, method: str, *arguments: Any) -> Any:
        own = getattr(self.own, method, None)
        return own(*arguments) if callable(own) else None


def make_predictor(config: TrainConfig) -> Predictor:
    """Return the predictor of a run, for projections of its width.

    Raises:
        PlugInError: it is the user's own and cannot be built.
    """
    width = config.projector.out
    predictor = config.predictor
    match predictor.kind:
        case "mlp":
            return MLPPredictor(width, predictor, config.batch_norm)
        case "linear" if predictor.symmetric:
            return SymmetricPredictor(width, predictor, config.batch_norm)
        case "linear":
            return LinearPredictor(width, predictor, config.batch_norm)
        case "optimal":
            return OptimalPredictor(width, predictor)
        case "directpred":
            return DirectPredictor(width, predictor)
        case "none":
            return Identity()
    assert is_plug_in(predictor.kind), predictor.kind
    return OwnPredictor(config)
