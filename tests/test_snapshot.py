"""The copy of the code that jobs run: named by its content, whole, and refused when it was changed."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import REPO

from byol_core.files import RecordReader, write_json
from orchestrator.provenance.snapshot import code_digest, running_code, take_snapshot
from orchestrator.store.root import Root


@pytest.fixture
def root(tmp_path):
    root = Root(tmp_path / "root")
    root.create()
    return root


def test_a_snapshot_is_named_by_its_content_and_taken_once(root):
    folder = take_snapshot(root)
    assert folder == root.path / "code" / running_code() and code_digest(folder) == folder.name
    before = folder.stat().st_mtime_ns
    assert take_snapshot(root) == folder and folder.stat().st_mtime_ns == before
    assert {file.suffix for file in folder.rglob("*") if file.is_file()} == {".py", ".yaml"}
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "analysis",
        "byol_core",
        "orchestrator",
    ]


def test_an_edited_checkout_gets_a_snapshot_of_its_own(root, tmp_path):
    for package in ("analysis", "byol_core", "orchestrator"):
        shutil.copytree(REPO / package, tmp_path / "checkout" / package)
    first = take_snapshot(root, tmp_path / "checkout")
    module = tmp_path / "checkout" / "byol_core" / "streams.py"
    module.write_text(module.read_text() + "# edited\n")
    second = take_snapshot(root, tmp_path / "checkout")
    assert first != second and "# edited" not in (first / "byol_core" / "streams.py").read_text()
    module.rename(module.with_name("lost.py"))
    assert take_snapshot(root, tmp_path / "checkout") not in (first, second)


def test_a_copy_cut_short_is_made_again(root, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.rename", full)
    with pytest.raises(OSError, match="No space"):
        take_snapshot(root)
    monkeypatch.undo()
    assert code_digest(take_snapshot(root)) == running_code()


def job_from(folder, root, run, sha):
    """Run an attempt as a job does: the code from `folder`, the working directory elsewhere."""
    program = (
        "import sys; from pathlib import Path; from orchestrator.executors.worker import AttemptContext, run_attempt; "
        "import orchestrator; print(orchestrator.__file__); "
        f"print(run_attempt(Path({str(root.path)!r}), {run.run_id!r}, "
        f"AttemptContext('slurm', '7', device='cpu', threads=1, capture=False, code={sha!r}), lambda: None))"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=root.path,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_job_runs_the_copy_and_refuses_one_that_was_changed(root, spec_file):
    from orchestrator.launch.plan import make_plan
    from orchestrator.launch.plan_files import write_plan
    from orchestrator.launch.selection import Selection
    from orchestrator.spec import load_sweep
    from orchestrator.store.jobs import Queue

    spec = spec_file(("epochs: 2,", "epochs: 1,"))
    write_plan(
        make_plan(load_sweep(spec), root, Selection(seeds=[0], only=["byol"]), Queue()), root
    )
    (run,) = root.runs()
    write_json(run.description, {**run.read_description(), "protocols": ["knn"]})
    folder = take_snapshot(root)
    file = folder / "byol_core" / "streams.py"
    text = file.read_text()
    file.write_text(text + "# edited while the job waited\n")
    refused = job_from(folder, root, run, folder.name)
    assert f"{folder}/orchestrator/__init__.py" in refused.stdout and "FAILED" in refused.stdout
    assert "was submitted with code" in refused.stderr
    file.write_text(text)
    done = job_from(folder, root, run, folder.name)
    assert "COMPLETED" in done.stdout, done.stderr
    start = next(
        record for record in RecordReader(run.attempt(2).events) if record["type"] == "start"
    )
    assert start["origin"]["code"] == folder.name
