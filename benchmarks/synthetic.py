"""Roots as workers leave them, without training: the worker runs as it is, and only `train` makes
up its numbers.

Syncing is switched off while a root is made: the bytes are the same, and a benchmark reads them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import exp
from pathlib import Path
from typing import Any
from unittest import mock

from byol_core.config import PROTOCOLS, TrainConfig
from byol_core.files import make_folder, write_json
from byol_core.train import Observer, Options, Result
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

NAMES = (
    "loss",
    "std_sqrt_d",
    "positive_cosine",
    "negative_cosine",
    "effective_rank",
    "retrieval",
    "lr",
    "tau",
)
"""The eight metrics of a logged step; the worker adds images_per_s."""
POINTS_A_STEP = len(NAMES) + 1
SEEDS, VARIANTS = 10, 2
SPEC = """\
version: 1
name: big
base: {{preset: digits-tiny}}
seeds: {seeds}
baseline: byol
variants:
  byol:    {{projector.norm: bn, predictor.norm: bn}}
  no_norm: {{projector.norm: none, predictor.norm: none}}
grid: {{optimizer.lr: {rates}}}
tables: [mlp_norm]
"""


def make_root(folder: Path, runs: int, points: int) -> Root:
    """Make a root of completed runs.

    Args:
        folder: where `sweep-runs` comes to lie.
        runs: a multiple of 20.
        points: of each run, about.
    """
    rates = [round(0.1 + i / 1000, 4) for i in range(runs // (SEEDS * VARIANTS))]
    (folder / "big.yaml").write_text(SPEC.format(seeds=list(range(SEEDS)), rates=rates))
    root = Root(folder / "sweep-runs")
    with _no_sync(), mock.patch("byol_core.train.train", _pretend(points // POINTS_A_STEP)):
        root.create()
        write_plan(make_plan(load_sweep(folder / "big.yaml"), root, Selection(), Queue()), root)
        for run in root.runs():
            run_attempt(
                root.path,
                run.run_id,
                AttemptContext("local", device="cpu", threads=1, capture=False),
                lambda: None,
            )
    return root


def metrics_at(step: int) -> dict[str, float]:
    """Return numbers with as many digits as real ones have."""
    return {name: (i + 1) * exp(-step / 977) / 3 for i, name in enumerate(NAMES)}


def _pretend(steps: int) -> Any:
    def train(
        config: TrainConfig,
        folder: Path,
        options: Options,
        observer: Observer,
        writer: str = "0001",
    ) -> Result:
        observer.started(0, steps, True)
        for step in range(steps):
            observer.measured(step, 0, metrics_at(step), 1234.5)
        observer.checkpointed(steps)
        for protocol in options.protocols:
            accuracy = {"accuracy": 0.5 + config.seed / 100}
            make_folder(folder / "evaluations")
            version = PROTOCOLS[protocol]
            result = {"protocol": protocol, "version": version}
            result |= {"online": accuracy, "target": accuracy}
            write_json(folder / "evaluations" / f"{protocol}-v{version}.json", result)
        return Result("ok", steps, metrics_at(0), metrics_at(steps))

    return train


@contextmanager
def _no_sync() -> Iterator[None]:
    with mock.patch.object(os, "fsync", lambda descriptor: None):
        yield
