"""On PYTHONPATH, puts a trainer in the place of `byol_core.train` that takes its time and computes
nothing.

For tests of what becomes of jobs, where training adds nothing but the seconds that torch takes to
load. Everything around it is the real thing. A run takes as many steps as its config has epochs,
STUB_STEP_S seconds each (default 0.2).
"""

import json
import os
import sys
import time
import types
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Options:
    device: str = "auto"
    threads: int = 0
    log_every: int = 10
    checkpoint_every_s: float = 60.0
    protocols: tuple = ()
    max_steps: int = 0
    keep_networks: bool = False


@dataclass(frozen=True)
class Result:
    outcome: str
    step: int
    initial: dict = field(default_factory=dict)
    final: dict = field(default_factory=dict)
    reason: str | None = None


def train(config, folder, options, observer, writer="0001"):
    if "STUB_ERROR" in os.environ:
        raise ImportError(os.environ["STUB_ERROR"])
    checkpoint = folder / "checkpoints" / "step.json"
    first = json.loads(checkpoint.read_text()) if checkpoint.exists() else 0
    observer.started(first, config.epochs, exact=True)
    for step in range(first, config.epochs):
        if (reason := observer.stop_reason()) is not None:
            return Result("stopped", _keep(checkpoint, step, observer), reason=reason)
        time.sleep(float(os.environ.get("STUB_STEP_S", "0.2")))
        observer.measured(step, step, {"loss": 1.0}, 1.0)
    _keep(checkpoint, config.epochs, observer)
    return Result("ok", config.epochs)


def _keep(checkpoint, step, observer):
    checkpoint.parent.mkdir(exist_ok=True)
    observer.before_write()
    checkpoint.write_text(str(step))
    observer.checkpointed(step)
    return step


stub = types.ModuleType("byol_core.train")
stub.Options, stub.Result, stub.train = Options, Result, train
sys.modules["byol_core.train"] = stub

# What an attempt records of the machine that it runs on.
checkpoint = types.ModuleType("byol_core.train.checkpoint")
checkpoint.numerics = lambda device, path: {"device": device, "path": path, "kind": "stub"}
sys.modules["byol_core.train.checkpoint"] = checkpoint
compute_path = types.ModuleType("byol_core.train.compute_path")
compute_path.choose_path = lambda config, device: "plain"
sys.modules["byol_core.train.compute_path"] = compute_path
device = types.ModuleType("byol_core.device")
device.pick_device = lambda name: "cpu"
sys.modules["byol_core.device"] = device
