"""The trainer on a GPU: it waits for it nowhere, agrees with the processor, and repeats itself."""

import pytest
import torch
from training import Lab

from byol_core.precision import deterministic
from byol_core.train import Options, train
from byol_core.train.checkpoint import load_state

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

GPU = torch.device("cuda")
OPTIONS = Options(device="cuda", threads=1, log_every=1)
OBJECTIVES = {
    "byol": {},
    "lars": {
        "optimizer__name": "lars",
        "optimizer__momentum": 0.9,
        "optimizer__weight_decay": 1e-3,
        "target__schedule": "cosine",
    },
    "adamw": {"optimizer__name": "adamw", "optimizer__lr": 1e-3, "optimizer__momentum": 0.9},
    "moco": {"method": "moco"},
    "simclr": {"method": "simclr"},
    "negatives": {"loss__beta": 1.0},
    "labels": {"loss__label_weight": 1.0, "predictor__kind": "none"},
    "group norm and standardized weights": {
        f"{part}__{key}": value
        for part in ("encoder", "projector", "predictor")
        for key, value in (("norm", "gn"), ("weight_standardization", "biased"))
    },
    "modified init": {f"{part}__norm": "affine" for part in ("encoder", "projector", "predictor")},
    "ghost and shuffled": {"batch_norm__group": 32, "batch_norm__shuffle": True},
    "parts": {"accumulate": 2},
}


def losses(lab, steps=3):
    return torch.stack([lab.step(step, measures=False).loss.cpu() for step in range(steps)])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_step_waits_for_the_gpu_nowhere(tiny, name):
    with deterministic(GPU):
        lab = Lab(tiny(**OBJECTIVES[name]), GPU)
        lab.step(0, measures=True)  # what is allocated once
        batch = lab.batch(1)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            lab.trainer.step(batch, lab.at(1), measures=True)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_gpu_and_a_processor_agree(tiny, name):
    config = tiny(**OBJECTIVES[name])
    with deterministic(GPU):
        on_gpu = losses(Lab(config, GPU))
    torch.testing.assert_close(on_gpu, losses(Lab(config)), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_less_precise_runs_stay_near(tiny, precision):
    with deterministic(GPU):
        rounded = losses(Lab(tiny(precision=precision), GPU))
        exact = losses(Lab(tiny(), GPU))
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_on_a_gpu_stopped_on_the_way_ends_bit_for_bit_the_same(
    tmp_path, tiny, silent, precision
):
    config = tiny(precision=precision)
    whole = silent()
    train(config, tmp_path / "whole", OPTIONS, whole)
    stopped, resumed = silent(3), silent()
    for observer in (stopped, resumed):
        train(config, tmp_path / "parts", OPTIONS, observer)
    assert stopped.points + resumed.points == whole.points
    expected, _ = load_state(tmp_path / "whole" / "encoder")
    state, _ = load_state(tmp_path / "parts" / "encoder")
    for network in expected:
        for name, value in expected[network].items():
            assert torch.equal(state[network][name], value), name
