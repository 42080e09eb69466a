"""Signs of collapse, ranks, the predictor against the best linear one, and how steps add up."""

import io
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from host_waits import HostWaitError, NoHostWaits
from training import Lab

from byol_core.config import resolve
from byol_core.losses.normalize import l2_normalize
from byol_core.metrics import accumulate
from byol_core.metrics.accumulate import Accumulator, read_matrices, read_point
from byol_core.metrics.collapse import cosine_of_views, signs_of_collapse, std_sqrt_d
from byol_core.metrics.measure import Measured, measure
from byol_core.metrics.spectra import (
    effective_rank,
    predictor_matrices,
    predictor_spectrum,
    scaled_gram,
)
from byol_core.networks.predictors import make_predictor
from byol_core.train.objective import make_objective

CPU = torch.device("cpu")
SIGNS = {"std_sqrt_d", "positive_cosine", "negative_cosine", "retrieval"}


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


def floats(scalars):
    return {name: float(value) for name, value in scalars.items()}


def rank_of(vectors):
    """Return the effective rank of one view's vectors."""
    return float(effective_rank(scaled_gram(vectors[None])))


def test_spread_is_one_minus_the_mean_cosine_of_different_images():
    unit = F.normalize(normal(1, 6, 5), dim=-1)
    cosines = unit[0] @ unit[0].T
    different = cosines[~torch.eye(6, dtype=torch.bool)]
    assert float(std_sqrt_d(unit)) == pytest.approx(
        math.sqrt(1 - float(different.mean())), rel=1e-5
    )


def test_signs_equal_their_formulae_image_by_image():
    online, target = normal(2, 4, 5, seed=1).double(), normal(2, 4, 5, seed=2).double()
    signs = floats(signs_of_collapse(online, target))
    own, others, hits = [], [], []
    for view in range(2):
        for i in range(4):
            cosines = [
                float(F.cosine_similarity(online[view, i], target[1 - view, j], dim=0))
                for j in range(4)
            ]
            hits.append(max(cosines) == cosines[i])
            own.append(cosines.pop(i))
            others += cosines
    assert signs["positive_cosine"] == pytest.approx(np.mean(own))
    assert signs["negative_cosine"] == pytest.approx(np.mean(others))
    assert signs["retrieval"] == pytest.approx(np.mean(hits))


def test_signs_of_a_collapsed_batch():
    point = torch.ones(2, 8, 4)
    signs = floats(signs_of_collapse(point, point))
    assert signs["std_sqrt_d"] < 1e-3 and signs["retrieval"] == pytest.approx(1 / 8)
    assert signs["positive_cosine"] == signs["negative_cosine"] == pytest.approx(1.0)


def test_signs_of_an_evenly_spread_batch():
    basis = torch.eye(8).expand(2, 8, 8)
    signs = floats(signs_of_collapse(basis, basis))
    assert signs["std_sqrt_d"] == pytest.approx(1.0) and signs["retrieval"] == 1.0
    assert signs["positive_cosine"] == pytest.approx(1.0)
    assert signs["negative_cosine"] == pytest.approx(0.0, abs=1e-6)
    assert rank_of(basis[0]) == pytest.approx(7.0)  # centred, so one direction is gone


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_signs_of_a_diverged_batch_are_nan(value):
    online = normal(2, 8, 4)
    online[1, 3, 2] = value
    signs = floats(signs_of_collapse(online, normal(2, 8, 4, seed=1)))
    assert all(math.isnan(sign) for sign in signs.values()), signs
    assert math.isnan(rank_of(online[1])) and not math.isnan(rank_of(online[0]))


@pytest.mark.parametrize("shape", [(6, 5), (5, 9)])
def test_effective_rank_is_the_entropy_of_the_singular_values(shape):
    vectors = normal(*shape)
    centred = (vectors - vectors.mean(0)).double().numpy()
    values = np.linalg.svd(centred, compute_uv=False)
    shares = values / values.sum()
    expected = math.exp(-sum(s * math.log(s) for s in shares if s > 1e-12))
    assert rank_of(vectors) == pytest.approx(expected, rel=1e-6)
    assert rank_of(vectors * 1e-6) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("spread", [0.0, 1e-8, 5e-8, 1e-22])
def test_a_collapsed_batch_has_rank_one(spread):
    point = normal(1, 64, seed=1)
    assert rank_of(l2_normalize(point + spread * normal(128, 64))) == 1.0


def test_a_batch_that_float32_can_tell_from_a_point_keeps_its_rank():
    point = l2_normalize(normal(1, 64, seed=1))
    assert rank_of(point + 1e-4 * normal(128, 64)) > 50


@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1e18, 3e38])
def test_effective_rank_of_any_batch_is_a_number(scale):
    vectors = scale * normal(16, 4).sign()
    assert 1 <= rank_of(vectors) <= 4


def test_cosine_of_views_compares_images_with_themselves():
    vectors = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [1.0, 0.0]]])
    assert float(cosine_of_views(vectors)) == pytest.approx(0.5)


def spectrum_of(z, matrix):
    return floats(predictor_spectrum(predictor_matrices(z, z @ matrix, matrix)))


def test_alignment_is_that_of_eigenvectors():
    z = 5.0 + normal(50, 6).double() * torch.arange(1, 7)
    covariance = torch.cov(z.T)
    aligned = spectrum_of(z, torch.linalg.matrix_power(covariance, 2) + 3 * torch.eye(6))
    assert aligned["predictor_alignment"] == pytest.approx(1.0)
    assert aligned["predictor_symmetry"] == pytest.approx(1.0)

    eigenvalues = np.linalg.eigvalsh(covariance.numpy())
    assert aligned["projection_top"] == pytest.approx(eigenvalues.max() / eigenvalues.sum())
    assert spectrum_of(z, -covariance)["predictor_alignment"] == pytest.approx(-1.0)


def test_a_turn_by_a_right_angle_is_antisymmetric_and_not_aligned():
    turn = torch.zeros(4, 4, dtype=torch.float64)
    turn[0, 1] = turn[2, 3] = 1.0
    turn -= turn.T.clone()
    spectrum = spectrum_of(normal(50, 4).double(), turn)
    assert spectrum["predictor_symmetry"] == pytest.approx(-1.0)
    assert spectrum["predictor_alignment"] == pytest.approx(0.0, abs=1e-12)
    assert spectrum["predictor_rank"] == pytest.approx(4.0)


def test_alignment_is_of_what_the_predictor_makes_of_each_eigenvector():
    z, matrix = 5.0 + normal(50, 4).double(), normal(4, 4, seed=1).double()
    eigenvalues, vectors = np.linalg.eigh(torch.cov(z.T).numpy())
    expected = 0.0
    for s, u in zip(eigenvalues, vectors.T, strict=True):
        predicted = u @ matrix.numpy()
        expected += s * (u @ predicted) / np.linalg.norm(predicted)
    alignment = spectrum_of(z, matrix)["predictor_alignment"]
    assert alignment == pytest.approx(expected / eigenvalues.sum())


def test_a_predictor_that_is_no_matrix_is_described_by_the_nearest_one():
    z = normal(50, 4).double()
    matrix = normal(4, 4, seed=1).double()
    matrices = predictor_matrices(z, z @ matrix + 7.0, None)
    torch.testing.assert_close(matrices[1], matrix)


def test_a_solver_that_gives_up_ends_no_run(monkeypatch):
    def give_up(matrices):
        raise torch.linalg.LinAlgError

    monkeypatch.setattr(torch.linalg, "eigvalsh", give_up)
    assert math.isnan(rank_of(normal(8, 4)))

    monkeypatch.setattr(torch.linalg, "eigh", give_up)
    spectrum = spectrum_of(normal(50, 4).double(), torch.eye(4, dtype=torch.float64))
    assert all(
        math.isnan(value) for name, value in spectrum.items() if name != "predictor_symmetry"
    )


def test_no_solver_sees_a_matrix_that_is_not_finite(monkeypatch):
    solve = torch.linalg.eigvalsh

    def picky(matrices):
        assert bool(torch.isfinite(matrices).all())
        return solve(matrices)

    monkeypatch.setattr(torch.linalg, "eigvalsh", picky)
    assert math.isnan(rank_of(torch.full((8, 4), torch.nan)))


def test_spectra_of_a_diverged_batch_are_nan():
    z = normal(50, 4).double()
    z[3, 1] = torch.nan
    values = floats(predictor_spectrum(predictor_matrices(z, z, None)))
    assert all(math.isnan(value) for value in values.values())


def outputs_of(predictor, n=40, d=8, noise=0.5, seed=0, dtype=torch.float32):
    """Return outputs whose target is linear in the projection of the other view, with noise."""
    projection = normal(2, n, d, seed=seed, dtype=dtype)
    target = projection.flip(0) @ normal(d, d, seed=seed + 1, dtype=dtype)
    target = target + noise * normal(2, n, d, seed=seed + 2, dtype=dtype)
    return SimpleNamespace(
        features=normal(2, n, 10, seed=seed + 3, dtype=dtype).relu(),
        projection=projection,
        prediction=predictor(projection),
        target=target,
    )


def setup(**overrides):
    config = resolve(
        "digits-tiny", {"projector.out": 8, "predictor.out": 8, "loss.queue_size": 12, **overrides}
    )
    return make_predictor(config), make_objective(config, CPU)


def test_predictor_gap_is_the_loss_above_that_of_the_best_linear_one():
    predictor, objective = setup(**{"predictor.kind": "linear", "loss.scale": 0.5})
    outputs = outputs_of(predictor.double(), dtype=torch.float64)
    values = floats(measure(outputs, predictor, objective, extras=True).scalars)

    # With NumPy: the matrix that fits unit targets best, and the loss of what it predicts.
    z = outputs.projection.numpy()
    unit = outputs.target.numpy() / np.linalg.norm(outputs.target.numpy(), axis=-1, keepdims=True)
    rows, others = np.concatenate([z[0], z[1]]), np.concatenate([unit[1], unit[0]])
    best = rows @ np.linalg.lstsq(rows, others, rcond=None)[0]
    cosines = (best * others).sum(1) / np.linalg.norm(best, axis=1)
    loss_of_best = 2 * (0.5 * (2 - 2 * cosines)).mean()  # the sum of both orders

    loss = float(objective(outputs.prediction.detach(), outputs.target))
    assert values["predictor_gap"] == pytest.approx(loss - loss_of_best, rel=1e-6)
    assert values["conditional_variance"] == pytest.approx(((best - others) ** 2).sum(1).mean())


def test_nothing_is_left_of_targets_that_are_linear_in_the_projections():
    predictor, objective = setup(**{"predictor.kind": "optimal", "loss.normalize": "none"})
    outputs = outputs_of(predictor.double(), noise=0.0, dtype=torch.float64)
    predictor.fit(outputs.projection, outputs.target, 0)
    outputs.prediction = predictor(outputs.projection)
    values = floats(measure(outputs, predictor, objective, extras=True).scalars)
    assert values["conditional_variance"] == pytest.approx(0.0, abs=1e-9)
    assert values["predictor_gap"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"predictor.kind": "directpred"},
        {"predictor.kind": "none"},
        {"method": "moco"},
        {"method": "simclr"},
        {"loss.normalize": "batch"},
    ],
)
def test_what_is_measured_is_named_and_finite_and_waits_for_nothing(overrides):
    predictor, objective = setup(**overrides)
    outputs = outputs_of(predictor)
    with NoHostWaits():
        few = measure(outputs, predictor, objective, extras=False)
        many = measure(outputs, predictor, objective, extras=True)
    assert set(few.scalars) == SIGNS and set(few.matrices) == {"effective_rank"}
    values = floats(many.scalars) | read_matrices(many.matrices)
    assert set(values) == SIGNS | {
        "effective_rank",
        "feature_std",
        "feature_rank",
        "cosine_y",
        "cosine_z",
        "cosine_p",
        "predictor_gap",
        "conditional_variance",
        "projection_top",
        "predictor_rank",
        "predictor_symmetry",
        "predictor_alignment",
    }
    assert all(math.isfinite(value) for value in values.values())
    assert not any(value.requires_grad for value in many.scalars.values())


def test_the_best_linear_predictor_of_few_images_is_not_measured():
    predictor, objective = setup()
    measured = measure(outputs_of(predictor, n=15), predictor, objective, extras=True)
    assert "cosine_p" in measured.scalars
    assert "predictor_gap" not in measured.scalars and "predictor" not in measured.matrices


def test_metrics_are_float32_whatever_the_networks_compute_in():
    predictor, objective = setup(**{"predictor.kind": "none"})
    outputs = outputs_of(predictor)
    low = SimpleNamespace(**{name: value.bfloat16() for name, value in vars(outputs).items()})
    high = SimpleNamespace(**{name: value.float() for name, value in vars(low).items()})
    with torch.autocast("cpu", torch.bfloat16):
        of_low = read_point(torch.zeros(()), measure(low, predictor, objective, extras=True))
    assert of_low == read_point(torch.zeros(()), measure(high, predictor, objective, extras=True))


def test_a_step_is_measured_before_a_queue_takes_its_targets_in(tiny, monkeypatch):
    lab = Lab(tiny(method="moco"))
    calls = []
    for owner, name in ((lab.trainer, "measure"), (lab.trainer.objective, "remember")):
        monkeypatch.setattr(owner, name, lambda outputs, name=name: calls.append(name))
    lab.step(0, measures=True)
    assert calls == ["measure", "remember"]


def measured_at(step, extras=False):
    predictor, objective = setup(**{"predictor.kind": "none"})
    return measure(outputs_of(predictor, seed=10 * step), predictor, objective, extras)


def test_means_are_those_of_the_values_at_each_step():
    total = Accumulator(CPU)
    points = []
    for step in range(5):
        measured = measured_at(step, extras=step % 2 == 0)
        total.add(step, torch.tensor(float(step)), measured)
        points.append(read_point(torch.tensor(float(step)), measured))
    means = total.read()
    assert set(means) == set(points[0])
    for name, mean in means.items():
        values = [point[name] for point in points if name in point]
        assert mean == pytest.approx(np.mean(values))


def test_values_that_are_not_finite_are_left_out_and_counted():
    total = Accumulator(CPU)
    for step, value in enumerate([1.0, math.nan, 5.0, math.inf]):
        scalars = {"sign": torch.tensor(value), "never": torch.tensor(math.nan)}
        gram = torch.full((2, 3, 3), value)
        total.add(step, torch.tensor(2.0), Measured(scalars, {"feature_rank": gram}))
    means = total.read()
    assert means["loss"] == 2.0 and means["sign"] == 3.0 and means["sign_left_out"] == 2
    assert math.isnan(means["never"]) and means["never_left_out"] == 4
    assert means["feature_rank_left_out"] == 2 and means["feature_rank"] >= 1
    assert "loss_left_out" not in means


def test_the_first_step_whose_loss_was_not_finite_is_kept():
    total = Accumulator(CPU)
    total.add(7, torch.tensor(1.0))
    assert total.first_not_finite() is None
    for step, loss in ((8, math.inf), (9, 1.0), (10, math.nan)):
        total.add(step, torch.tensor(loss))
    assert total.first_not_finite() == 8
    assert total.read() == {"loss": 1.0, "loss_left_out": 2.0}


def test_a_step_may_be_a_number_on_the_device():
    total = Accumulator(CPU)
    total.add(torch.tensor(3), torch.tensor(math.nan))
    assert total.first_not_finite() == 3


def test_adding_waits_for_nothing_until_too_many_matrices_are_kept(monkeypatch):
    monkeypatch.setattr(accumulate, "_KEPT_STEPS", 3)
    total = Accumulator(CPU)
    measured = measured_at(0, extras=True)
    with NoHostWaits():
        total.add(0, torch.tensor(1.0), measured)
        total.add(1, torch.tensor(1.0), measured)
        with pytest.raises(HostWaitError, match="eigh"):
            total.add(2, torch.tensor(1.0), measured)


def test_what_is_kept_does_not_follow_memory_that_is_written_again():
    total = Accumulator(CPU)
    measured = measured_at(0)
    rank = read_matrices(measured.matrices)["effective_rank"]
    total.add(0, torch.tensor(1.0), measured)
    for matrix in measured.matrices.values():
        matrix.zero_()
    for scalar in measured.scalars.values():
        scalar.zero_()
    means = total.read()
    assert means["effective_rank"] == rank and means["std_sqrt_d"] > 0.5


@pytest.mark.parametrize("cut", [0, 1, 3, 5])
def test_a_resumed_sum_equals_an_uninterrupted_one_bit_for_bit(cut, monkeypatch):
    monkeypatch.setattr(accumulate, "_KEPT_STEPS", 2)
    whole, resumed = Accumulator(CPU), Accumulator(CPU)
    for step in range(6):
        if step == cut:
            resumed = through_a_file(resumed)
        loss = torch.tensor(math.nan if step == 2 else 0.1 * step)
        measured = measured_at(step, extras=step % 2 == 1)
        whole.add(step, loss, measured)
        resumed.add(step, loss, measured)
    assert resumed.read() == whole.read()
    assert resumed.first_not_finite() == whole.first_not_finite() == 2


def through_a_file(total):
    """Return what goes on from a checkpoint, which holds tensors and plain values alone."""
    buffer = io.BytesIO()
    torch.save(total.state(), buffer)
    buffer.seek(0)
    loaded = Accumulator(CPU)
    loaded.load_state(torch.load(buffer, weights_only=True))
    return loaded


def test_an_empty_sum_has_no_means():
    assert Accumulator(CPU).read() == {} and through_a_file(Accumulator(CPU)).read() == {}
