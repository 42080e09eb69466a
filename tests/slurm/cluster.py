"""The real one-node SLURM that start.sh starts, as tests see it: which of its configurations runs,
and its fault levers.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orchestrator.store.root import Root

REPO = Path(__file__).parents[2]
STUB = Path(__file__).parent / "stub"
USER = "sweeptest"
HOST = os.uname().nodename.partition(".")[0]
_PID_FILES = Path(os.environ.get("SLURM_TEST_DIR", "/tmp/sweep-slurm")) / "pid"


def slurm(*command, check=True):
    """Run one of SLURM's commands as root; return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=40)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def answers():
    if shutil.which("sinfo") is None or os.getuid() != 0 or not _PID_FILES.is_dir():
        return False
    return subprocess.run(["sinfo", "-h"], capture_output=True, timeout=20).returncode == 0


def configuration():
    """Return `accounting`, `plain` or `bare`, as start.sh was asked for."""
    config = slurm("scontrol", "show", "config")
    if "accounting_storage/slurmdbd" in config:
        return "accounting"
    return "bare" if "MinJobAge               = 2 sec" in config else "plain"


@cache
def python():
    """Return a Python that the test user may run: ours may lie in root's home, then the system's of
    the same version does.
    """
    system = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin")
    for candidate in filter(None, (sys.executable, system)):
        if (
            subprocess.run(
                ["runuser", "-u", USER, "--", candidate, "-c", ""], capture_output=True
            ).returncode
            == 0
        ):
            return candidate
    raise AssertionError(
        f"the user {USER} can run neither {sys.executable} nor a Python of the system's with its version"
    )


def until(condition, seconds=60, every=0.5):
    """Wait until a condition holds; return its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(every)
    return value


@contextmanager
def stopped(daemon):
    """Hold a daemon still, as a machine does that is overloaded."""
    pid = int((_PID_FILES / f"{daemon}.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@dataclass
class Place:
    """A folder of the test user's, with a root and a database in it; the jobs' trainer is the stub
    unless `trains`.
    """

    folder: Path
    trains: bool = False

    @property
    def root(self):
        return Root(self.folder / "sweep-runs")

    def environment(self):
        own = {"HOME": f"/home/{USER}", "OMP_NUM_THREADS": "1", "STUB_STEP_S": "0.2"}
        path = [*([] if self.trains else [str(STUB)]), str(REPO), sysconfig.get_path("purelib")]
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "LANG", "TMPDIR") or name.startswith("STUB_")
        }
        return {**own, **inherited, "PYTHONPATH": os.pathsep.join(path)}

    def start(self, *arguments, **kwargs):
        """Start `sweep ...` as the test user."""
        command = [
            "runuser",
            "-u",
            USER,
            "--",
            python(),
            "-m",
            "orchestrator.cli",
            *map(str, arguments),
        ]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs,
        )  # fmt: skip

    def sweep(self, *arguments, status=0, timeout=200):
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert status is None or process.returncode == status, (
            f"exit status {process.returncode}\n{out}\n{err}"
        )
        return out + err

    def launch(self, file, *arguments, status=0):
        return self.sweep("launch", file, "--executor", "slurm", *arguments, status=status)

    def runs(self):
        """Return every run as `sweep status --json` tells it, by variant and seed."""
        (one,) = json.loads(self.sweep("status", "--json"))["sweeps"]
        return {(run["variant"], run["seed"]): run for run in one["runs"]}

    def counts(self):
        (one,) = json.loads(self.sweep("status", "--json"))["sweeps"]
        return one["counts"]

    def ends(self, wanted, seconds=120):
        """Wait until the sweep's runs are in these states."""
        deadline = time.monotonic() + seconds
        while (now := self.counts()) != wanted:
            assert time.monotonic() < deadline, (
                f"still {now}; {[(r['state'], r['reason']) for r in self.runs().values()]}"
            )
            time.sleep(1)

    def job_id(self, run):
        return json.loads(run.attempts()[-1].claim.read_text())["job"]["job_id"]

    def training(self, count=1, points=2):
        """Wait until so many runs have left points of their series in their last attempt; return
        them.
        """
        return until(
            lambda: (
                (found := [run for run in self.root.runs() if len(_points(run)) >= points])[
                    count - 1 :
                ]
                and found
            )
        )


def _points(run):
    attempts = run.attempts()
    events = attempts[-1].events if attempts else None
    if events is None or not events.exists():
        return []
    return [line for line in events.read_text().splitlines() if '"metrics"' in line]


def events(run, kind):
    """Return the records of a kind, attempt by attempt."""
    return [
        record
        for attempt in run.attempts()
        for line in attempt.events.read_text().splitlines()
        if (record := json.loads(line))["type"] == kind
    ]


def jobs(options="%i"):
    return slurm("squeue", "-h", "-r", "-o", options).split()
