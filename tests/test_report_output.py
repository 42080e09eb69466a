"""How `sweep report` writes: files by their endings, two settings in two files, one unit a reader."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import planted
import pytest
from planted import run, sweeps_of
from rich.console import Console
from typer.testing import CliRunner

from analysis.figures.files import FIGURE_FORMATS
from analysis.formats import FORMATS, TEXT_FORMATS, Layout
from analysis.papers.rows import load_table, run_table_ids, table_ids, table_of_sweep
from analysis.render.csv_table import as_csv
from analysis.render.json_table import as_document, as_json
from analysis.render.matrix import as_matrix
from analysis.render.notes import setting_words
from analysis.render.overview import overview_json, overview_text
from analysis.render.text import as_text
from analysis.report import published_report
from analysis.tables.completeness import Overview, table_overview
from analysis.tables.settings import Setting
from orchestrator.cli.main import app
from orchestrator.cli.output import format_for
from orchestrator.cli.results.colours import print_coloured
from orchestrator.errors import SweepError, UsageError


@pytest.fixture
def report(root, tmp_path, monkeypatch):
    """Run `sweep report` beside a planned sweep; return its exit status and all that it says."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        done = CliRunner().invoke(app, ["--root", str(root.path), "report", *words])
        if isinstance(done.exception, UsageError):
            return 2, str(done.exception)
        if isinstance(done.exception, SweepError):
            return 1, done.output + str(done.exception)
        return done.exit_code, done.output

    return call


STARTS = {
    "png": b"\x89PNG",
    "svg": b"<?xml",
    "pdf": b"%PDF",
    "md": b"**",
    "csv": b"table,setting,",
    "json": b"{",
    "txt": b"mlp_norm:",
}


@pytest.mark.parametrize("ending", STARTS)
def test_a_file_is_what_its_ending_says(report, tmp_path, ending):
    status, text = report("--table", "mlp_norm", "--out", f"a.{ending}")
    assert status == 0 and f"wrote a.{ending}" in text
    content = (tmp_path / f"a.{ending}").read_bytes()
    assert content.startswith(STARTS[ending]) or ending == "md"


ALLOWED = [*FORMATS]


@pytest.mark.parametrize(
    ("out", "chosen", "says"),
    [
        ("a.doc", None, "no format ends in .doc; allowed: .txt, .md, .tex, .csv, .json"),
        ("a.doc", "csv", "no format ends in .doc"),
        ("a.md", "csv", "but --format says csv; leave --format out, or write --out a.csv"),
        ("a.csv", "text", "or write --out a.txt"),
        ("gone/a.png", None, "the folder gone does not exist; make it: mkdir -p gone"),
        (".", None, "is a folder; name a file in it"),
        ("a", None, "no ending that says its format; write --out a.txt (or .md, .tex, .csv"),
        (None, "doc", "--format 'doc' does not exist; allowed: text, md, latex, csv, json"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_computed(
    tmp_path, monkeypatch, out, chosen, says
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refusal:
        format_for(out and Path(out), chosen, ALLOWED, "text")
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("out", "chosen", "format_"),
    [
        ("a.PDF", None, "pdf"),
        ("a.b.json", "json", "json"),
        ("a", "csv", "csv"),
        (None, "md", "md"),
        (None, None, "text"),
    ],
)
def test_the_format_is_that_of_the_ending_or_the_option(
    tmp_path, monkeypatch, out, chosen, format_
):
    monkeypatch.chdir(tmp_path)
    assert format_for(out and Path(out), chosen, ALLOWED, "text") == format_


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--unit", "fraction", "--out", "a.png"), "--unit is for tables of text; a figure shows"),
        (("--relative", "--figure", "drop", "--out", "a.svg"), "--relative is for tables of text"),
        (("--digits", "2", "--format", "pdf", "--out", "a"), "--digits is for tables of text"),
        (("--per-seed", "--layout", "matrix"), "--per-seed is for --layout rows; a matrix has no"),
    ],
)
def test_a_style_that_changes_nothing_is_refused(report, tmp_path, options, says):
    status, text = report("--table", "norm", *options)
    assert status == 2 and text.startswith(says)
    assert not [*tmp_path.glob("a*")]


def test_two_settings_have_two_figures(report, root):
    first = report("--table", "mlp_norm")[1].splitlines()[-1]
    setting = json.loads(report("--table", "mlp_norm", "--format", "json")[1])["setting"]["id"]
    assert first.endswith(f"mlp_norm-{setting}.png")
    assert [file.name for file in (root.path / "reports").iterdir()] == [f"mlp_norm-{setting}.png"]


def test_a_figure_is_chosen_by_its_kind(report, tmp_path):
    status, text = report("--table", "tau", "--figure", "axis", "--out", "tau.svg")
    assert (status, text) == (0, "wrote tau.svg\n") or (status, text.strip()) == (
        0,
        "wrote tau.svg",
    )
    rows = report("--table", "tau", "--out", "rows.svg")
    assert (
        rows[0] == 0 and (tmp_path / "rows.svg").read_bytes() != (tmp_path / "tau.svg").read_bytes()
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("--figure", "axes", "--out", "a.png"),
            "--figure 'axes' does not exist; allowed: rows, drop",
        ),
        (("--figure", "axis"), "--figure axis is a picture; name its file: --out tau-axis.png"),
        (("--figure", "axis", "--out", "a.md"), "--figure axis is a picture; name its file"),
        (
            ("--figure", "heat_map", "--out", "a.png"),
            "table tau has no figure heat_map: its rows do not differ in just two numbers",
        ),
    ],
)
def test_a_figure_that_cannot_be_says_why(report, words, says):
    status, text = report("--table", "tau", *words)
    assert status == 2 and says in " ".join(text.split())


def test_equal_tables_give_equal_files():
    from analysis.figures.kinds import draw

    built = planted.report(of=load_table("tau"))
    for format_ in FIGURE_FORMATS:
        assert draw(built, "rows", format_) == draw(built, "rows", format_)


def test_a_line_of_a_csv_says_that_it_holds_fractions():
    lines = csv.DictReader(io.StringIO(as_csv(planted.report(run("byol", 0, 0.5)))))
    byol = {line["metric"]: line for line in lines if line["label"] == "BYOL"}
    assert byol["accuracy"]["unit"] == "fraction" and byol["std_sqrt_d"]["unit"] == "1"
    assert byol["accuracy"]["mean"] == "0.5" and byol["accuracy"]["published"] == "0.577"


PUBLISHED_ALONE = [name for name in table_ids() if load_table(name).is_published_only]


@pytest.mark.parametrize("name", PUBLISHED_ALONE)
def test_a_table_that_is_published_alone_shows_every_printed_number(name):
    shown = published_report(load_table(name))
    printed = {
        cell.text
        for row in shown.table.rows.rows.values()
        for cell in row.published.columns.values()
        if cell.text
    }
    text = as_text(shown, width=None)
    assert printed and all(number in text for number in printed)
    assert "no runs yet" not in text and "sweep launch" not in text
    for render in TEXT_FORMATS.values():
        assert render(shown, Layout())


def test_a_table_that_is_published_alone_needs_no_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["report", "--table", "semi_supervised"])
    assert done.exit_code == 0 and "53.2" in done.output and not list(tmp_path.iterdir())


def test_without_a_table_the_tables_are_listed_with_their_settings(report):
    status, text = report()
    assert status == 0 and all(name in text for name in run_table_ids())
    assert "0/7 rows, 0/4 runs done  tiny, " in text
    assert text.splitlines()[-1] == "next: sweep report --table mlp_norm [--setting ID]"
    assert max(map(len, text.splitlines())) <= 80


def test_tables_that_no_sweep_was_made_for_are_named_and_no_more(report):
    """A run of norms fits tables of depths and temperatures too: they would bury its own."""
    lines = report()[1].splitlines()
    headings = [line.partition(":")[0] for line in lines if not line.startswith((" ", "\n"))]
    assert headings == ["mlp_norm", "runs of other tables' sweeps fit", "no runs yet", "", "next"]
    (fitting,) = [line for line in lines if line.startswith("runs of other tables")]
    assert "batch_size" in fitting and "mlp_norm" not in fitting


@pytest.mark.parametrize(
    "words",
    [
        *("report", "report norm", "report --table norm", "show X", "show X:0", "note X hi"),
        *("diff X Y", "forget X", "cancel --run X", "status", "runs"),
    ],
)
def test_where_nothing_was_launched_is_one_line_and_nothing_is_made(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words.split())
    assert str(done.exception).startswith("there is nothing in ")
    assert isinstance(done.exception, UsageError) and not list(tmp_path.iterdir())


def test_a_tables_name_for_a_sweeps_gets_the_option(report):
    status, text = report("norm")
    assert status == 2 and text.endswith("; for the table: sweep report --table norm")
    assert "--table" not in report("mlp")[1]


def test_the_list_counts_rows_and_runs_of_each_setting_and_says_what_differs():
    rows = load_table("mlp_norm")
    runs = [run("byol", seed, 0.7) for seed in (0, 1)]
    runs += [run("no_norm", 0, 0.3), run("no_norm", 1, state="RUNNING")]
    runs += [run("byol", 0, 0.5, overrides={"epochs": 99}, sweep="other")]
    overview = table_overview(rows, runs, sweeps_of(runs))
    counts = {(each.rows_done, each.runs_done, each.runs) for each in overview.settings}
    assert counts == {(1, 3, 4), (1, 1, 1)}
    first = overview.settings[0].setting
    assert f"unlike {first.id}: epochs" in overview_text(Overview([overview]))
    (table,) = json.loads(overview_json(Overview([overview])))["tables"]
    assert set(table) == {"table", "title", "rows", "settings"} and table["rows"] == 7
    assert set(table["settings"][0]) == {
        *("id", "sweep", "launched_at", "description", "rows_done", "runs", "runs_done"),
    }


def test_a_sweep_that_is_not_there_is_named(report):
    assert "no sweep is called 'nope'; sweeps: tiny" in report("nope")[1]


@pytest.mark.parametrize("in_terminal", [True, False])
def test_text_has_colours_in_a_terminal_alone_and_loses_nothing_by_them(in_terminal):
    text = as_text(planted.report(run("byol", 0), run("no_norm", 0, state="FAILED")), width=None)
    shown = io.StringIO()
    print_coloured(text, Console(file=shown, force_terminal=in_terminal, width=20))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue())
    assert plain.rstrip("\n") == text.rstrip("\n")
    assert ("\x1b[32mdone 1/1\x1b[0m" in shown.getvalue()) == in_terminal


@pytest.mark.parametrize(
    "words",
    [
        ["--per-seed"],
        ["--relative"],
        ["--unit", "fraction"],
        ["--digits", "2"],
        ["--wide"],
        ["--strict"],
        ["--protocol", "knn"],
        ["--network", "target"],
        ["--setting", "x"],
    ],
    ids=lambda words: words[0],
)
def test_an_option_of_one_table_is_refused_without_one(report, words):
    status, text = report(*words)
    assert status == 2 and text.startswith(f"{words[0]} needs --table NAME")


def test_strict_ends_with_1_and_names_each_row_that_is_not_done(report):
    status, text = report("--table", "mlp_norm", "--strict")
    assert status == 1 and "rows of mlp_norm are not done and unmarked: " in text


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_a_matrix_goes_on_below_where_the_page_ends(columns):
    narrow = as_matrix(planted.report(of=load_table("norm")), width=columns)
    assert max(map(len, narrow.splitlines())) <= columns
    assert "BYOL, continued" in narrow
    whole = as_matrix(planted.report(of=load_table("norm")))
    assert "continued" not in whole
    assert [whole.count(text) for text in ("73.2", "61.1")] == [
        narrow.count(text) for text in ("73.2", "61.1")
    ]


def test_the_setting_of_a_sweeps_own_variants_names_what_its_baseline_trains_with():
    variants = {
        name: {"method": name, "epochs": epochs}
        for name, epochs in (("byol", 60), ("random", None))
    }
    rows = table_of_sweep("mine", variants, "byol")
    setting = Setting({}, {"dataset.name": "digits"}, [])
    assert setting_words(setting, rows) == "digits; row byol: 60 epochs"
    assert setting_words(setting, load_table("norm")) == "digits"


def test_of_a_table_that_is_published_alone_the_last_columns_leave_first():
    text = as_text(planted.report(of=load_table("places365")), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "Places365  ImageNet  Food101" in text and "left out at this width: SUN397" in text
    assert "Flowers" in as_text(planted.report(of=load_table("places365")), width=None)


def test_other_settings_have_a_line_each_in_json():
    built = planted.report(of=load_table("norm"))
    others = [Setting({"epochs": epochs}, {"epochs": epochs}, []) for epochs in (1, 2)]
    built = replace(built, table=replace(built.table, others=others))
    text = as_json(built)
    assert json.loads(text) == as_document(built)
    assert sum('"epochs"' in line for line in text.splitlines()) == 2
