"""20,000 runs sent to a scripted SLURM (tests/fake_slurm), asked for and cancelled: ``python
benchmarks/submit.py [--runs N] [--hydra PYTHON]``.

Prints machine, versions, seconds, calls of sbatch, files and peak memory of each command, the time
of a poll, and the inodes of a run that waits and of one that has ended. No real SLURM is asked, and
one run trains. With --hydra, an interpreter that has hydra-core and hydra-submitit-launcher, a
thousand jobs go through Hydra's launcher.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).parent.parent
sys.path.insert(0, str(REPO / "tests"))

from fake_slurm import FakeSlurm  # noqa: E402

from orchestrator.provenance.origin import versions  # noqa: E402
from orchestrator.slurm.queue import look_at_queue  # noqa: E402
from orchestrator.store.root import Root  # noqa: E402

RUNS = 20_000  # the most that a spec may have
HYDRA_JOBS = 1_000
POLLS = 5
SQUEUE = ("--array", "--states=all", "--noheader", "--format=%i|%j|%T|%V|%N|%r")
SPEC = """\
version: 1
name: big
base: {{preset: digits-tiny, epochs: 1}}
seeds: {seeds}
baseline: {{optimizer.lr: 0.1}}
grid:
  optimizer.lr: {rates}
resources: {{gpus: 1, cpus: 4, mem_gb: 16, timeout_min: 60}}
"""
HYDRA_APP = """\
import hydra
@hydra.main(version_base=None, config_path=None, config_name=None)
def main(config):
    pass
main()
"""


def main() -> None:
    """Time each command on a large sweep, and Hydra's launcher where it is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="a multiple of 100")
    parser.add_argument(
        "--hydra", metavar="PYTHON", help="interpreter with hydra-submitit-launcher"
    )
    options = parser.parse_args()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, {platform.platform()}, {versions()}")
    with tempfile.TemporaryDirectory() as name:
        time_sweep(Path(name), options.runs)
    if options.hydra is not None:
        with tempfile.TemporaryDirectory() as name:
            time_hydra(Path(name), options.hydra)


def time_sweep(place: Path, runs: int) -> None:
    """Launch, look at and cancel a sweep of so many runs in an empty folder."""
    fake = FakeSlurm(place / "slurm", MaxJobCount=2 * runs)
    rates = [0.1 + i / 100 for i in range(100)]
    (place / "big.yaml").write_text(SPEC.format(seeds=list(range(runs // 100)), rates=rates))

    def sweep(what: str, *words: str) -> None:
        report(what, fake, [sys.executable, "-m", "orchestrator.cli", *words])

    launch = ("launch", "big.yaml", "--executor", "slurm")
    sweep(f"launch --dry-run, {runs:,} runs", *launch, "--dry-run")
    sweep("launch", *launch)
    sweep("launch again: nothing to submit", *launch)
    sweep("status: makes the database", "status")
    sweep("status", "status")
    poll(fake)

    # One job runs, so that both kinds of folders can be counted.
    root = place / "sweep-runs"
    before = inodes(root / "runs")
    elsewhere = inodes(root) - before
    fake.execute(next(iter(fake.jobs("PENDING"))))
    print(f"{before / runs:7.2f} inodes of a run that waits, {elsewhere} of the sweep besides")
    print(f"{before / runs + inodes(root / 'runs') - before:7.2f} inodes of a run that has ended")

    sweep("cancel", "cancel", "big")
    sweep("status of what was cancelled", "status")


def time_hydra(place: Path, python: str) -> None:
    """Send jobs through Hydra's launcher."""
    fake = FakeSlurm(place / "slurm")
    (place / "app.py").write_text(HYDRA_APP)
    multirun = ["app.py", "--multirun", "hydra/launcher=submitit_slurm"]
    seeds = f"+seed=range({HYDRA_JOBS})"
    what = "Hydra's submitit launcher, 1,000 jobs: it sends one array, so more are refused"
    report(what, fake, [python, *multirun, seeds], HYDRA_JOBS)


def inodes(folder: Path) -> int:
    """Return how many files and folders lie in a folder."""
    return sum(1 for _ in folder.rglob("*"))


def poll(fake: FakeSlurm) -> None:
    """Print how long it takes to ask the fake about every job, in this process, and how much of it
    the fake's squeue takes.
    """
    os.environ.update(fake.environment())
    root, seconds = Root(fake.folder.parent / "sweep-runs"), []
    for _ in range(POLLS):
        started = time.perf_counter()
        waiting = look_at_queue(root).live
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    subprocess.run(["squeue", *SQUEUE], stdout=subprocess.DEVNULL, check=True)
    alone_s = time.perf_counter() - started
    print(
        f"{statistics.median(seconds):7.2f} s  a poll of {len(waiting):,} waiting runs, median of {POLLS}",
        end="; ",
    )
    print(f"{alone_s:.2f} s of it the scripted squeue")


def report(what: str, fake: FakeSlurm, command: list[str], until: int = 0) -> None:
    """Run a command on a fake cluster; print what it cost. One that waits for its jobs is ended
    once `until` jobs are in.
    """
    place = fake.folder.parent
    before = len(fake.calls("sbatch"))
    started = time.perf_counter()
    environment = {
        **os.environ,
        **fake.environment(),
        "PYTHONPATH": str(REPO),
        "XDG_CONFIG_HOME": str(place),
    }
    quiet = subprocess.DEVNULL if until else None
    process = subprocess.Popen(
        command, cwd=place, env=environment, stdout=subprocess.DEVNULL, stderr=quiet
    )
    while (
        until and process.poll() is None and sum(1 for _ in place.rglob("*_submitted.pkl")) < until
    ):
        time.sleep(0.5)
    seconds = time.perf_counter() - started
    if until:
        process.terminate()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = seconds if until else time.perf_counter() - started
    sbatch, peak_mb = len(fake.calls("sbatch")) - before, usage.ru_maxrss / 1024
    folders, files = (sum(len(walked[i]) for walked in os.walk(place)) for i in (1, 2))
    cpu_s = usage.ru_utime + usage.ru_stime
    cost = f"{seconds:7.2f} s  {cpu_s:6.2f} s CPU  {sbatch:3} sbatch  {peak_mb:5.0f} MB peak"
    print(f"{cost}  {files:6} files  {folders:6} folders  {what}")
    if status and not until:
        print(f"         it ended with status {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
