"""Parts of the user's own in a sweep: their files are declared, copied, hashed and imported alone."""

import json
import re
import sys

import numpy as np
import pytest
from conftest import REPO
from typer.testing import CliRunner

from byol_core.plugins import PlugIns, digest_of, load_part
from orchestrator.cli.main import app
from orchestrator.errors import SpecError
from orchestrator.executors.inline import run_inline
from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.plugin_imports import plugins_from
from orchestrator.executors.worker import AttemptContext
from orchestrator.provenance.snapshot import CodeChangedError, check_plugins, take_plugins
from orchestrator.spec import expand, load_sweep
from orchestrator.store.root import Root

PREDICTOR = """\
from torch import nn

from mine.scales import SCALE


class Residual(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.correction = nn.Linear(config.projector.out, config.projector.out)

    def forward(self, z):
        return z + SCALE * self.correction(z)
"""
SPEC = """\
version: 1
name: own
base: {preset: digits-tiny, epochs: 1, dataset.limit: 128, batch_size: 64}
seeds: [0]
baseline: byol
plugins: {files: [mine/predictors.py, mine/scales.py]}
variants:
  byol: {projector.norm: bn}
  residual: {predictor.kind: "mine.predictors:Residual"}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a spec and its plug-ins, to work in."""
    write(tmp_path, "mine/predictors.py", PREDICTOR)
    write(tmp_path, "mine/scales.py", "SCALE = 0.5\n")
    write(tmp_path, "spec.yaml", SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("SWEEP_DB", str(tmp_path / "results.db"))
    return tmp_path


def write(folder, name, text):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def settings(place):
    """Return variant → canonical settings."""
    variants = expand(load_sweep(place / "spec.yaml"))
    return {variant.name: variant.canonical() for variant in variants}


def refusal(place, old, new):
    """Return why a spec with other words is refused."""
    write(place, "spec.yaml", SPEC.replace(old, new))
    with pytest.raises(SpecError) as error:
        expand(load_sweep(place / "spec.yaml"))
    return str(error.value).removeprefix(str(place))


def sweep(*arguments):
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


# The plan


def test_files_are_part_of_what_a_run_is_where_a_part_of_them_is_used(place):
    before = settings(place)
    assert "plugins" not in before["byol"] and len(before["residual"]["plugins"]) == 64

    write(place, "mine/scales.py", "SCALE = 0.6\n")  # which the named file only imports
    after = settings(place)
    assert after["byol"] == before["byol"]
    assert after["residual"]["plugins"] != before["residual"]["plugins"]


def test_a_plan_runs_nothing_of_a_plug_in(place):
    write(place, "mine/scales.py", "raise SystemExit('it ran')\nSCALE = 1\n")
    assert "2 to run" in sweep("launch", "spec.yaml", "--dry-run", "--executor", "local")
    assert not (place / "root").exists()


def test_a_part_without_settings_that_use_it_asks_for_nothing(place):
    """The random encoder has no predictor."""
    write(place, "spec.yaml", SPEC.replace("residual: {", "residual: {method: random, "))
    assert "plugins" not in settings(place)["residual"]


REFUSED = {
    "a file that is not declared": (
        "mine/predictors.py, ",
        "",
        ":9: variant 'residual': predictor.kind: 'mine.predictors:Residual': no declared file is "
        "the module 'mine.predictors' (allowed: mine.scales); add its file: "
        "plugins: {files: [mine/predictors.py]}",
    ),
    "no file at all": (
        "plugins: {files: [mine/predictors.py, mine/scales.py]}\n",
        "",
        "no declared file is the module 'mine.predictors'; add its file: plugins: {files: [mine/",
    ),
    "a class that is not there": (
        ":Residual",
        ":Residuum",
        "mine/predictors.py defines no 'Residuum'; did you mean 'Residual'?",
    ),
    "a file that is missing": (
        "mine/scales.py",
        "mine/missing.py",
        ":6: plugins: 'mine/missing.py' cannot be read: no such file or directory; paths start in /",
    ),
    "a folder": ("mine/scales.py", "mine", "'mine' is a folder; list its files"),
    "the spec's own folder": ("mine/scales.py", ".", "'.' is a folder; list its files"),
    "an absolute path": ("mine/scales.py", "/x/y.py", "'/x/y.py' must be relative to the spec's"),
    "one file twice": ("mine/scales.py", "./mine/predictors.py", "is declared twice"),
    "a module of Python's": ("mine/scales.py", "json.py", "would hide the package 'json'"),
    "a module that is installed": ("mine/scales.py", "torch/own.py", "would hide the package 'tor"),
    "one of ours": ("mine/scales.py", "byol_core/own.py", "would hide the package 'byol_core'"),
    "a name that cannot be imported": ("mine/scales.py", "my-part/a.py", "'my-part' is no name in"),
    "an unknown key": ("{files:", "{file:", ":6: key 'plugins.file' does not exist; did you mean"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_not_run_is_refused_when_it_is_planned(place, case):
    old, new, text = REFUSED[case]
    assert text in refusal(place, old, new)


def test_a_file_that_is_no_python_is_refused_with_its_line(place):
    write(place, "mine/scales.py", "SCALE = 0.5\nclass:\n")
    assert ":6: plugins: 'mine/scales.py' is no Python: line 2: invalid syntax" in refusal(
        place, "", ""
    )


def test_names_may_come_by_import_assignment_or_condition(place):
    write(place, "mine/predictors.py", "from mine.scales import SCALE as Residual\n")
    settings(place)
    write(place, "mine/predictors.py", "try:\n    Residual = 1\nexcept Exception:\n    pass\n")
    settings(place)


# The copy


def test_the_copy_is_written_once_and_a_change_of_it_is_noticed(tmp_path):
    files = {"mine/a.py": b"A = 1\n", "mine/data.npz": b"\x00"}
    plugins = PlugIns(digest_of(files), files)
    folder = take_plugins(Root(tmp_path), plugins)
    assert folder.parent == tmp_path / "code" and take_plugins(Root(tmp_path), plugins) == folder
    check_plugins(folder, plugins.digest)

    with plugins_from(folder):
        from mine import a  # it leaves bytecode behind

        assert a.A == 1
    check_plugins(folder, plugins.digest)
    (folder / "mine" / "a.py").write_text("A = 2\n")
    with pytest.raises(CodeChangedError, match="delete it and launch again"):
        check_plugins(folder, plugins.digest)


def test_modules_come_from_the_copy_though_others_of_their_name_stand_first(tmp_path, monkeypatch):
    for name, value in (("elsewhere", 1), ("copy", 2)):
        write(tmp_path, f"{name}/mine/parts.py", f"class Part:\n    value = {value}\n")
    write(tmp_path, "elsewhere/mine/only_here.py", "")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        monkeypatch.delitem(sys.modules, name)
    assert load_part("mine.parts:Part").value == 1

    with plugins_from(tmp_path / "copy"):
        assert load_part("mine.parts:Part").value == 2
        with pytest.raises(ModuleNotFoundError, match="add mine/only_here.py to plugins"):
            import mine.only_here  # noqa: F401
    assert load_part("mine.parts:Part").value == 1
    assert all(type(finder).__name__ != "_Finder" for finder in sys.meta_path)


# From the command line to the result


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_a_sweep_with_a_predictor_of_ones_own_trains_and_reports(place, executor, monkeypatch):
    """Though another module of that name lies where the launch works."""
    (place / "specs").mkdir()
    for name in ("mine", "spec.yaml"):
        (place / name).rename(place / "specs" / name)
    write(place, "mine/predictors.py", "raise SystemExit('the wrong module')\n")
    monkeypatch.syspath_prepend(place)

    printed = sweep("launch", "specs/spec.yaml", "--executor", executor, "--slots", "2")
    assert "own: 2/2 done" in printed
    root = Root(place / "root")
    (folder,) = (place / "root" / "code").glob("plugins-*")
    assert (folder / "mine" / "scales.py").read_text() == "SCALE = 0.5\n"
    cells = {run["variant"]: run["run_id"] for run in root.sweep("own").read_plan()["runs"]}
    description = root.run(cells["residual"]).read_description()
    assert f"plugins-{description['canonical']['plugins']}" == folder.name

    # What is done stays done; another scale is another run.
    assert "0 to run, 2 done already" in sweep(
        "launch", "specs/spec.yaml", "--dry-run", "--executor", "local"
    )
    write(place, "specs/mine/scales.py", "SCALE = 0.6\n")
    assert "1 to run, 1 done already" in sweep(
        "launch", "specs/spec.yaml", "--dry-run", "--executor", "local"
    )

    printed = sweep("show", "residual:0", "--reproduce")
    assert f'export PYTHONPATH={folder}"${{PYTHONPATH:+:$PYTHONPATH}}"' in printed
    assert "otherwise, or refuses them" not in printed
    assert "--set predictor.kind=mine.predictors:Residual" in printed


def test_an_attempt_at_a_run_whose_plug_ins_were_changed_fails_and_says_so(place):
    sweep("launch", "spec.yaml", "--executor", "inline", "--only", "residual")
    root = Root(place / "root")
    (run,) = root.runs()
    (folder,) = (place / "root" / "code").glob("plugins-*")
    (folder / "mine" / "scales.py").write_text("SCALE = 7\n")
    context = AttemptContext("inline", capture=False, rerun=True)
    with Interrupts() as interrupts:
        run_inline(root.path, [run.run_id], context, interrupts, lambda: None)
    events = [json.loads(line) for line in run.last_attempt().events.read_text().splitlines()]
    assert events[-1]["state"] == "FAILED" and "is not the copy of the plug-ins" in json.dumps(
        events[-1], ensure_ascii=False
    )


def test_a_try_of_some_steps_imports_a_plug_in_too_and_keeps_nothing(place):
    printed = sweep("launch", "spec.yaml", "--only", "residual", "--max-steps", "1")
    assert "nothing is kept" in printed and not (place / "root").exists()
    assert "mine.predictors" not in sys.modules


@pytest.mark.slow
def test_a_slurm_job_imports_a_plug_in_from_its_copy_though_the_file_was_edited(place, fake_slurm):
    sweep("launch", "spec.yaml", "--executor", "slurm", "--only", "residual")
    write(place, "mine/predictors.py", "raise SystemExit('the wrong module')\n")
    (job,) = fake_slurm.jobs("PENDING")
    fake_slurm.execute(job)
    (run,) = Root(place / "root").runs()
    assert run.last_attempt().read_done()["outcome"] == "ok"


# What the manual shows

PAGE = (REPO / "docs" / "changing-the-trainer.md").read_text()


def test_every_part_that_the_manual_shows_trains(place):
    files = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    kinds = ("norms", "losses", "predictors", "augmentations", "data")
    assert [name for name, _ in files] == [f"mine/{kind}.py" for kind in kinds]
    for name, text in files:
        write(place, name, text)
        assert len(text.splitlines()) <= 30

    (parts,) = re.findall(r"```yaml\n(plugins:.*?)```", PAGE, re.DOTALL)
    write(place, "spec.yaml", SPEC[: SPEC.index("plugins:")] + parts)
    (place / "shapes").mkdir()
    for name, grey in (("circles", 50), ("squares", 200)):
        images = np.full((100, 16, 16), grey, dtype=np.uint8)
        np.save(place / "shapes" / f"{name}.npy", images)
    printed = sweep("launch", "spec.yaml", "--max-steps", "2")
    assert printed.count("cut at step 2") + printed.count("ok at step 2") == 6
