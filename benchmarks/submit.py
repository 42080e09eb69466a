"""10,000 runs sent to a scripted SLURM (tests/fake_slurm) and asked for: ``python
benchmarks/submit.py [--hydra PYTHON]``.

Prints machine, versions, seconds, calls of sbatch, files and peak memory, and the time of a poll;
nothing is trained and no real SLURM is asked. With --hydra, an interpreter that has hydra-core and
hydra-submitit-launcher, a thousand jobs go through Hydra's launcher.
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

RUNS = 10_000
HYDRA_JOBS = 1_000
POLLS = 5
SQUEUE = ("--array", "--states=all", "--noheader", "--format=%i|%j|%T|%V|%N|%r")
SPEC = """\
version: 1
name: big
base: {{preset: digits-tiny}}
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
    """Time `sweep launch`, and Hydra's launcher where it is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--hydra", metavar="PYTHON", help="interpreter with hydra-submitit-launcher"
    )
    hydra = parser.parse_args().hydra
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.platform()}, {versions()}"
    )
    with tempfile.TemporaryDirectory() as name:
        fake = FakeSlurm(Path(name) / "slurm", MaxJobCount=20_000)
        rates = [0.1 + i / 100 for i in range(100)]
        (Path(name) / "big.yaml").write_text(
            SPEC.format(seeds=list(range(RUNS // 100)), rates=rates)
        )
        launch = [
            sys.executable,
            "-m",
            "orchestrator.cli",
            "launch",
            "big.yaml",
            "--executor",
            "slurm",
        ]
        report("sweep launch, 10,000 runs", fake, launch)
        report("the same again: nothing to submit", fake, launch)
        poll(fake)
    if hydra is not None:
        with tempfile.TemporaryDirectory() as name:
            fake = FakeSlurm(Path(name) / "slurm")
            (Path(name) / "app.py").write_text(HYDRA_APP)
            multirun = [
                hydra,
                "app.py",
                "--multirun",
                "hydra/launcher=submitit_slurm",
                f"+seed=range({HYDRA_JOBS})",
            ]
            report(
                "Hydra's submitit launcher, 1,000 jobs: it sends one array, so more are refused",
                fake,
                multirun,
                HYDRA_JOBS,
            )


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
