"""`sweep why TABLE ROW` prints where a cell comes from, or why it has no number."""

import json

import planted_database
import pytest
from planted import run, seeds_of
from typer.testing import CliRunner

from analysis.papers.rows import load_table
from orchestrator.cli.main import app
from orchestrator.cli.results import why_text
from orchestrator.errors import SweepError


@pytest.fixture
def why(tmp_path, monkeypatch):
    """Ask for a row of planted runs; return all that is said, with its line breaks."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()

    def ask(runs, *words, width=120, **attempt):
        monkeypatch.setattr("orchestrator.cli.results.why.page_width", lambda: width)
        db = tmp_path / "results.db"
        db.unlink(missing_ok=True)
        if runs:
            planted_database.write(db, runs, **attempt)
        places = ["--root", str(tmp_path / "runs"), "--db", str(db)]
        done = CliRunner().invoke(app, [*places, "why", *words])
        if isinstance(done.exception, SweepError):
            return str(done.exception)
        assert done.exit_code == 0, done.exception
        return done.output

    return ask


def on_one_line(text):
    return " ".join(text.split())


BYOL = [*seeds_of("byol", [0.71, 0.72, 0.73])]


def test_a_number_has_its_runs_attempts_source_and_commands(why):
    runs = [*BYOL, *seeds_of("no_norm", [0.11, 0.12, 0.14], spread=0.02)]
    text = why(runs, "mlp_norm", "no_norm")
    assert text.startswith("mlp_norm: No normalization (row no_norm)\n")
    said = on_one_line(text)
    for words in (
        "state done 3/3",
        "ours 12.3 ± 3.8, n 3, vs baseline -59.7",
        "published 28.3, Fetterman & Albrecht 2020 (blog)",
        "mark c collapsed 3/3: runs whose projections shrank to almost one point; they count in n",
        "settings that it has for those of BYOL: predictor.norm none for bn",
        "completed, 11.0 %, collapsed",
        "attempt 1 completed, local on node-1 (cpu, AMD EPYC), commit a7c46421e0, trainer 53c0e40953",
        "sweep --root /data/sweep-runs launch",
        "--only no_norm --seeds 0,1,2 --rerun",
        "--reproduce",
    ):
        assert words in said
    assert "no number" not in said


def test_a_row_is_named_by_its_key_or_its_label(why):
    assert why(BYOL, "mlp_norm", "byol") == why(BYOL, "mlp_norm", "BYOL")
    assert "row no_norm" in why(BYOL, "mlp_norm", "no normalization")
    text = why(BYOL, "mlp_norm", "no_nrom")
    assert "has no row 'no_nrom'; did you mean 'no_norm'?" in text and "\n" not in text


@pytest.mark.parametrize(
    ("runs", "row", "says"),
    [
        (
            seeds_of("no_norm", [0.1, 0.2], overrides={"optimizer.lr": 0.3}, sweep="other"),
            "no_norm",
            [
                "absent",
                "no run of this setting is of this row",
                "2 runs at setting",
                "optimizer.lr 0.3",
            ],
        ),
        (
            [],
            "layer_norm",
            ["nor is any run of another setting", "sweep launch SPEC --table mlp_norm"],
        ),
        (
            [run("no_norm", 0, state="FAILED", outcome=None, evaluations={}, final={})],
            "no_norm",
            [
                "failed 0/3",
                "though a spec asks for it: seed 1, 2",
                "none of its runs has a result yet",
                "seed 0",
                "failed, it burned",
            ],
        ),
        (
            [run("no_norm", 0, excluded="wrong lens")],
            "no_norm",
            ["people left out all of its runs", "left out: wrong lens", "mark e"],
        ),
        (
            [run("no_norm", 0, evaluations={})],
            "no_norm",
            ["mark j", "put a missing file back"],
        ),
        (
            [run("no_norm", 0, outcome="diverged", evaluations={})],
            "no_norm",
            ["mark d", "diverged"],
        ),
    ],
)
def test_a_cell_without_a_number_says_why(why, runs, row, says):
    said = on_one_line(why([*BYOL, *runs], "mlp_norm", row, reason="it burned"))
    for words in ["no number", *says]:
        assert words in said


def test_a_table_without_runs_says_how_to_start_some(why):
    said = on_one_line(why([], "mlp_norm", "byol"))
    assert "there are no runs yet: sweep launch SPEC --table mlp_norm" in said
    assert "published 57.7" in said and "disputed: " in said


def test_what_was_not_recorded_is_said_to_be_not_known(why):
    runs = [*BYOL, *seeds_of("no_norm", [0.1, 0.2])]
    said = on_one_line(why(runs, "mlp_norm", "byol", host=None, device=None, origin=None))
    assert "local on a machine not known (device not known), commit not known" in said


def test_lines_fit_the_page_but_for_commands(why):
    runs = [*BYOL, *seeds_of("no_norm", [0.11, 0.12, 0.14], spread=0.02)]
    text = why(runs, "mlp_norm", "no_norm", width=80)
    long_lines = [line for line in text.splitlines() if len(line) > 80]
    assert all(line.startswith("  sweep ") for line in long_lines)


def test_no_name_steers_a_terminal(why):
    hostile = "\x1b[31m\nred\u202e"
    origin = {**planted_database.ORIGIN, "commit": hostile}
    runs = [*BYOL, run("no_norm", 0, excluded=hostile)]
    text = why(runs, "mlp_norm", "no_norm", reason=hostile, host=hostile, origin=json.dumps(origin))
    assert "\x1b" not in text and "\u202e" not in text and "\ufffd" in text


def test_what_cannot_be_asked_is_said_in_one_line(why):
    for words, says in (
        (["mlp_nrm", "byol"], "did you mean 'mlp_norm'?"),
        (["mlp_norm", "byol", "--setting", "zz"], "has no setting 'zz'"),
        (["mlp_norm", "byol", "--sweep", "gone"], "no sweep is called 'gone'"),
        (["variants", "byol"], "sweep why variants ROW --sweep SWEEP"),
        (["./gone.yaml", "byol"], "gone.yaml"),
    ):
        text = why(BYOL, *words)
        assert says in text and "\n" not in text.strip()


def test_many_keys_are_counted():
    differing = {f"key{number}": (1, 2) for number in range(20)}
    assert why_text._pairs(differing)[-1] == "and 8 keys more"


def test_a_table_that_is_published_alone_needs_neither_root_nor_database(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["why", "places365", "byol"])
    labels = str(done.exception)
    assert "has no row 'byol'" in labels
    row = next(iter(load_table("places365").rows))
    text = on_one_line(CliRunner().invoke(app, ["why", "places365", row]).output)
    assert "published Places365 51.0" in text
    assert "Grill et al. 2020" in text and not [*tmp_path.iterdir()]
    done = CliRunner().invoke(app, ["why", "places365", row, "--sweep", "a"])
    assert "--sweep is for tables of runs" in str(done.exception)


def test_json_holds_the_same_trail(why):
    said = json.loads(why(BYOL, "mlp_norm", "byol", "--json"))
    assert (said["table"], said["row"], said["n"]) == ("mlp_norm", "byol", 3)
    assert [run["value"] for run in said["runs"]] == [0.71, 0.72, 0.73]
    assert said["runs"][0]["attempts"][0]["number"] == 1 and said["commands"]
    printed = json.loads(why(BYOL, "places365", "byol_places", "--json"))
    assert printed["published_as_printed"] == "53.2" and printed["runs"] == []
