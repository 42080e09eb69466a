"""Measures how many directions vectors take up, and how a predictor lies in them.

A step makes matrices on the device, without waiting for it. Their eigenvalues, for which the host
waits, are computed where they are read.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from byol_core.networks.least_squares import least_squares, most_precise

_TINY = 1e-30


def scaled_gram(vectors: Tensor) -> Tensor:
    """Return the smaller Gram matrix of centred vectors, in units of what float32 can tell from 0.

    The unit is the square of float32's eps · √n · the largest norm of the vectors as they are: an
    eigenvalue below 1 is rounding noise, which would else give a collapsed batch any rank.

    Args:
        vectors: (V, n, D), each view by itself.

    Returns:
        (V, k, k) with k = min(n, D).
    """
    exact = most_precise(vectors)
    n, d = exact.shape[1:]
    longest = torch.linalg.vector_norm(exact, dim=-1).amax(-1)
    unit = (torch.finfo(torch.float32).eps * math.sqrt(n) * longest).clamp_min(_TINY)

    # Both products have all singular values that are not 0.
    centred = (exact - exact.mean(1, keepdim=True)) / unit[:, None, None]
    gram: Tensor = centred.mT @ centred if d <= n else centred @ centred.mT
    return gram


def effective_rank(grams: Tensor) -> Tensor:
    """Return exp(entropy of the singular values) of centred vectors (Roy & Vetterli 2007).

    It is 1 where all vectors are equal but for rounding, and NaN where one is not finite.

    Args:
        grams: (V, k, k) of `scaled_gram`.

    Returns:
        A scalar, the mean over the views.
    """
    eigenvalues = _eigenvalues(grams)
    singular = torch.where(eigenvalues < 1, 0.0, eigenvalues).sqrt()
    return _entropy_rank(singular).mean()


def predictor_matrices(z: Tensor, prediction: Tensor, matrix: Tensor | None) -> Tensor:
    """Return the covariance of projections, and the matrix of a predictor.

    Args:
        z: (n, D) projections.
        prediction: (n, D) what the predictor makes of them.
        matrix: (D, D) with prediction = z · matrix, plus a constant; None for a predictor that is
            no matrix: then that which describes it best on these vectors.

    Returns:
        (2, D, D).
    """
    centred = most_precise(z)
    centred = centred - centred.mean(0)
    if matrix is None:
        prediction = most_precise(prediction)
        matrix = least_squares(centred, prediction - prediction.mean(0))
    return torch.stack([centred.T @ centred / len(centred), matrix.to(centred.dtype)])


def predictor_spectrum(matrices: Tensor) -> dict[str, Tensor]:
    """Return what the spectra of projections and predictor say of each other.

    `projection_top` is the largest eigenvalue's share of the covariance; `predictor_rank` the
    effective rank of the predictor's matrix; `predictor_symmetry` is 1 where that is symmetric, 0
    for one without any symmetry, −1 where it is antisymmetric. `predictor_alignment` is the cosine
    of u and the predictor's image of u, over the eigenvectors u of the covariance, weighted by
    their eigenvalues: 1 where both have the same eigenvectors, which training brings about (arXiv
    2102.06810, section 3, where E[z zᵀ] stands for the covariance: a mean would outweigh the rest).

    Args:
        matrices: (2, D, D) of `predictor_matrices`.
    """
    covariance, matrix = matrices
    vectors = _eigenvectors(covariance)
    eigenvalues = (vectors * (covariance @ vectors)).sum(0).clamp_min(0)
    shares = eigenvalues / eigenvalues.sum().clamp_min(_TINY)

    # Rows of z are multiplied from the right, so the image of each column u is matrixᵀ u.
    images = matrix.T @ vectors
    cosines = (vectors * images).sum(0) / images.norm(dim=0).clamp_min(_TINY)

    squares = _eigenvalues(matrix @ matrix.T)
    return {
        "projection_top": shares.max(),
        "predictor_rank": _entropy_rank(squares.clamp_min(0).sqrt()),
        "predictor_symmetry": (matrix * matrix.T).sum() / matrix.square().sum().clamp_min(_TINY),
        "predictor_alignment": (shares * cosines).sum(),
    }


def _effective_rank_as(name: str) -> Callable[[Tensor], dict[str, Tensor]]:
    return lambda grams: {name: effective_rank(grams)}


READERS: Mapping[str, Callable[[Tensor], dict[str, Tensor]]] = {
    "effective_rank": _effective_rank_as("effective_rank"),
    "feature_rank": _effective_rank_as("feature_rank"),
    "predictor": predictor_spectrum,
}
"""Name of a matrix that a step makes → what is read from it."""


def _entropy_rank(values: Tensor) -> Tensor:
    """Return exp(entropy) of values ≥ 0 along the last axis, taken as shares of their sum."""
    shares = values / values.sum(-1, keepdim=True).clamp_min(_TINY)
    return torch.exp(-torch.special.xlogy(shares, shares).sum(-1))


def _eigenvalues(symmetric: Tensor) -> Tensor:
    """Return the eigenvalues, NaN where a number is not finite or the solver gives up.

    A sign of collapse must not end a run, and a run that has diverged would have the solver raise.
    """
    finite = torch.isfinite(symmetric).all(-1).all(-1)
    safe = torch.where(finite[..., None, None], symmetric, 0.0)
    try:
        eigenvalues = torch.linalg.eigvalsh(safe)
    except RuntimeError:  # torch.linalg.LinAlgError is one
        return torch.full_like(symmetric[..., 0], torch.nan)
    return torch.where(finite[..., None], eigenvalues, torch.nan)


def _eigenvectors(symmetric: Tensor) -> Tensor:
    """Return the eigenvectors as columns, by rising eigenvalue; NaN as `_eigenvalues`."""
    finite = torch.isfinite(symmetric).all()
    try:
        _, vectors = torch.linalg.eigh(torch.where(finite, symmetric, 0.0))
    except RuntimeError:
        return torch.full_like(symmetric, torch.nan)
    return torch.where(finite, vectors, torch.nan)
