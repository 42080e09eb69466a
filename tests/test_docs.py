"""The manual: every command has help and a place in it, its examples run, its links lead somewhere."""

import re
import shlex

import pytest
import typer
from conftest import REPO
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.spec import expand, load_sweep

MANUAL = (REPO / "docs" / "command-line.md").read_text()
COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_stands_in_the_manual(name):
    assert COMMANDS[name].help and f"sweep {name}" in MANUAL


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_stands_in_the_manual(name):
    options = {
        option
        for parameter in COMMANDS[name].params
        for option in parameter.opts
        if option.startswith("--")
    }
    missing = {option for option in options - {"--help"} if option not in MANUAL}
    assert not missing


def examples():
    return [line.strip() for line in MANUAL.splitlines() if line.startswith("    sweep ")]


@pytest.mark.slow
def test_the_manuals_examples_run(fake_slurm, sweep, tmp_path):
    """In one folder, in order; launches are shortened to an epoch; the SLURM that `doctor` finds is
    the scripted one.
    """
    assert len(examples()) >= 7
    (tmp_path / "sweeps").symlink_to(REPO / "sweeps")
    for example in examples():
        words = shlex.split(example)[1:]
        shorter = ["--set", "epochs=1"] if words[0] == "launch" else []
        done = sweep(*words, *shorter)
        judges_this_machine = words[0] == "doctor"  # and may find that something fails here
        assert done.returncode == 0 or (judges_this_machine and done.returncode == 1), (
            f"{example}\n{done.stdout}{done.stderr}"
        )


@pytest.mark.parametrize(
    "example",
    [line for line in examples() if line.split()[1] in ("report", "keys", "schema", "init")],
)
def test_the_manuals_examples_that_need_no_runs_run(root, tmp_path, monkeypatch, example):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(example)[1:]
    done = CliRunner().invoke(app, ["--root", str(root.path), *words])
    assert done.exit_code == 0 and done.stdout


CLUSTER = (REPO / "docs" / "slurm.md").read_text()


@pytest.mark.slow
def test_the_cluster_pages_examples_run_on_the_scripted_slurm(fake_slurm, sweep, tmp_path):
    """In order; the probe job does not start there, and says why."""
    (tmp_path / "sweeps").symlink_to(REPO / "sweeps")
    for line in [line.strip() for line in CLUSTER.splitlines() if line.startswith("    sweep ")]:
        words = shlex.split(line)[1:]
        probing = ["--wait-min", "0.1"] if "--submit" in words else []
        sweep(*words, *probing, check=1 if probing else 0)
    assert len(fake_slurm.jobs("PENDING")) == 4  # of smoke.yaml


def test_the_cluster_pages_reasons_are_those_of_status():
    from orchestrator.slurm.reasons import STUCK, explain

    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", CLUSTER, re.MULTILINE)
    told = {word: text for word, text in rows if word in re.findall(r"`([A-Z]\w+)`", CLUSTER)}
    assert all(explain(word) == f"{text} ({word})" for word, text in told.items())

    # What never passes by itself stands there whole, but for what SLURM writes as a sentence.
    assert {word for word in STUCK if re.fullmatch(r"[A-Z]\w+", word)} <= set(told)


def test_the_pages_call_the_doctors_purpose_as_its_help_does():
    pages = ("README.md", "docs/slurm.md", "docs/command-line.md", "docs/parts.md")
    assert "what will go wrong" in COMMANDS["doctor"].help
    for page in pages:
        text = (REPO / page).read_text()
        assert "what will go wrong" in text and "will bite" not in text


def test_the_cluster_pages_clusters_file_is_valid(tmp_path, monkeypatch):
    from orchestrator.spec.clusters import load_clusters

    (text,) = re.findall(r"```yaml\n(.*?)```", CLUSTER, re.DOTALL)
    (tmp_path / "clusters.yaml").write_text(text)
    monkeypatch.setenv("SWEEP_CLUSTERS", str(tmp_path / "clusters.yaml"))
    assert load_clusters().clusters["bigiron"].max_jobs == 200


def test_the_cluster_page_tells_the_rules_of_trying_again():
    from orchestrator.store.retry import AUTOMATIC, RULES
    from orchestrator.store.state import State

    assert {State.STOPPED, State.PREEMPTED, State.LOST, State.TIMEOUT} == AUTOMATIC
    assert (
        RULES[State.PREEMPTED].idle == RULES[State.LOST].idle == 3
        and RULES[State.TIMEOUT].idle == 1
    )


def test_the_manuals_spec_expands(tmp_path):
    page = (REPO / "docs" / "spec.md").read_text()
    text, *_ = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "spec.yaml").write_text(text)
    for profile in (None, "small"):
        assert len(expand(load_sweep(tmp_path / "spec.yaml", profile))) == 3


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{file.name}" for file in sorted((REPO / "docs").glob("*.md")))]
)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (REPO / page).read_text()):
        assert ((REPO / page).parent / target).exists(), f"{page} links to {target}"


def test_the_readme_shows_the_two_commands_on_top():
    assert re.search(r"make demo.*\n.*make test", (REPO / "README.md").read_text()[:1500])


def test_the_manual_names_every_key_of_status_json():
    from orchestrator.status.run_status import RunStatus
    from orchestrator.status.sweep_status import SweepStatus

    keys = (
        set(SweepStatus("x", 0.0).as_json())
        | set(RunStatus.__dataclass_fields__)
        | {"progress", "group", "why"}
    )
    assert not {key for key in keys if f"`{key}`" not in MANUAL}


def test_the_manual_names_every_variable_that_is_recorded():
    from orchestrator.provenance.origin import _RECORDED

    page = (REPO / "docs" / "results.md").read_text()
    assert not {name for name in _RECORDED if f"`{name}`" not in page}


@pytest.mark.parametrize("name", ["reliability.md", "trainer.md"])
def test_a_page_names_tests_that_exist(name):
    page = (REPO / "docs" / name).read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    there = {
        name
        for file in (REPO / "tests").glob("test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    assert len(named) > 40 and not named - there


def test_every_pitfall_has_a_test_or_a_reason():
    page = (REPO / "docs" / "trainer.md").read_text()
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 48))
    assert not [number for number, cell in rows if not re.match(r"`test_\w+`|none\b.*: ", cell)]


def test_the_page_on_the_database_names_every_table_and_column():
    from orchestrator.database.schema import metadata

    page = (REPO / "docs" / "database.md").read_text()
    for table in metadata.tables.values():
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{table.name}` |")]
        assert set(re.findall(r"`(\w+)`", line)[1:]) == {column.name for column in table.columns}, (
            table.name
        )


def test_the_spec_page_names_every_key_of_resources():
    from orchestrator.spec.resources import VariedResources

    page = (REPO / "docs" / "spec.md").read_text()
    assert not {key for key in VariedResources.model_fields if f"`{key}`" not in page}
