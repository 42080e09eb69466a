"""How a device computes a run's steps: what can be captured, and what a captured step must do."""

from contextlib import contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from training import CPU, Lab

from byol_core.augment import choice
from byol_core.augment.draws import draw_view
from byol_core.config import canonical, essential, resolve
from byol_core.device import DeviceError
from byol_core.images.source import Request, Whole
from byol_core.metrics.accumulate import read_point
from byol_core.train import graph
from byol_core.train.compiled import FusedBatch
from byol_core.train.compute_path import choose_path, make_steps
from orchestrator.executors import worker

GPU = torch.device("cuda")


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"predictor.kind": "directpred"}, "waits for eigenvectors"),
        ({"predictor.kind": "optimal", "predictor.fit_every": 3}, "fit_every 3 makes steps"),
        ({"encoder.norm": "mine.norms:Own"}, "mine.norms:Own does on the host"),
        ({"projector.norm": "mine.norms:Own"}, "mine.norms:Own does on the host"),
        ({"predictor.kind": "mine:Own"}, "mine:Own does on the host"),
        ({"method": "mine:Own"}, "mine:Own does on the host"),
        ({"augment.extra": "mine:Own"}, "mine:Own does on the host"),
    ],
)
def test_what_cannot_be_captured_is_plain_or_refused_with_the_reason(settings, words):
    assert choose_path(resolve("digits-tiny", settings), GPU) == "plain"
    for wish in ("captured", "compiled"):
        config = resolve("digits-tiny", {**settings, "compute": wish})
        with pytest.raises(DeviceError, match=f"compute '{wish}': .*{words}.*; use plain or auto"):
            choose_path(config, GPU)


@pytest.mark.parametrize(
    "wish, device, path",
    [
        ("auto", GPU, "captured"),
        ("captured", GPU, "captured"),
        ("compiled", GPU, "compiled"),
        ("plain", GPU, "plain"),
        ("auto", CPU, "plain"),
        ("plain", CPU, "plain"),
    ],
)
def test_a_path_is_the_wish_where_the_device_has_it(wish, device, path, monkeypatch):
    monkeypatch.setattr("byol_core.train.compute_path.is_available", lambda: True)
    assert choose_path(resolve("digits-tiny", {"compute": wish}), device) == path


def test_a_processor_captures_nothing():
    with pytest.raises(DeviceError, match="this run is on a processor; use plain or auto"):
        choose_path(resolve("digits-tiny", {"compute": "captured"}), CPU)


def test_an_encoder_that_is_never_trained_takes_no_steps_to_capture():
    config = resolve("digits-tiny", {"method": "random", "compute": "compiled"})
    assert choose_path(config, CPU) == "plain"


def test_the_path_is_no_part_of_what_a_run_is():
    plain, compiled = (resolve("digits-tiny", {"compute": way}) for way in ("plain", "compiled"))
    assert canonical(plain) == canonical(compiled)


def test_an_attempt_records_the_path_that_training_takes(tmp_path, monkeypatch):
    # A norm of a predictor that has none changes nothing, not even the path.
    config = resolve("digits-tiny", {"predictor.kind": "linear", "predictor.norm": "mine:Own"})
    run = SimpleNamespace(path=tmp_path / "runs/0", config=lambda: config)
    monkeypatch.setattr(worker, "gather_origin", lambda root: {})
    monkeypatch.setattr("byol_core.device.pick_device", lambda name: GPU)
    monkeypatch.setattr("byol_core.train.checkpoint.numerics", lambda device, path: path)
    attempt = worker._Attempt(run, None, worker.AttemptContext("local"), None, lambda: None)
    taken = choose_path(essential(config), GPU)
    assert attempt._origin() == {"compute": taken} and taken == "captured"


def test_the_plain_path_is_the_trainer_itself(tiny):
    trainer = Lab(tiny()).trainer
    assert make_steps(trainer, "plain") is trainer


class Recorded:
    """Stands for a CUDA graph: a replay does again what was recorded, and writes over its result."""

    def __init__(self):
        self.replays = 0

    def replay(self):
        self.replays += 1
        self.again()


@pytest.fixture
def recording(monkeypatch):
    """Have steps be captured without a GPU: what is recorded is taken back, and taken in replays."""
    graphs = []

    @contextmanager
    def record(recorded, **_):
        graphs.append(recorded)
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorded)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Waiting())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Waiting())
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    return graphs


class Waiting:
    def wait_stream(self, other):
        pass


class Repeating(graph.CapturedSteps):
    """Records a step as the function that takes it, which writes over the step's one result."""

    def _capture(self, batch, step, measures):
        compute = self.trainer.compute
        place = SimpleNamespace()
        self.trainer.compute = lambda *arguments: place
        captured = super()._capture(batch, step, measures)
        self.trainer.compute = compute

        def again():
            vars(place).update(vars(compute(batch, step, measures)))

        captured.graph.again = again
        return captured


def test_replays_read_each_steps_images_draws_rates_and_tau(tiny, recording):
    config = tiny(epochs=4, target__schedule="cosine", optimizer__schedule="cosine")
    measured = (0, 4, 8, 12)
    plain_lab, captured_lab = Lab(config), Lab(config)
    steps = Repeating(captured_lab.trainer)
    for number in range(14):
        plain = plain_lab.step(number, number in measured)
        batch, at = captured_lab.batch(number), captured_lab.at(number)
        captured = steps.step(batch, at, number in measured)
        assert read_point(captured.loss, captured.measured) == read_point(
            plain.loss, plain.measured
        )

    # Two kinds of steps; of each the first two were taken as they are.
    assert [captured.replays for captured in recording] == [8, 2]


def test_statistics_that_freeze_are_steps_of_another_kind(tiny, recording):
    lab = Lab(tiny(epochs=4, batch_norm__frozen_from=0.5))
    steps = Repeating(lab.trainer)
    for number in range(14):
        steps.step(lab.batch(number), lab.at(number), False)
    assert [captured.replays for captured in recording] == [6, 4]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["digits-tiny", "imagenet-r50-300ep"])
def test_views_are_one_graph_to_the_compiler_and_stay_what_they_are(preset, monkeypatch):
    """Traced as on a GPU, where no value is read, and run as it reads: no compiler is needed."""
    monkeypatch.setattr(choice, "may_read", lambda images: False)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    augment = resolve(preset, {}).augment
    shape = (1, 16, 16) if preset == "digits-tiny" else (3, 24, 24)
    pixels = torch.randint(0, 256, (8, *shape), dtype=torch.uint8)
    draws = tuple(draw_view(augment, 0, ("test",), view, 8, shape) for view in (1, 2))
    batch = Whole(pixels, torch.zeros(8), Request(torch.arange(8), augment, draws))
    torch.testing.assert_close(FusedBatch(batch).views(CPU), batch.views(CPU), rtol=0, atol=0)
