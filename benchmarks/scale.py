"""Plan and status of 10,000 runs, from the shell: ``python benchmarks/scale.py``. Prints machine,
versions and seconds.

Makes a root of its own in a temporary folder; nothing is trained.
"""

import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.provenance.origin import versions
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

REPEATS = 3
SPEC = """\
version: 1
name: big
base: {{preset: digits-tiny}}
seeds: {seeds}
baseline: {{optimizer.lr: 0.1}}
grid:
  optimizer.lr: {rates}
  target.tau_base: {taus}
"""


def main() -> None:
    """Time both commands."""
    print(f"{platform.processor() or platform.machine()}, {platform.platform()}, {versions()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rates, taus = [0.1 + i / 100 for i in range(50)], [0.5 + i / 100 for i in range(20)]
        (folder / "big.yaml").write_text(SPEC.format(seeds=list(range(10)), rates=rates, taus=taus))
        report(
            "launch --dry-run, 10,000 runs",
            folder,
            "launch",
            "big.yaml",
            "--dry-run",
            "--executor",
            "local",
        )
        root = Root(folder / "sweep-runs")
        root.create()
        started = time.perf_counter()
        write_plan(make_plan(load_sweep(folder / "big.yaml"), root, Selection(), Queue()), root)
        print(
            f"{time.perf_counter() - started:8.2f} s  write plan.json and 10,000 run.json, each synced"
        )
        report("status, 10,000 runs (the first makes the database)", folder, "status")


def report(what: str, folder: Path, *arguments: str) -> None:
    """Run a command a few times; print the seconds of each."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", *arguments],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        seconds.append(time.perf_counter() - started)
    print("  ".join(f"{one:6.2f} s" for one in seconds), what)


if __name__ == "__main__":
    main()
