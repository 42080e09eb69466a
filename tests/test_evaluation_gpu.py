"""Evaluation on a GPU: the accuracies that the processor gets, whatever the features are."""

import pytest
import torch
from test_evaluation import Flat, config_of
from test_regression import HARD, images

from byol_core.config import PROTOCOLS, DatasetConfig
from byol_core.evaluation.protocols import evaluate
from byol_core.evaluation.regression import fit
from byol_core.images.load import load
from byol_core.precision import deterministic

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]

GPU = torch.device("cuda")
CPU = torch.device("cpu")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_gives_the_number_of_the_processor(protocol):
    dataset = load(DatasetConfig())
    on_cpu = evaluate(protocol, {"online": Flat(), "target": Flat()}, dataset, config_of())
    with deterministic(GPU):
        encoders = {"online": Flat().to(GPU), "target": Flat().to(GPU)}
        on_gpu = evaluate(protocol, encoders, dataset, config_of())
    assert on_gpu.keys() == on_cpu.keys() and on_gpu.get("converged") == on_cpu.get("converged")
    for network in encoders:
        assert abs(on_gpu[network]["accuracy"] - on_cpu[network]["accuracy"]) <= 1e-3


@pytest.mark.parametrize("kind", HARD)
def test_weights_are_those_of_the_processor(kind):
    x, y = HARD[kind]
    classes = int(y.max()) + 1
    on_cpu = fit(x, y, classes, 1.0, CPU)
    on_gpu = fit(x.to(GPU), y, classes, 1.0, GPU)
    assert on_gpu.converged
    torch.testing.assert_close(on_gpu.weights.cpu(), on_cpu.weights, atol=1e-4, rtol=0)


def test_features_that_lie_on_the_processor_are_fitted_on_the_gpu():
    x, y = images()
    ours = fit(x, y, 5, 1.0, GPU)
    assert ours.converged and ours.predict(x).device.type == "cuda"
