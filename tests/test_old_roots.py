"""A root made at commit 62391ec is read: what older code stored keeps its meaning.

That commit is the last before the folders, names and tables of the program were laid out anew. Its
code makes a root with completed runs, an interrupted one and a failed one. Today's code must see in
a copy of it what that code sees, and train anew beside it.
"""

import hashlib
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import REPO, SPEC, command

from byol_core.files import RecordReader, read_json
from orchestrator.database import schema
from orchestrator.store.root import AttemptFolder, Root, RunFolder

OLD_COMMIT = "62391ec"
OLD_SCHEMA = "3"

LONG = SPEC.replace("name: tiny", "name: long").replace("epochs: 2,", "epochs: 16,")
LAUNCHES = {
    "tiny": ("tiny.yaml",),
    "long": ("long.yaml", "--only", "byol", "--seeds", "0"),
    "failing": ("failing.yaml", "--only", "byol", "--seeds", "0"),
}

TIMES = {"launched_at", "wall_s", "hours_used"}
"""Keys of `status --json` and `report --format json` that no two launches have in common."""


@dataclass(frozen=True)
class Workplace:
    """A folder with a root in it, and the code that works there."""

    folder: Path
    code: Path

    @property
    def root(self) -> Root:
        return Root(self.folder / "sweep-runs")

    def sweep(self, *arguments: str, status: int = 0) -> str:
        """Run the `sweep` command; return what it prints."""
        done = subprocess.run(
            command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == status, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def launch(self, name: str, status: int = 0) -> str:
        return self.sweep("launch", *LAUNCHES[name], "--executor", "local", status=status)

    def status(self) -> dict:
        """Return sweep → what `status` says of it, but for times.

        A copied database knows the sweeps of the root that it comes from, too.
        """
        told = json.loads(self.sweep("status", "--state", "any", "--json"))
        own = str(self.root.path)
        shown = [sweep for sweep in told["sweeps"] if sweep.get("root", own) == own]
        return {sweep["sweep"]: without_times(sweep) for sweep in shown}

    def report(self, sweep: str) -> dict:
        """Return the table mlp_norm of one sweep, but for times."""
        arguments = ("report", sweep, "--table", "mlp_norm", "--format", "json")
        return without_times(json.loads(self.sweep(*arguments)))

    def schema(self) -> str:
        """Return the version of the tables in results.db."""
        query = "SELECT value FROM meta WHERE key = 'schema_version'"
        with sqlite3.connect(self.folder / "results.db") as connection:
            return connection.execute(query).fetchone()[0]

    def copy(self, folder: Path, code: Path) -> "Workplace":
        """Copy the folder for other code to go on with."""
        shutil.copytree(self.folder, folder)
        return Workplace(folder, code)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.code), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def old_code(tmp_path):
    """The three packages as they were at the old commit."""
    packages = ("byol_core", "orchestrator", "analysis")
    archive = subprocess.run(
        ["git", "-C", REPO, "archive", OLD_COMMIT, *packages], capture_output=True
    )
    if archive.returncode != 0:
        pytest.skip(f"commit {OLD_COMMIT} is not in this clone: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(tmp_path / "old-code", filter="data")
    return tmp_path / "old-code"


@pytest.fixture
def made(tmp_path, old_code, damaged_npz):
    """A root that the old code made: four runs are done, one is interrupted, one has failed."""
    place = Workplace(tmp_path / "made", old_code)
    place.folder.mkdir()
    (place.folder / "tiny.yaml").write_text(SPEC)
    (place.folder / "long.yaml").write_text(LONG)
    base = f"{{preset: digits-tiny, dataset.name: arrays, dataset.path: {damaged_npz}}}"
    failing = re.sub(r"base: {.*}", f"base: {base}", SPEC.replace("name: tiny", "name: failing"))
    (place.folder / "failing.yaml").write_text(failing)

    place.launch("tiny")
    place.launch("failing", status=1)
    interrupt(place, "long")
    return place


def interrupt(place, name):
    """Launch a sweep of one run, and press Ctrl-C once it has trained for some steps."""
    known = {run.run_id for run in place.root.runs()}
    launcher = subprocess.Popen(
        command("launch", *LAUNCHES[name], "--executor", "local"),
        cwd=place.folder,
        env=place.environment(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline_s = time.monotonic() + 60
        while not any(step > 0 for run_id, step in points(place.root) if run_id not in known):
            assert time.monotonic() < deadline_s, "the run has not begun to train"
            assert launcher.poll() is None, "the run was over before it could be interrupted"
            time.sleep(0.02)
        os.killpg(launcher.pid, signal.SIGINT)  # as a terminal does: to the launcher and its worker
        assert launcher.wait(60) == 130
    finally:
        launcher.kill()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_root_made_at_commit_62391ec_is_read_and_trained_anew(made, tmp_path):
    by_old = made.copy(tmp_path / "by-old", made.code)
    by_new = made.copy(tmp_path / "by-new", REPO)

    # Today's code sees what the old code sees; it makes the older database again by itself.
    assert by_new.schema() == OLD_SCHEMA
    before = by_old.status()
    assert as_far_as(before, by_new.status()) == before
    assert counts(before) == {"tiny": {"COMPLETED": 4}, "long": {"STOPPED": 1}} | {
        "failing": {"FAILED": 1}
    }
    assert by_new.schema() == str(schema.VERSION)

    # Its trainer is another, so it reuses nothing, not even a checkpoint, and leaves all as it is.
    old_results = results(by_new.root)
    old_points = points(by_new.root)
    train_anew(by_new)
    assert {run_id: results(by_new.root)[run_id] for run_id in old_results} == old_results
    assert {place: points(by_new.root)[place] for place in old_points} == old_points
    after = by_new.status()
    assert counts(after) == {**counts(before), "long": {"COMPLETED": 1}}
    new_run = by_new.root.run(run_of(after, "long"))
    assert new_run.run_id not in old_results
    assert records(new_run.last_attempt(), "start")[0]["step"] == 0

    # The old results are a setting of their own, with the numbers of the old code.
    assert old_rows(by_new) == rows_of(by_old.report("tiny"))
    by_new.sweep("rebuild", "--verify")


def train_anew(place):
    """Launch everything again."""
    assert "4 runs of SEMANTICS 1 are not reused but kept apart, so 4 train" in place.launch("tiny")
    assert "1 run of SEMANTICS 1 is not reused but kept apart" in place.launch("long")
    assert ", 1 to run" in place.launch("failing", status=1)


def old_rows(place):
    """Return the rows of the setting that the old trainer's results of `tiny` make."""
    shown = place.report("tiny")
    (setting,) = [
        other["id"]
        for other in shown["other_settings"]
        if other["values"]["semantics"] == 1 and other["values"]["epochs"] == 2
    ]
    arguments = ("--table", "mlp_norm", "--setting", setting, "--format", "json")
    return rows_of(json.loads(place.sweep("report", *arguments)))


def rows_of(report):
    """Return label → values per seed and collapsed runs, of the rows that have some."""
    return {row["label"]: (row["values"], row["collapsed"]) for row in report["rows"] if row["n"]}


def results(root: Root) -> dict[str, dict | None]:
    """Return run id → its outcome, evaluations and weights; None without a result."""
    return {run.run_id: result(run) for run in root.runs()}


def result(run: RunFolder) -> dict | None:
    done = read_json(run.last_attempt().done)
    if done is None:
        assert not (run.path / "encoder").exists()
        return None
    weights = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (run.path / "encoder").iterdir()
    }
    assert "state.pt" in weights
    return {
        "outcome": done["outcome"],
        "final": done["final"],
        "evaluations": list(run.evaluations()),
        "weights": weights,
    }


def points(root: Root) -> dict[tuple[str, int], dict]:
    """Return (run id, step) → metrics, of the highest attempt that has the step."""
    metrics = {}
    for run in root.runs():
        for attempt in run.attempts():
            for record in records(attempt, "metrics"):
                metrics[run.run_id, record["step"]] = record["metrics"]
    return metrics


def records(attempt: AttemptFolder, type_: str) -> list[dict]:
    return [record for record in RecordReader(attempt.events) if record["type"] == type_]


def counts(status: dict) -> dict[str, dict[str, int]]:
    """Return sweep → how many of its runs are in which state."""
    return {name: sweep["counts"] for name, sweep in status.items()}


def run_of(status: dict, sweep: str) -> str:
    (run,) = status[sweep]["runs"]
    return run["run_id"]


def without_times(value):
    """Return JSON without the keys in `TIMES`, at any depth."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value


def as_far_as(known, value):
    """Return JSON without the keys that `known` does not have: what later versions have added."""
    if isinstance(value, dict) and isinstance(known, dict):
        return {key: as_far_as(known[key], item) for key, item in value.items() if key in known}
    if isinstance(value, list) and isinstance(known, list) and len(value) == len(known):
        return [as_far_as(old, new) for old, new in zip(known, value, strict=True)]
    return value
