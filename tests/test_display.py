"""Output that cannot be shown: what is computed goes on, and the exit status tells of it."""

import os
import subprocess

import pytest
from conftest import command
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root


def run(folder, text, **environment):
    """Run a line of a shell, in which SWEEP stands for the command."""
    words = " ".join(command())
    line = f"set -o pipefail; {text.replace('SWEEP', words)}"
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def results(folder):
    return len([*(folder / "sweep-runs" / "runs").glob("*/attempts/*/done.json")])


def test_a_launch_that_nobody_can_read_trains_all_the_same(spec_file, tmp_path):
    spec_file(("seeds: [0, 1]", "seeds: [0]"), ("epochs: 2", "epochs: 1"))
    done = run(tmp_path, "SWEEP launch tiny.yaml --executor local --only byol | head -1")
    assert results(tmp_path) == 1 and done.returncode == 1, done.stderr
    assert done.stderr.startswith("error: standard output cannot be written: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_commands_that_work_go_on_and_those_that_look_end_quietly(root, tmp_path):
    (tmp_path / "root").rename(tmp_path / "sweep-runs")
    looked = run(tmp_path, "SWEEP status --state any > /dev/full")
    assert looked.returncode == 1 and "standard output cannot be written" in looked.stderr
    assert run(tmp_path, "SWEEP status --watch | true").stderr == ""
    assert run(tmp_path, "SWEEP report | true").stderr == ""

    # Nothing of an export is missing, although its list of files was not shown.
    done = run(tmp_path, "SWEEP export --out csv > /dev/full")
    assert done.returncode == 1 and "`sweep export` went on" in done.stderr
    assert run(tmp_path, "SWEEP export --out other").returncode == 0
    assert {f.name for f in (tmp_path / "csv").iterdir()} == {
        f.name for f in (tmp_path / "other").iterdir()
    }


def test_errors_that_cannot_be_shown_keep_the_exit_status(tmp_path):
    assert run(tmp_path, "SWEEP status > /dev/full 2>&1").returncode == 2
    assert run(tmp_path, "SWEEP status 2>&1 | true").returncode == 2


def test_an_error_of_the_system_without_a_file_says_what_was_done(monkeypatch):
    from orchestrator.cli import main

    monkeypatch.setattr("sys.argv", ["sweep", "clean", "--encoders"])
    text = main._text_of(OSError(28, "No space left on device"))
    assert "`sweep clean`" in text and "No space left" in text and "a file" not in text


def test_a_file_that_a_full_disk_refuses_is_named(tmp_path, monkeypatch):
    from byol_core.files import durable, write_json

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write_all", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_json(tmp_path / "plan.json", {})
    assert caught.value.filename == str(tmp_path / "plan.json") and not [*tmp_path.iterdir()]


def test_names_in_utf8_are_names_under_a_locale_of_ascii(spec_file, tmp_path):
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    spec_file(("seeds: [0, 1]", "seeds: [0]"), name="größe.yaml")
    options = "--root läufe --db ergebnis-ä.db"
    plan = run(tmp_path, f"SWEEP {options} launch größe.yaml --dry-run", **ascii_only)
    assert plan.returncode == 0 and "tiny: 2 runs" in plan.stdout, plan.stderr

    root = Root(tmp_path / "läufe")
    root.create()
    write_plan(make_plan(load_sweep(tmp_path / "größe.yaml"), root, Selection(), Queue()), root)
    looked = run(tmp_path, f"SWEEP {options} status", **ascii_only)
    assert looked.returncode == 0 and "tiny" in looked.stdout
    assert (tmp_path / "ergebnis-ä.db").exists()
    unknown = run(tmp_path, f"SWEEP {options} status größe", **ascii_only)
    assert unknown.returncode == 2 and "größe" in unknown.stderr and "UTF-8" not in unknown.stderr


def test_a_working_folder_that_was_deleted_is_named_as_such(tmp_path):
    (tmp_path / "gone").mkdir()
    done = run(tmp_path, "cd gone; rmdir ../gone; PYTHONPATH= SWEEP --root /tmp status")
    assert done.returncode == 2 and "was deleted" in done.stderr and done.stderr.count("\n") == 1


def test_no_line_that_is_piped_ends_in_blanks(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second, *_ = (run.run_id for run in root.runs())
    places = ["--root", str(root.path), "--db", str(tmp_path / "r.db")]
    for words in (
        ["status"],
        ["diff", first, second],
        ["doctor"],
        ["report", "--table", "norm", "--layout", "matrix"],
    ):
        done = CliRunner().invoke(app, [*places, *words])
        lines = done.stdout.splitlines()
        assert lines, f"{words}: {done.exception}"
        assert [line for line in lines if line != line.rstrip()] == []


def test_a_tilde_in_the_places_is_the_home_folder(root, tmp_path, monkeypatch):
    """A shell leaves it as it is in `--root=~/runs`, and in a variable that was set in quotes."""
    monkeypatch.setenv("HOME", str(root.path.parent))
    monkeypatch.setenv("SWEEP_DB", "~/home.db")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [f"--root=~/{root.path.name}", "status", "--json"])
    assert '"tiny"' in done.stdout and (root.path.parent / "home.db").exists()
    assert not (tmp_path / "~").exists()
