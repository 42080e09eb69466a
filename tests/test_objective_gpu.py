"""Predictors, objectives and metrics on a GPU: nothing waits for it, and a captured step repeats
what an ordinary one does.
"""

from types import SimpleNamespace

import pytest
import torch

from byol_core.config import resolve
from byol_core.metrics.accumulate import Accumulator, read_point
from byol_core.metrics.measure import measure
from byol_core.networks.predictors import make_predictor
from byol_core.train.objective import make_objective

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")

SETTINGS = {
    "byol": {},
    "optimal": {"predictor.kind": "optimal"},
    "optimal, ridge": {"predictor.kind": "optimal", "predictor.ridge": 0.1},
    "symmetric": {"predictor.kind": "linear", "predictor.symmetric": True},
    "negatives": {"loss.beta": 0.5},
    "batch": {"loss.normalize": "batch"},
    "moco": {"method": "moco"},
    "simclr": {"method": "simclr"},
}


class Step:
    """What becomes of projections and targets in a step, on one device.

    Attributes:
        z: (2, B, D) the projections, to be filled in.
        target: likewise.
    """

    def __init__(self, overrides, device):
        config = resolve("digits-tiny", {**overrides, "loss.queue_size": 512})
        torch.manual_seed(0)
        self.predictor = make_predictor(config).to(device)
        self.objective = make_objective(config, device)
        self.z = torch.zeros(2, 128, 64, device=device, requires_grad=True)
        self.target = torch.zeros(2, 128, 64, device=device)

    def fill(self, seed):
        rng = torch.Generator().manual_seed(seed)
        drawn = torch.randn(2, 2, 128, 64, generator=rng).to(self.z.device)
        with torch.no_grad():
            self.z.copy_(drawn[0])
            self.target.copy_(drawn[0].flip(0) + 0.5 * drawn[1])

    def take(self):
        """Return the loss and what is measured."""
        self.predictor.fit(self.z.detach(), self.target, 0)
        prediction = self.predictor(self.z)
        loss = self.objective(prediction, self.target)
        loss.backward()
        outputs = SimpleNamespace(
            features=self.z, projection=self.z, prediction=prediction, target=self.target
        )
        measured = measure(outputs, self.predictor, self.objective, extras=True)
        self.objective.remember(self.target)
        return loss.detach(), measured


@pytest.mark.parametrize("name", SETTINGS)
def test_nothing_waits_for_a_gpu(name):
    gpu = torch.device("cuda")
    step = Step(SETTINGS[name], gpu)
    total = Accumulator(gpu)
    step.fill(0)
    total.add(0, *step.take())
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        total.add(1, *step.take())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert total.first_not_finite() is None


@pytest.mark.parametrize("name", [*SETTINGS, "directpred"])
def test_a_gpu_agrees_with_the_processor(name):
    overrides = SETTINGS.get(name, {"predictor.kind": name})
    points = []
    for device in (torch.device("cpu"), torch.device("cuda")):
        step = Step(overrides, device)
        for seed in range(2):
            step.fill(seed)
            loss, measured = step.take()
        points.append(read_point(loss, measured))
    assert points[0].keys() == points[1].keys()
    for key, value in points[0].items():
        assert points[1][key] == pytest.approx(value, rel=1e-3, abs=1e-3), key


@pytest.mark.parametrize("name", SETTINGS)
def test_a_captured_step_measures_what_an_ordinary_one_does(name):
    gpu = torch.device("cuda")
    ordinary, captured = Step(SETTINGS[name], gpu), Step(SETTINGS[name], gpu)

    # A step as usual, on the stream that is captured, loads what each operation needs.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        captured.fill(0)
        captured.take()
    torch.cuda.current_stream().wait_stream(stream)
    ordinary.fill(0)
    ordinary.take()

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss, measured = captured.take()
    for seed in (1, 2):
        captured.fill(seed)
        graph.replay()
        ordinary.fill(seed)
        expected = read_point(*ordinary.take())
        point = read_point(loss, measured)
        for key, value in expected.items():
            assert point[key] == pytest.approx(value, rel=1e-4, abs=1e-4), key
