"""The code that runs is the code that was recorded, whatever lies in the working directory and
whatever becomes of the checkout meanwhile; and what decides a result is told apart from what does
not.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import REPO
from rich.console import Console

from byol_core.config import SEMANTICS, trainer_digest
from byol_core.config.trainer_digest import _files, digest_of
from byol_core.files import RecordLog, RecordReader, write_json
from byol_core.train.checkpoint import numerics
from orchestrator.executors.imports import imports_from
from orchestrator.launch.plan import make_plan
from orchestrator.launch.selection import Selection
from orchestrator.launch.terminal import show_plan
from orchestrator.provenance.snapshot import code_digest
from orchestrator.slurm.submit import code_line
from orchestrator.spec import load_sweep
from orchestrator.status.diff import difference
from orchestrator.status.provenance import lines, provenance, shown
from orchestrator.status.show import difference_from_preset
from orchestrator.store.jobs import Queue
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


def job_path(code, given, folder):
    """Return the PYTHONPATH of a job, made in the shell as its script makes it."""
    environment = {**os.environ, "PYTHONPATH": given}
    line = f'set -eu; {code_line(code)}; printf %s "$PYTHONPATH"'
    return subprocess.check_output(["bash", "-c", line], cwd=folder, env=environment, text=True)


def test_a_job_gets_the_copy_first_and_nothing_relative(tmp_path):
    copy = tmp_path / "root of all" / "code"
    assert job_path(copy, "", tmp_path) == str(copy)
    given = f":/opt/lib:lib:.:{tmp_path}:/opt/a b/*:"
    assert job_path(copy, given, tmp_path) == f"{copy}:/opt/lib:/opt/a b/*"


@pytest.mark.parametrize("name", ["analysis", "byol_core"])
@pytest.mark.parametrize("file", ["{}.py", "{}/__init__.py"])
def test_a_foreign_package_in_the_place_of_ours_is_named(tmp_path, name, file):
    foreign = tmp_path / "theirs" / file.format(name)
    foreign.parent.mkdir(parents=True)
    foreign.write_text("raise SystemExit('theirs')\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator.cli", "status"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{foreign.parents[file.count('/')]}:{REPO}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and f"{name!r} is imported from {foreign}" in done.stderr


def test_a_foreign_orchestrator_around_our_modules_is_named(tmp_path):
    # As in an editable installation, which finds what a foreign package lacks.
    foreign = tmp_path / "theirs" / "orchestrator" / "__init__.py"
    foreign.parent.mkdir(parents=True)
    foreign.write_text(f"__path__.append({str(REPO / 'orchestrator')!r})\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator.cli", "status"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{foreign.parents[1]}:{REPO}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: 'orchestrator' is imported from {foreign}, not from ")


# Reuse after the trainer was edited


def launched(plan):
    console = Console(width=200, file=io.StringIO())
    show_plan(console, plan, "local", None)
    return console.file.getvalue()


def test_results_of_another_trainer_are_reused_but_not_in_silence(root, spec_file):
    for run, trainer in zip(root.runs(), (trainer_digest(), "other", None, None), strict=True):
        done = {"outcome": "ok", "step": 8, "trainer": trainer}
        folder = run.attempt(1)
        folder.path.mkdir(parents=True)
        write_json(folder.done, done)
    plan = make_plan(load_sweep(spec_file()), root, Selection(), Queue())
    printed = launched(plan)
    assert (
        f"0 to run, 4 done already, 3 of them with other trainer code (same SEMANTICS {SEMANTICS})"
        in printed
    )
    assert "`sweep show " in printed and "--rerun" in printed

    for run in root.runs():
        write_json(run.attempt(1).done, {"outcome": "ok", "step": 8, "trainer": trainer_digest()})
    plan = make_plan(load_sweep(spec_file()), root, Selection(), Queue())
    assert "4 done already (local)" in launched(plan) and "--rerun" not in launched(plan)


# What decides a result


def test_the_trainer_digest_hangs_on_what_trains_and_on_nothing_else(tmp_path):
    package = tmp_path / "byol_core"
    shutil.copytree(REPO / "byol_core", package, ignore=shutil.ignore_patterns("__pycache__"))
    digest = digest_of(package)
    assert digest == trainer_digest() and len(digest) == 64

    for name in ("__main__.py", "points.py", "files/durable.py", "datasets/fetch.py"):
        (package / name).write_text("# edited\n")
    (package / "networks" / "notes.yaml").write_text("# a comment\n")
    assert digest_of(package) == digest

    decides = ("streams.py", "train/step.py", "augment/crops.py", "config/train_config.py")
    for name in decides:
        text = (package / name).read_text()
        (package / name).write_text(f"{text}# edited\n")
        assert digest_of(package) != digest, name
        (package / name).write_text(text)
    (package / "networks" / "new.py").write_text("")
    assert digest_of(package) != digest


def test_every_module_that_the_trainer_loads_is_in_its_digest_or_does_not_train():
    home = REPO / "byol_core"
    modules = [module for name, module in sys.modules.items() if name.startswith("byol_core.")]
    files = [Path(module.__file__) for module in modules if getattr(module, "__file__", None)]
    loaded = {file.relative_to(home).as_posix() for file in files}
    covered = {file.relative_to(home).as_posix() for file in _files(REPO / "byol_core")}
    without_effect = ("files/", "datasets/", "config/", "points.py", "allocator.py", "__main__.py")
    assert {name for name in loaded if not name.startswith(without_effect)} <= covered


@pytest.mark.parametrize("key", ["trainer", "capability", "kind", "torch", "threads", "device"])
def test_a_checkpoint_that_does_not_say_it_is_not_equal(key):
    torch = pytest.importorskip("torch")
    now = numerics(torch.device("cpu"), "plain")
    assert now[key] and {name: now[name] for name in now if name != key} != now


# From the terminal


def test_show_and_diff_say_what_a_mark_is_about(root, capsys):
    facts = {
        "commit": "c" * 40,
        "dirty": True,
        "code": "d" * 64,
        "trainer": "e" * 64,
        "versions": {"python": "3.12.1", "torch": "2.9.0", "torchvision": "0.24.0", "numpy": "2.4"},
        "compute": {"device": "cpu", "kind": "EPYC", "capability": "AVX2", "threads": 2},
    }
    run, other = root.runs()[:2]
    for one, changes in ((run, {}), (other, {"trainer": "f" * 64, "dirty": False})):
        attempt = one.attempt(1)
        attempt.path.mkdir(parents=True)
        write_json(attempt.done, {"outcome": "ok", "step": 8, "wall_s": 65.0, "ended_at": 1e9 + 65})
        with RecordLog(attempt.events) as log:
            start = {"type": "start", "t": 1e9, "step": 0, "total_steps": 8, "exact": True}
            log.append({**start, "origin": {**facts, **changes}})

    found = provenance(run)
    printed = "\n".join(lines(found))
    assert max(map(len, printed.splitlines())) <= 80
    for part in (
        "tiny: ",
        "commit   cccccccccc, with uncommitted changes",
        "trainer eeeeeeeeee",
        "cpu, EPYC, AVX2, 2 threads",
        "torch 2.9.0",
        "took 1 min 05 s",
    ):
        assert part in printed, part

    unlike = difference(run, other)
    assert unlike["trainer code"] == ("e" * 64, "f" * 64)
    assert unlike["uncommitted changes"] == (True, False)
    assert not {"commit", "code", "device", "version of torch", "started"} & set(unlike)
    assert shown("trainer code", "e" * 64) == "e" * 10 and shown("code", None) == "–"


def test_a_run_that_has_not_begun_shows_who_wants_it(run):
    assert [line.split(":")[0] for line in lines(provenance(run))] == ["sweep    tiny"]


def test_a_setting_that_the_nearest_preset_has_no_word_for_is_a_difference(root):
    """As `dataset.side`, which digits do not have."""
    run = root.runs()[0]
    description = json.loads(run.description.read_text())
    description["canonical"] |= {"dataset.name": "folder", "dataset.side": 16}
    run.description.write_text(json.dumps(description))
    _, differences = difference_from_preset(run)
    assert differences["dataset.side"] == 16 and differences["dataset.name"] == "folder"
