"""Makes a root of finished runs without training: what a worker would have written, with results that
a test chooses.
"""

import os
import shutil

from byol_core.files import RecordLog, write_json
from byol_core.protocols import PROTOCOLS
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

ORIGIN = {
    "commit": "c0ffee" + "0" * 34,
    "dirty": False,
    "code": "5" * 64,
    "trainer": "7" * 64,
    "versions": {"torch": "2"},
    "machine": {"name": "secret-host"},
    "environment": {"HOME": "/home/secret"},
}
LONG_AGO = 1_000_000_000


def plan_runs(path, spec):
    """A root in which a spec is planned."""
    root = Root(path)
    root.create()
    write_plan(make_plan(load_sweep(spec), root, Selection(), Queue()), root)
    return root


def finish(run, value, attempt=1, state="COMPLETED", **final):
    """Write what an attempt at a run writes, and its evaluation; a value of None has no result."""
    folder = run.attempt(attempt)
    folder.path.mkdir(parents=True)
    process = {"host": "h", "boot_id": "b", "pid": 1, "started": 1}
    job = {"executor": "local", "job_id": None, "device": "cpu"}
    write_json(folder.claim, {"process": process, "job": job, "claimed_at": 1.0})
    start = {"t": 1.0, "type": "start", "step": 0, "total_steps": 4, "exact": True}
    with RecordLog(folder.events) as log:
        log.append({**start, "origin": ORIGIN})
        log.append({"t": 3.0, "type": "end", "state": state, "reason": "ok"})
    if value is not None:
        signs = {"std_sqrt_d": 0.9 + value / 100, **final}
        done = {"outcome": "ok", "step": 4, "final": signs, "wall_s": 1.0, "disk_bytes": 5}
        write_json(folder.done, done)
        judge(run, value)
    touch(run)


def judge(run, value, protocol="probe"):
    """Write the evaluation of a run."""
    version = PROTOCOLS[protocol]
    file = run.path / "evaluations" / f"{protocol}-v{version}.json"
    file.parent.mkdir(exist_ok=True)
    accuracies = {"online": {"accuracy": value}, "test": {"images": 1000}}
    write_json(file, {"protocol": protocol, "version": version, **accuracies})
    return file


def touch(run):
    """Date all files of a run long ago: what changed just now is always looked at again."""
    for path in run.path.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def by_name(root):
    """(variant, seed) → run folder, of all sweeps."""
    named = {}
    for sweep in root.sweeps():
        for planned in sweep.read_plan()["runs"]:
            named[planned["variant"], planned["seed"]] = root.run(planned["run_id"])
    return named


def copy_root(root, path):
    """A copy of a root, for a test that changes it."""
    shutil.copytree(root.path, path)
    return Root(path)
