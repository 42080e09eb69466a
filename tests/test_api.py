"""The Python API does what the command does, in the process of a notebook."""

import json
import re

import pytest
from conftest import REPO

from orchestrator.api import Workspace
from orchestrator.errors import UsageError


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A workspace with two runs that are done, and the spec they come from."""
    from conftest import SPEC

    folder = tmp_path_factory.mktemp("api")
    (folder / "tiny.yaml").write_text(SPEC.replace("epochs: 2", "epochs: 1"))
    work = Workspace(folder / "runs", folder / "results.db")
    work.spec = folder / "tiny.yaml"
    result = work.launch(work.spec, seeds=[0], executor="inline", show=False)
    assert result.executor == "inline" and len(result.plan.start) == 2
    return work


@pytest.mark.slow
def test_status_and_runs_are_those_of_the_command(work, sweep, capfd):
    (status,) = work.status()
    assert status.label == "tiny" and status.counts() == {"COMPLETED": 2}
    assert capfd.readouterr().out == ""

    places = ["--root", work.spec.parent / "runs", "--db", work.spec.parent / "results.db"]
    shown = json.loads(sweep(*places, "runs", "--json", check=0).stdout)
    assert work.runs() == shown["runs"]
    (best,) = work.runs("tiny", where=["variant=byol"], columns=["run_id", "accuracy"])
    assert 0 < best["accuracy"] < 1
    assert len(work.runs(where="state=completed")) == 2


def test_a_plan_writes_nothing_and_takes_overrides(work):
    plan = work.plan(work.spec, overrides={"epochs": 3}, seeds=[0, 1], only=["byol"])
    assert [run.seed for run in plan.start] == [0, 1] and plan.sweep.label != "tiny"
    assert repr(plan) == f"Plan({plan.sweep.label!r}: 2 runs, 2 start)"
    assert work.status()[0].label == "tiny" and len(work.status()) == 1


def test_what_is_said_of_runs_is_kept_and_found(work):
    work.exclude("byol:0", "the wrong images")
    (excluded,) = work.runs(where=["excluded=yes"])
    assert excluded["variant"] == "byol"
    work.include("byol:0")
    assert work.runs(where=["excluded=yes"]) == []

    work.note("tiny", "the first of all")
    work.tag("no_norm:0", "collapsed")
    assert [run["variant"] for run in work.runs(where=["tag=collapsed"])] == ["no_norm"]
    work.untag("no_norm:0", "collapsed")
    assert work.runs(where=["tag=collapsed"]) == []


def test_errors_are_those_of_the_command(work):
    with pytest.raises(UsageError, match="no run is called 'byl:0'"):
        work.exclude("byl:0", "a typing mistake")
    with pytest.raises(UsageError, match="--retry 'fail'"):
        work.plan(work.spec, retry=["fail"])
    with pytest.raises(UsageError, match="there is nothing in"):
        Workspace("nothing-here", "nothing.db").status()


def test_the_manuals_example_runs(tmp_path, monkeypatch, capfd):
    (program,) = re.findall(
        r"```python\n(.*?)```", (REPO / "docs" / "results.md").read_text(), re.DOTALL
    )
    (tmp_path / "sweeps").symlink_to(REPO / "sweeps")
    monkeypatch.chdir(tmp_path)
    exec(compile(program.replace('"local"', '"inline"'), "results.md", "exec"), {})
    assert "{'COMPLETED': 2}" in capfd.readouterr().out
    assert [run["tags"] for run in Workspace().runs()] == [["first-look"]] * 2
