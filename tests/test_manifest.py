"""A manifest names the files behind every number; `sweep verify` derives the numbers from them again."""

import json
import shutil

import pytest
from conftest import SPEC
from finished import by_name, copy_root, finish, judge, plan_runs
from typer.testing import CliRunner

from byol_core.files import read_json, write_json
from orchestrator.cli.main import app
from orchestrator.errors import SweepError

VALUES = {
    ("byol", 0): 0.81,
    ("byol", 1): 0.83,
    ("byol", 2): 0.82,
    ("no_norm", 0): 0.32,
    ("no_norm", 1): 0.35,
    ("no_norm", 2): 0.30,
}
SIGNS = {"byol": 0.8, "no_norm": 0.02}


class Here:
    """A root, a database and a manifest in a folder of their own."""

    def __init__(self, path, root):
        self.path, self.root = path, root
        self.manifest = path / "table.json"

    def call(self, *words, db="results.db"):
        """Run `sweep`; return its exit status and all that it says."""
        places = ["--root", str(self.root.path), "--db", str(self.path / db)]
        done = CliRunner().invoke(app, [*places, *map(str, words)])
        if isinstance(done.exception, SweepError):
            return done.exception.exit_status, str(done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    def write(self, *words):
        status, text = self.call(
            "report", "--table", "mlp_norm", "--format", "csv", "--manifest", self.manifest, *words
        )
        assert status == 0, text
        return json.loads(self.manifest.read_text())

    def verify(self, db="results.db"):
        status, text = self.call("verify", self.manifest, db=db)
        assert "Traceback" not in text
        return status, " ".join(text.split())

    def edit(self, change):
        content = json.loads(self.manifest.read_text())
        change(content)
        self.manifest.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A finished sweep of six runs with its manifest; tests copy it."""
    path = tmp_path_factory.mktemp("written")
    spec = path / "tiny.yaml"
    spec.write_text(SPEC.replace("seeds: [0, 1]", "seeds: [0, 1, 2]"))
    here = Here(path, plan_runs(path / "root", spec))
    for (variant, seed), run in by_name(here.root).items():
        finish(run, VALUES[variant, seed], std_sqrt_d=SIGNS[variant] + seed / 1000)
    here.write()
    return here


@pytest.fixture
def here(written, tmp_path):
    copy = Here(tmp_path, copy_root(written.root, tmp_path / "root"))
    shutil.copy(written.manifest, copy.manifest)
    copy.runs = by_name(copy.root)
    return copy


def rows_of(content):
    return {row["key"]: row for row in content["rows"]}


def test_it_holds_the_numbers_and_where_they_came_from(written):
    content = json.loads(written.manifest.read_text())
    row = rows_of(content)["no_norm"]
    assert row["n"] == 3 and row["mean"] == pytest.approx((0.32 + 0.35 + 0.30) / 3)
    assert row["baseline"] == "byol" and row["delta"] == pytest.approx(row["mean"] - 0.82)
    assert row["collapsed"] == [3, 3] and row["delta_ci95"][0] < row["delta"] < row["delta_ci95"][1]

    runs = {run["run_id"]: run for run in content["runs"]}
    first = runs[row["runs"][0]]
    assert first["value"] == 0.32 and first["seed"] == 0 and first["attempt"] == 1
    assert first["commit"].startswith("c0ffee") and first["snapshot"] == "5" * 64
    assert first["trainer"] == "7" * 64 and len(first["data"]) == 64
    assert {*first["files"]} >= {"attempts/0001/done.json", "run.json"}
    assert all(len(digest) == 64 for digest in first["files"].values())


def test_it_holds_no_path_and_nothing_of_the_environment(written):
    text = written.manifest.read_text()
    for word in (str(written.path), "secret", "HOME", "/home"):
        assert word not in text


def test_its_bytes_are_the_same_each_time(written, here):
    before = written.manifest.read_bytes()
    here.write()
    assert here.manifest.read_bytes() == before


def test_what_nobody_touched_is_the_same_without_any_database(here):
    status, text = here.verify(db="none.db")
    assert status == 0, text
    assert "same BYOL (n 3)" in text
    assert text.endswith("7 rows: every number is the same by the files")
    assert not (here.path / "none.db").exists()


def test_the_database_is_not_believed(here):
    import sqlite3

    here.call("status")
    with sqlite3.connect(here.path / "results.db") as connection:
        connection.execute("UPDATE evaluations SET value = 0.99")
    assert here.verify()[0] == 0


def _edited_evaluation(here):
    judge(here.runs["no_norm", 1], 0.75)


def _edited_result(here):
    file = here.runs["no_norm", 1].attempt(1).done
    done = read_json(file)
    done["final"]["std_sqrt_d"] = 0.7
    write_json(file, done)


def _edited_time(here):
    file = here.runs["no_norm", 1].attempt(1).done
    write_json(file, {**read_json(file), "wall_s": 2.0})


def _deleted_run(here):
    shutil.rmtree(here.runs["no_norm", 1].path)


def _deleted_result(here):
    here.runs["no_norm", 1].attempt(1).done.unlink()


def _deleted_evaluation(here):
    shutil.rmtree(here.runs["no_norm", 1].path / "evaluations")


def _damaged_result(here):
    here.runs["no_norm", 1].attempt(1).done.write_text('{"outcome": ')


def _another_attempt(here):
    run = here.runs["no_norm", 1]
    shutil.rmtree(run.path / "evaluations")
    finish(run, 0.5, attempt=2)


def _excluded(here):
    run = here.runs["no_norm", 1]
    assert here.call("exclude", run.run_id[:10], "--because", "a broken disk")[0] == 0


def _other_config(here):
    run = here.runs["no_norm", 1]
    content = read_json(run.description)
    content["canonical"]["projector.norm"] = "bn"
    write_json(run.description, content)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_edited_evaluation, ["mean 0.323333 in the manifest, 0.456667", "has another sha256"]),
        (
            _edited_result,
            ["collapsed [3, 3] in the manifest, [2, 3]", "0001/done.json has another"],
        ),
        (_edited_time, ["attempts/0001/done.json has another sha256"]),
        (_deleted_run, ["n 3 in the manifest, 2 by the files", "its folder is missing"]),
        (_deleted_result, ["done.json is missing", "n 3 in the manifest, 2"]),
        (_deleted_evaluation, ["is missing", "value 0.35 in the manifest, none by the files"]),
        (_damaged_result, ["done.json has another sha256", "n 3 in the manifest, 2"]),
        (_another_attempt, ["attempt 1 in the manifest, 2 by the files", "value 0.35"]),
        (_excluded, ["excluded False in the manifest, True by the files"]),
        (_other_config, ["its run.json has other settings"]),
    ],
)
def test_what_changed_is_named_in_its_row(here, change, says):
    change(here)
    status, text = here.verify()
    assert status == 1, text
    for word in ["DIFFERS No normalization", "same BYOL (n 3)", *says]:
        assert word in text
    assert text.endswith("1 of 7 rows not the same by the files")


def test_a_change_of_the_baseline_shows_in_what_is_compared_with_it(here):
    judge(here.runs["byol", 0], 0.5)
    status, text = here.verify()
    assert status == 1 and text.endswith("2 of 7 rows not the same by the files")
    assert "DIFFERS No normalization (n 3) delta -0.496667" in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: rows_of(content)["byol"].update(mean=0.9), "mean 0.9 in the manifest"),
        (lambda content: rows_of(content)["byol"].update(p_holm=0.01), "p_holm 0.01"),
        (lambda content: content["runs"][0].update(commit="f" * 40), "commit ffffffffff"),
        (lambda content: rows_of(content)["no_norm"].update(baseline=None), "baseline none"),
    ],
)
def test_an_edited_manifest_is_found_out(here, change, says):
    here.edit(change)
    status, text = here.verify()
    assert status == 1 and says in text


def test_a_run_of_the_manifest_that_never_was_is_missing(here):
    def rename(content):
        text = json.dumps(content).replace(content["runs"][0]["run_id"], "0" * 64)
        content.clear()
        content.update(json.loads(text))

    here.edit(rename)
    status, text = here.verify()
    assert status == 1 and "run 0000000000 seed 0: its folder is missing" in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content.update(version=99), "is a manifest of version 99, this program"),
        (lambda content: content.update(version="x"), "is a manifest of version x"),
        (lambda content: content.update(kind="other"), "is no manifest"),
        (lambda content: content.pop("rows"), "is no whole manifest: rows"),
        (lambda content: content["runs"][0].update(run_id="../../etc"), "no whole manifest: runs"),
        (lambda content: content["table"].update(protocol="../x"), "table.protocol"),
        (lambda content: content["runs"].pop(), "is named and not there"),
        (lambda content: content["rows"].append(content["rows"][0]), "stands in it twice"),
        (
            lambda content: content["table"].update(baselines=["gone"]),
            "gone is named and not there",
        ),
    ],
)
def test_what_is_no_manifest_of_ours_is_refused_in_one_line(here, change, says):
    here.edit(change)
    status, text = here.call("verify", here.manifest)
    assert status == 2 and says in text and "\n" not in text.strip()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_a_file_that_holds_something_else_is_refused(here, content):
    here.manifest.write_bytes(content)
    status, text = here.call("verify", here.manifest)
    assert status == 2 and "sweep report --manifest FILE" in text


def test_a_missing_file_and_a_missing_root_are_named(here):
    status, text = here.call("verify", here.path / "gone.json")
    assert status == 2 and "gone.json: cannot be read" in text
    shutil.rmtree(here.root.path)
    status, text = here.call("verify", here.manifest, db="none.db")
    assert status != 0 and "root" in text


def test_runs_of_another_root_are_found_through_the_database(here, tmp_path):
    here.call("status")
    other = Here(tmp_path, here.root)
    other.root = plan_runs(tmp_path / "empty", _spec(tmp_path))
    assert other.verify()[0] == 0
    assert other.verify(db="none.db")[0] == 1


def _spec(path):
    spec = path / "tiny.yaml"
    spec.write_text(SPEC)
    return spec


def test_a_manifest_of_a_table_without_runs_is_one_too(tmp_path):
    here = Here(tmp_path, plan_runs(tmp_path / "root", _spec(tmp_path)))
    assert (
        here.call("report", "--table", "lambda_mu", "--format", "csv", "--manifest", here.manifest)[
            0
        ]
        == 0
    )
    status, text = here.verify()
    assert status == 0 and "lambda_mu, 0 runs" in text


def test_a_manifest_of_a_sweeps_own_variants_needs_no_table_of_a_paper(here):
    words = ["report", "tiny", "--table", "variants", "--format", "csv"]
    assert here.call(*words, "--manifest", here.manifest)[0] == 0
    assert here.verify()[0] == 0


def test_where_no_manifest_can_lie_is_said_before_anything_is_read(here):
    status, text = here.call("report", "--table", "norm", "--manifest", here.path / "no" / "m.json")
    assert status == 2 and "--manifest" in text and "mkdir -p" in text
    status, text = here.call("report", "--manifest", here.manifest)
    assert status == 2 and "--manifest needs --table NAME" in text


def test_a_run_that_is_deleted_while_a_manifest_is_made_is_named(here):
    from analysis.report import report
    from orchestrator.cli.context import Places
    from orchestrator.cli.results.manifest import manifest_bytes
    from orchestrator.errors import StoreError

    here.call("status")
    places = Places(here.root, str(here.path / "results.db"))
    built = report(places.db, "mlp_norm")
    shutil.rmtree(here.runs["byol", 0].path)
    here.call("status")
    with pytest.raises(StoreError, match="was deleted while the manifest was made; try again"):
        manifest_bytes(places, built)


def test_json_says_row_by_row_what_is_the_same(here):
    status, text = here.call("verify", here.manifest, "--json")
    said = json.loads(text)
    assert (
        status == 0
        and said["same"]
        and len(said["rows"]) == len(rows_of(json.loads(here.manifest.read_bytes())))
    )
    shutil.rmtree(next(iter(here.runs.values())).path)
    status, text = here.call("verify", here.manifest, "--json")
    said = json.loads(text[text.index("{") :])
    assert status == 1 and not said["same"]
    assert any(row["differing_runs"] for row in said["rows"])
