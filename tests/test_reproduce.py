"""Making a run again: the packages that it ran with, and the commands that `sweep show` prints."""

import hashlib
import json
import shlex
import subprocess

import pytest
from typer.testing import CliRunner

import byol_core.__main__ as byol_core_command
from byol_core.config import SEMANTICS, canonical, resolve, run_id
from byol_core.config.identity import DataIdentity
from byol_core.files import RecordLog, write_json
from orchestrator.cli.main import app
from orchestrator.errors import UsageError
from orchestrator.provenance import packages
from orchestrator.provenance.packages import record_packages
from orchestrator.status.reproduce.recipe import as_json, recipe
from orchestrator.status.reproduce.script import _wrapped, lines
from orchestrator.store.root import Root


def test_the_installed_packages_are_kept_once_and_named_by_their_content(tmp_path, monkeypatch):
    root = Root(tmp_path)
    digest = record_packages(root)
    file = root.packages(digest)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
    assert any(line.startswith("torch==2") for line in file.read_text().splitlines())

    before = file.stat().st_ino
    assert record_packages(root) == digest and file.stat().st_ino == before
    monkeypatch.setattr(packages, "installed_packages", lambda: "torch==9.9\n")
    assert record_packages(root) != digest and len([*file.parent.iterdir()]) == 2


DIGEST = "e" * 64
ORIGIN = {
    "commit": "c" * 40,
    "dirty": False,
    "remote": "https://example.org/byol.git",
    "code": "a" * 64,
    "versions": {"python": "3.11.7", "torch": "2.5.1+cpu", "byol-sweeps": "1.0"},
    "packages": DIGEST,
    "environment": {"OMP_NUM_THREADS": "1", "SLURM_JOB_ID": "7", "SWEEP_DATA": "/data"},
    "compute": {"device": "cuda", "threads": 4, "kind": "NVIDIA H100", "capability": "AVX512"},
}


def begun(run, origin, step=0, exact=True):
    """Write down the start of an attempt, as a worker does."""
    attempt = run.attempt(1)
    attempt.path.mkdir(parents=True)
    start = {"type": "start", "t": 1.0, "step": step, "total_steps": 9, "exact": exact}
    with RecordLog(attempt.events) as log:
        log.append({**start, "origin": origin}, durable=True)


def script(run):
    return "\n".join(lines(run, recipe(run)))


def words(printed):
    """Return the words of the command that trains, as a shell reads them."""
    return shlex.split(printed[printed.index("python -m byol_core") :].replace("\\\n", ""))


def resolved(printed):
    """Return the config that the printed command gives."""
    parsed = byol_core_command._parser().parse_args(words(printed)[3:])
    overrides = dict(byol_core_command._assignment(text) for text in parsed.set)
    return parsed, resolve(parsed.preset, overrides)


SETTINGS = {
    "a preset as it is": ("digits-tiny", {}),
    "norms and pairs": (
        "digits-tiny",
        {"projector.norm": "gn", "projector.gn_groups": 4, "augment.blur_p": [1.0, 0.1]},
    ),
    "what another key has switched off": (
        "imagenet-r50-300ep",
        {"augment.solarize_p": 0.0, "augment.crop_p": 0.0, "dataset.path": "/a b/it's"},
    ),
    "no training at all": ("stl10-r18-blog", {"method": "random"}),
    "numbers that look like text": ("digits-lars", {"optimizer.weight_decay": 1e-06, "seed": 7}),
    "a path that reads as a number": (
        "digits-tiny",
        {"dataset.name": "arrays", "dataset.path": "1"},
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_printed_command_gives_the_very_run(name, tmp_path):
    config = resolve(*SETTINGS[name])
    data = DataIdentity("f" * 64, "as stored")
    run = Root(tmp_path).run(run_id(config, data))
    run.path.mkdir(parents=True)
    description = {
        "run_id": run.run_id,
        "config": config.model_dump(mode="json"),
        "canonical": canonical(config),
        "data": vars(data),
        "semantics": SEMANTICS,
        "protocols": [],
        "keep": "encoder",
        "planned_at": 0.0,
    }
    write_json(run.description, description)
    printed = script(run)
    _, again = resolved(printed)
    assert again == config and run_id(again, data) == run.run_id
    assert "otherwise" not in printed and f"names run\n#    {run.run_id}" in printed


def test_commit_packages_variables_and_device_are_those_of_the_attempt(root, run):
    begun(run, ORIGIN)
    root.packages(DIGEST).parent.mkdir()
    root.packages(DIGEST).write_text("byol-sweeps==1.0\ntorch==2.5.1+cpu\n")
    printed = script(run)
    for line in (
        "git clone https://example.org/byol.git byol-sweeps",
        f"git checkout {'c' * 40}",
        "python3.11 -m venv again",
        f"grep -v '^byol-sweeps==' {root.packages(DIGEST)} > again/packages.txt",
        "pip install -r again/packages.txt --extra-index-url https://download.pytorch.org/whl/cpu",
        "export OMP_NUM_THREADS=1",
    ):
        assert line in printed.splitlines()
    assert "SLURM_JOB_ID" not in printed and "git apply" not in printed
    parsed, _ = resolved(printed)
    assert (parsed.device, parsed.threads) == ("cuda", 4)
    assert "it ran on NVIDIA H100, AVX512" in printed
    assert subprocess.run(["bash", "-n"], input=printed, text=True, check=False).returncode == 0


def test_changes_come_back_with_their_diff_or_with_the_copy_of_the_code(root, run):
    begun(run, {**ORIGIN, "dirty": True})
    diff = root.code_facts("a" * 64).with_suffix(".diff")
    assert "their diff was not kept" in script(run)

    diff.parent.mkdir(exist_ok=True)
    diff.write_bytes(b'# M a.py\ndiff --git a/a.py b/a.py\n+REDACTED = "[redacted]"\n')
    assert f"git apply {diff}" in script(run) and "lacks" not in script(run)

    # What was cut out of the diff is in the copy.
    diff.write_bytes(b"# M a.py\n# [cut here: 9 characters in all] a.py\n")
    assert "the diff lacks" in script(run) and f"git apply {diff}" in script(run)
    diff.with_suffix("").mkdir()
    assert f"export PYTHONPATH={diff.with_suffix('')}" in script(run).splitlines()
    assert "git apply" not in script(run)


def test_what_was_not_recorded_is_not_known_and_no_default_stands_for_it(run):
    begun(run, {"commit": None, "dirty": None}, step=40, exact=False)
    printed = script(run)
    for text in (
        "commit: not known",
        "Python and versions of packages: not known",
        "device: not known",
        "threads: not known",
        "the copy of the code that ran: not kept",
        "attempt 1 went on from step 40, inexactly",
    ):
        assert text in printed
    assert "--device" not in printed and "--threads" not in printed and "git" not in words(printed)


def test_a_run_that_has_not_begun_says_so_and_is_printed_as_json_too(root, run, tmp_path):
    assert "it has not begun" in script(run)
    arguments = ["--root", str(root.path), "show", run.run_id[:10], "--reproduce"]
    assert CliRunner().invoke(app, arguments).stdout == script(run) + "\n"
    steps = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["steps"]
    assert [step["title"] for step in steps][-1] == "the run"
    assert steps[-1]["commands"][0].startswith("python -m byol_core --preset digits-tiny")
    refused = CliRunner().invoke(app, [*arguments, "--plot", "loss"])
    assert "--reproduce does not go with --plot" in str(refused.exception)


def test_no_secret_is_printed(run):
    description = json.loads(run.description.read_text())
    description["config"]["dataset"] |= {"name": "arrays", "path": "/d/token=hunter2x/a b.npz"}
    write_json(run.description, description)
    begun(run, {**ORIGIN, "remote": "https://me:hunter2x@example.org/a.git"})
    printed = script(run)
    assert "hunter2x" not in printed and "hunter2x" not in json.dumps(as_json(run, recipe(run)))
    assert "a secret was taken out" in printed and words(printed)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--out", "x.txt", "--reproduce"], "allowed: .sh, .json"),
        (["--out", "nowhere/x.sh", "--reproduce"], "does not exist; make it: mkdir -p nowhere"),
        (["--out", "x.json", "--reproduce", "--json"], "--json prints and does not go with --out"),
        (["--plot", "loss", "--json"], "--json does not go with --plot"),
        (["--out", "x.png"], "--out needs --plot METRIC or --reproduce"),
        (["--out", "x.json", "--json"], "--out needs --plot METRIC or --reproduce"),
    ],
)
def test_options_of_show_that_do_not_go_together_are_refused(root, run, options, problem):
    done = CliRunner().invoke(app, ["--root", str(root.path), "show", run.run_id, *options])
    assert isinstance(done.exception, UsageError) and problem in str(done.exception)


def test_the_script_is_written_where_out_says(root, run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    show = ["--root", str(root.path), "show", run.run_id, "--reproduce"]
    for name, options in (("x.sh", []), ("x.json", ["--json"])):
        printed = CliRunner().invoke(app, [*show, *options]).stdout
        assert CliRunner().invoke(app, [*show, "--out", name]).stdout == f"wrote {name}\n"
        assert (tmp_path / name).read_text() == printed


def test_a_relative_path_is_printed_from_the_root_on_or_its_folder_is_not_known(run):
    description = json.loads(run.description.read_text())
    description["config"]["dataset"] |= {"name": "arrays", "path": "data/a b.npz"}
    write_json(run.description, description)
    begun(run, {**ORIGIN, "folder": "/home/me/project"})
    printed = script(run)
    assert "dataset.path=/home/me/project/data/a b.npz" in words(printed)
    assert printed.splitlines()[1] == "set -e"

    run.attempt(1).events.unlink()
    begun_again = run.attempt(1)
    with RecordLog(begun_again.events) as log:
        start = {"type": "start", "t": 1.0, "step": 0, "total_steps": 9, "exact": True}
        log.append({**start, "origin": ORIGIN}, durable=True)
    printed = " ".join(script(run).replace("#    ", "").split())
    assert "the folder that dataset.path 'data/a b.npz' starts from: not known" in printed


def test_no_path_is_broken_in_two_lines(tmp_path):
    for folder in ("a-folder-with-hyphens/" * 9, "a folder with blanks/" * 9):
        path = tmp_path / folder / "a b-c.npz"
        remark = (
            f"without git, the very code that ran: PYTHONPATH={shlex.quote(str(path))} and more"
        )
        assert any(str(path) in line for line in _wrapped(remark))
