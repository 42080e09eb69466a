"""A small root without training, in which runs have come to every kind of end.

Its numbers are made up, and the same every time: what the manual's queries answer is compared with
them.
"""

import shutil
from pathlib import Path

from byol_core.config import PROTOCOLS
from byol_core.files import RecordLog, write_json
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

SPEC = """\
version: 1
name: norms
base: {preset: digits-tiny, epochs: 2, dataset.limit: 256, batch_size: 64}
seeds: [0, 1, 2]
baseline: byol
variants:
  byol:    {projector.norm: bn, predictor.norm: bn}
  no_norm: {projector.norm: none, predictor.norm: none}
  fast:    {optimizer.lr: 0.8}
tables: [mlp_norm]
"""
GPU = {"device": "cuda", "kind": "NVIDIA A100", "capability": "8.0"}
CPU = {"device": "cpu", "kind": None, "capability": "AVX2"}
STEPS = 4
BEGIN_S = 1.7e9


def make(folder: Path) -> str:
    """Make `sweep-runs` and `results.db` in a folder; return the path of the latter."""
    (folder / "norms.yaml").write_text(SPEC)
    root = Root(folder / "sweep-runs")
    root.create()
    launch(root, folder / "norms.yaml", seeds=[0, 1])
    launch(root, folder / "norms.yaml", only=["byol"])

    # What became of the runs; byol at seed 2 was deleted, and that of the others never launched.
    runs = planned(root)
    for variant, seed, accuracy in (("byol", 0, 0.91), ("byol", 1, 0.89), ("fast", 0, 0.93)):
        finish(runs[variant, seed], accuracy, compute=GPU)
    finish(runs["no_norm", 0], 0.32, std_sqrt_d=0.04)
    lose(runs["no_norm", 1], step=2)
    finish(runs["no_norm", 1], 0.58, number=2, first_step=2, exact=False)
    fail(runs["fast", 1], "RuntimeError: CUDA error: device-side assert triggered")
    shutil.rmtree(runs["byol", 2].path)

    database = str(folder / "results.db")
    engine = open_database(database)
    assert collect(root, engine, Queue()) == []
    engine.dispose()
    return database


def launch(root, file, **selection):
    """Plan and write, start nothing."""
    write_plan(make_plan(load_sweep(file), root, Selection(**selection), Queue()), root)


def planned(root):
    """Return (variant, seed) → run folder."""
    cells = root.sweep("norms").read_plan()["runs"]
    return {(cell["variant"], cell["seed"]): root.run(cell["run_id"]) for cell in cells}


def begin(run, number, first_step=0, exact=True, compute=CPU):
    """Begin an attempt, an hour after the one before; return its log."""
    attempt = run.attempt(number)
    attempt.path.mkdir(parents=True)
    begun_s = BEGIN_S + 3600 * number
    on_gpu = compute is GPU
    claim = {
        "process": {"host": f"node{number}", "boot_id": "b", "pid": 1, "started": 1},
        "job": {"executor": "slurm", "job_id": f"7_{number}", "device": compute["device"]},
        "claimed_at": begun_s,
    }
    claim["job"]["asked"] = {"gpus": float(on_gpu), "mem_gb": 1.0, "timeout_min": 60.0}
    write_json(attempt.claim, claim)
    log = RecordLog(attempt.events)
    origin = {
        "commit": f"{number}0ffee1234",
        "dirty": False,
        "trainer": "t",
        "versions": {"torch": "2.6.0"},
        "compute": compute,
    }
    start = {"type": "start", "step": first_step, "total_steps": STEPS, "exact": exact}
    log.append({"t": begun_s, **start, "origin": origin})
    return log, begun_s


def train(log, begun_s, steps, accuracy, images_per_s):
    for step in steps:
        metrics = {"loss": round((1 - accuracy) * 2.0**-step, 6), "std_sqrt_d": 0.9}
        record = {"type": "metrics", "step": step, "epoch": 0, "metrics": metrics}
        log.append({"t": begun_s + 60 * step, **record, "images_per_s": images_per_s})


def finish(run, accuracy, number=1, first_step=0, exact=True, std_sqrt_d=0.8, compute=CPU):
    """Write what a worker would have written."""
    log, begun_s = begin(run, number, first_step, exact, compute)
    images_per_s = 9000.0 if compute is GPU else 700.0
    with log:
        train(log, begun_s, range(first_step, STEPS), accuracy, images_per_s)
        log.append({"t": begun_s + 900, "type": "end", "state": "COMPLETED", "reason": "ok"})
    done = {"outcome": "ok", "step": STEPS, "final": {"std_sqrt_d": std_sqrt_d}, "wall_s": 900.0}
    write_json(run.attempt(number).done, {**done, "disk_bytes": 5, "ended_at": begun_s + 900})
    (run.path / "evaluations").mkdir()
    for protocol, version in PROTOCOLS.items():
        judged = {"protocol": protocol, "version": version, "online": {"accuracy": accuracy}}
        write_json(run.path / "evaluations" / f"{protocol}-v{version}.json", judged)


def lose(run, step):
    """Write an attempt that died without a last word."""
    log, begun_s = begin(run, 1)
    with log:
        train(log, begun_s, range(step + 1), 0.1, 700.0)
    write_json(run.attempt(1).lost, {"exit_status": -9, "seen_at": begun_s + 600})


def fail(run, reason):
    log, begun_s = begin(run, 1)
    with log:
        log.append({"t": begun_s + 90, "type": "end", "state": "FAILED", "reason": reason})
