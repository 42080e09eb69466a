"""A folder of photos may hold the published data or not: no table says that it does, or does not."""

import csv
import io
import json

import planted_database
import pytest
from planted import report, run, seeds_of
from typer.testing import CliRunner

from analysis.figures import facts
from analysis.page.files import as_html
from analysis.papers.rows import load_table
from analysis.render.csv_table import as_csv
from analysis.render.json_table import as_json
from analysis.render.latex import as_latex
from analysis.render.markdown import as_markdown
from analysis.render.text import as_text
from analysis.report import report as rebuilt
from orchestrator.cli.main import app

SENTENCE = "dataset.name folder for stl10: whether it holds STL-10 is not known"
PUBLISHED = {"dataset.name": "stl10", "encoder.arch": "resnet18", "epochs": 10}
FOLDER = {
    **PUBLISHED,
    "dataset.name": "folder",
    "dataset.path": "/photos",
    "augment.rotate_rad": 0.0,
    "augment.shift": 0.0,
    "augment.scale": [1.0, 1.0],
}
VALUES = {"byol": [0.7, 0.71, 0.69], "no_norm": [0.28, 0.29, 0.27]}
"""The printed number of the first row lies outside our interval, that of the second inside."""


def runs_of(overrides):
    runs = []
    for row, values in VALUES.items():
        runs += seeds_of(row, values, overrides=overrides)
    return runs


@pytest.fixture(scope="module")
def of_folder():
    return report(*runs_of(FOLDER))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Where the runs lie, as options of `sweep`."""
    folder = tmp_path_factory.mktemp("folder")
    (folder / "runs").mkdir()
    db = planted_database.write(folder / "results.db", runs_of(FOLDER))
    return ["--root", str(folder / "runs"), "--db", db]


def words_of(text):
    return " ".join(text.split())


@pytest.mark.parametrize("render", [as_text, as_markdown, as_latex])
def test_it_is_said_once_beside_the_published_setting(of_folder, render):
    text = words_of(render(of_folder)).replace("\\", "").replace("texttt", "")
    assert text.count(SENTENCE) == 1
    assert text.index("Albrecht 2020") < text.index(SENTENCE) < text.index("BYOL")


def test_the_page_says_it_beside_the_published_setting(places):
    shown = as_html(places[-1], rebuilt(places[-1], "mlp_norm")).decode()
    assert shown.count(SENTENCE) == 1
    assert shown.index("<dt>published</dt>") < shown.index(SENTENCE) < shown.index("<dt>ours</dt>")


def test_a_place_is_never_told_without_its_condition(of_folder):
    text = words_of(as_text(of_folder))
    outside = "BYOL: published 57.7 lies 9.8 points below [67.5, 72.5], n 3"
    assert f"{outside}, if the data are the published." in text

    document = json.loads(as_json(of_folder))
    assert document["published_setting_unknown"] == SENTENCE
    lies = {row["label"]: row["published_lies"] for row in document["rows"]}
    assert lies["BYOL"] == f"outside; {SENTENCE}"
    assert lies["No normalization"] == f"inside; {SENTENCE}"

    cells = csv.DictReader(io.StringIO(as_csv(of_folder)))
    places = [line["published_lies"] for line in cells if line["metric"] == "accuracy"]
    assert {place for place in places if place.startswith(("in", "out"))} == {
        f"outside; {SENTENCE}",
        f"inside; {SENTENCE}",
    }


def test_another_difference_stands_alone_and_nothing_is_compared():
    shown = report(*runs_of({**FOLDER, "epochs": 5}))
    text = words_of(as_text(shown))
    assert "published and ours differ (epochs 5 for 10): compare the order" in text
    assert text.count(SENTENCE) == 1 and "lies" not in text
    assert {*shown.main["published_lies"]} == {"not comparable"}


def test_a_figure_keeps_the_sides_apart_and_says_why(of_folder):
    assert not facts.is_comparable(of_folder)
    footers = " ".join(facts.footers(of_folder, "mean"))
    assert footers.count(SENTENCE) == 1 and "Another setting" not in footers
    assert facts.is_comparable(report(*runs_of(PUBLISHED)))


@pytest.mark.parametrize("data", ["stl10", "digits", "cifar10"])
def test_a_data_set_with_a_name_is_in_no_doubt(data):
    shown = report(run("byol", 0, overrides={**PUBLISHED, "dataset.name": data}))
    assert "not known" not in words_of(as_text(shown)).partition("ours:")[0]
    assert json.loads(as_json(shown))["published_setting_unknown"] is None
    assert (data == "stl10") == ("published and ours differ" not in words_of(as_text(shown)))


def test_what_the_paper_profile_trains_on_is_named_as_its_source_writes_it():
    like = {"dataset.name": "folder", "encoder.arch": "resnet50", "epochs": 300}
    table = load_table("norm")
    assert table.unknown_data(like) == (
        "dataset.name folder for imagenet: whether it holds ImageNet is not known"
    )
    assert table.unlike_published(like) == {}
    assert [*table.unlike_published({**like, "dataset.name": "digits"})] == ["dataset.name"]


def test_why_says_it_too(places):
    text = CliRunner().invoke(app, [*places, "why", "mlp_norm", "byol"]).output
    assert words_of(text).count(SENTENCE) == 1
    as_document = CliRunner().invoke(app, [*places, "why", "mlp_norm", "byol", "--json"]).output
    assert json.loads(as_document)["published_setting_unknown"] == SENTENCE
