"""What the fork server of a launch does once for all its runs."""

import json
import os
import subprocess
import sys
from multiprocessing import Pipe

import pytest

from byol_core.config import DatasetConfig
from byol_core.images import load as images
from orchestrator.executors import held_data, local
from orchestrator.executors.worker import AttemptContext
from orchestrator.store.root import RunFolder

DIGITS = DatasetConfig(name="digits", limit=64)


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch):
    monkeypatch.setattr(held_data, "_fingerprint", None)
    yield
    images.let_go()


class Run(RunFolder):
    """A run of digits whose images have this fingerprint."""

    def __init__(self, path, fingerprint="seen"):
        super().__init__(path)
        object.__setattr__(self, "fingerprint", fingerprint)

    def read_description(self):
        return {"data": {"fingerprint": self.fingerprint}}


def test_held_images_are_those_that_are_read_and_are_read_once():
    fresh = images.load(DIGITS)
    images.hold(DIGITS)
    held = images.load(DIGITS)
    assert held is images.load(DIGITS) and held.test.images.equal(fresh.test.images)
    assert images.load(DatasetConfig(name="digits", limit=32)) is not held
    images.let_go()
    assert images.load(DIGITS) is not held


def test_a_run_of_other_images_reads_its_own(tmp_path, monkeypatch):
    images.hold(DIGITS)
    held = images.load(DIGITS)
    monkeypatch.setattr(held_data, "_fingerprint", "seen")
    held_data.keep_only_data_of(Run(tmp_path))
    assert images.load(DIGITS) is held
    held_data.keep_only_data_of(Run(tmp_path, "of a file that was edited"))
    assert images.load(DIGITS) is not held


def test_a_run_that_cannot_be_read_gets_nothing_that_is_held(tmp_path, monkeypatch):
    images.hold(DIGITS)
    held = images.load(DIGITS)
    monkeypatch.setattr(held_data, "_fingerprint", "seen")
    (tmp_path / "run.json").write_text(json.dumps([]))
    held_data.keep_only_data_of(RunFolder(tmp_path))
    assert images.load(DIGITS) is not held


def test_a_server_holds_nothing_where_the_run_cannot_be_read_and_forgets_its_variables(
    tmp_path, monkeypatch
):
    monkeypatch.setenv(held_data.HOLDS, str(tmp_path / "nowhere"))
    monkeypatch.setenv(held_data.HOLDS_FROM, str(tmp_path))
    held_data.hold_data()
    assert images._held == {} and held_data.HOLDS not in os.environ


def test_a_fork_server_ends_at_once_with_what_runs_record_remembered():
    code = """
import gc, os
os.environ["SWEEP_HOLDS"] = os.environ["SWEEP_HOLDS_FROM"] = "/nowhere"
import orchestrator.executors.fork_server
from orchestrator.provenance import origin, packages, snapshot
assert gc.isenabled() and gc.get_freeze_count() > 10_000
for known in (origin.versions, origin.listed_gpus, packages.installed_packages, snapshot.running_code):
    assert known.cache_info().currsize == 1, known
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fork_server_lives_on_where_something_that_runs_record_cannot_be_gathered():
    code = """
import gc, os
os.environ["SWEEP_HOLDS"] = os.environ["SWEEP_HOLDS_FROM"] = "/nowhere"
from orchestrator.provenance import packages, snapshot
def fails():
    raise OSError(5, "Input/output error")
snapshot.running_code = fails
import orchestrator.executors.fork_server
assert packages.installed_packages.cache_info().currsize == 1 and gc.isenabled()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_another_process_that_loads_the_module_ends_as_it_would():
    code = "import orchestrator.executors.fork_server, sys; sys.exit(3)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, "")


def test_a_process_whose_launcher_died_before_it_began_claims_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "run_attempt", lambda *_: pytest.fail("it outruns the next launch"))
    from_launcher, to_worker = Pipe(duplex=False)
    to_worker.close()
    context = AttemptContext("local", device="cpu", threads=1)
    local._work(tmp_path, "0" * 64, context, from_launcher, None)
