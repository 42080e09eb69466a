"""Captured and compiled steps on a GPU: the plain step is their oracle."""

import pytest
import torch
from test_trainer_gpu import OBJECTIVES, OPTIONS
from training import Lab

from byol_core.metrics.accumulate import read_point
from byol_core.precision import deterministic
from byol_core.train import train
from byol_core.train.checkpoint import load_state
from byol_core.train.compute_path import make_steps
from byol_core.train.graph import CapturedSteps

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]

GPU = torch.device("cuda")
STEPS = 10
MEASURED = (0, 3, 6, 9)  # two are taken as they are, the later ones are replayed


def points(lab, steps):
    """The values of each step, and all that the next one depends on."""
    read = []
    for number in range(STEPS):
        measures = number in MEASURED
        result = steps.step(lab.batch(number), lab.at(number), measures)
        read.append(read_point(result.loss, result.measured))
        read[-1] |= {name: float(rate) for name, rate in result.local_rates.items()}
    state = lab.trainer.state()
    del state["optimizer"]["param_groups"]
    return read, state


@pytest.mark.parametrize("name", OBJECTIVES)
def test_captured_steps_are_the_plain_ones_to_the_bit(tiny, name):
    config = tiny(**OBJECTIVES[name])
    with deterministic(GPU):
        plain, plain_state = points(lab := Lab(config, GPU), lab.trainer)
        captured, state = points(lab := Lab(config, GPU), CapturedSteps(lab.trainer))
    assert captured == plain
    torch.testing.assert_close(state, plain_state, rtol=0, atol=0)


@pytest.mark.parametrize("path", ["captured", "compiled"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["byol", "group norm and standardized weights"])
def test_a_faster_path_stays_near_the_plain_one(tiny, path, precision, name):
    config = tiny(precision=precision, **OBJECTIVES[name])
    with deterministic(GPU):
        plain, _ = points(lab := Lab(config, GPU), lab.trainer)
        faster, _ = points(lab := Lab(config, GPU), make_steps(lab.trainer, path))
    tolerance = 5e-3 if precision == "fp32" else 5e-2
    for expected, point in zip(plain, faster, strict=True):
        assert point["loss"] == pytest.approx(expected["loss"], rel=tolerance, abs=tolerance)


def test_statistics_that_freeze_in_mid_run_are_captured_anew(tiny):
    config = tiny(batch_norm__frozen_from=0.5, epochs=3)
    with deterministic(GPU):
        plain, _ = points(lab := Lab(config, GPU), lab.trainer)
        captured, _ = points(lab := Lab(config, GPU), CapturedSteps(lab.trainer))
    assert captured == plain


@pytest.mark.parametrize("path", ["captured", "compiled"])
def test_a_run_that_was_stopped_ends_bit_for_bit_the_same(tmp_path, tiny, silent, path):
    config = tiny(precision="bf16", compute=path)
    whole = silent()
    train(config, tmp_path / "whole", OPTIONS, whole)
    stopped, resumed = silent(5), silent()
    for observer in (stopped, resumed):
        train(config, tmp_path / "parts", OPTIONS, observer)
    assert stopped.points + resumed.points == whole.points
    expected, _ = load_state(tmp_path / "whole" / "encoder")
    state, _ = load_state(tmp_path / "parts" / "encoder")
    torch.testing.assert_close(state, expected, rtol=0, atol=0)
