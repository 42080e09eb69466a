"""The code that runs is the code that was recorded, whatever lies in the working directory and
whatever becomes of the checkout meanwhile.
"""

import os
import shutil
import subprocess
import sys
import time

import pytest
from conftest import REPO

from byol_core.files import RecordReader
from orchestrator.executors.imports import imports_from
from orchestrator.provenance.snapshot import code_digest
from orchestrator.store.root import Root

PACKAGES = ("analysis", "byol_core", "orchestrator")


@pytest.fixture
def checkout(tmp_path):
    """A copy of our packages, with the script that starts them from outside the working directory."""
    folder = tmp_path / "checkout"
    for package in PACKAGES:
        shutil.copytree(
            REPO / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    (folder / "bin").mkdir()
    (folder / "bin" / "sweep").write_text("from orchestrator.cli.main import main\nmain()\n")
    return folder


@pytest.fixture
def traps(tmp_path):
    """A working directory with files that are named as modules are; each leaves a mark."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name in ("queue", "inspect", "random", *PACKAGES):
        mark = folder / f"{name}-was-executed"
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\nraise SystemExit('trap')\n")
    return folder


def start_launch(checkout, folder, *options):
    return subprocess.Popen(
        [sys.executable, checkout / "bin" / "sweep", "launch", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def starts(root):
    """Return the start events of all runs."""
    for run in root.runs():
        for attempt in run.attempts():
            yield from (event for event in RecordReader(attempt.events) if event["type"] == "start")


def test_local_runs_import_the_copy_and_neither_the_working_directory_nor_an_edited_checkout(
    checkout, traps, spec_file
):
    code = code_digest(checkout)
    spec = spec_file(("epochs: 2,", "epochs: 1,"))
    root = Root(traps / "sweep-runs")
    launch = start_launch(
        checkout, traps, spec, "--executor", "local", "--slots", "1", "--only", "byol"
    )
    try:
        # The trainer is edited as soon as the first of two runs has begun.
        while not list(starts(root)):
            assert launch.poll() is None, launch.stdout.read()
            time.sleep(0.02)
        trainer = checkout / "byol_core" / "train" / "step.py"
        trainer.write_text("raise SystemExit('edited')\n")
        printed, _ = launch.communicate(timeout=120)
    finally:
        launch.kill()

    assert launch.returncode == 0 and "2/2 done" in printed, printed
    assert not list(traps.glob("*-was-executed"))
    assert [event["origin"]["code"] for event in starts(root)] == [code] * 2
    assert (root.path / "code" / code / "byol_core").is_dir()


def test_a_child_process_gets_the_copy_first_and_nothing_relative(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "link").symlink_to(here)
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/mine::lib:{here}")
    own = ["", str(here), str(tmp_path / "link"), ".", *sys.path]
    monkeypatch.setattr(sys, "path", own)
    with imports_from(tmp_path / "copy"):
        assert os.environ["PYTHONPATH"] == f"{tmp_path}/copy:{tmp_path}/mine"
        assert os.environ["PYTHONSAFEPATH"] == "1"
        assert sys.path[0] == str(tmp_path / "copy")
        assert not {"", ".", str(here), str(tmp_path / "link")} & set(sys.path)
    assert sys.path is own and os.environ["PYTHONPATH"] == f"{tmp_path}/mine::lib:{here}"


def test_installed_packages_stay_behind_pythons_own_modules(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", ["/usr/lib/python3", str(tmp_path)])
    monkeypatch.setenv("PYTHONPATH", "")
    with imports_from(tmp_path):
        assert sys.path == ["/usr/lib/python3", str(tmp_path)] and os.environ["PYTHONPATH"] == ""
