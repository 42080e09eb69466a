"""What the papers print: every number against the reference, the schema of the files, and what is
known of a number beside its value.
"""

import json
from functools import cache

import pytest
from conftest import REPO
from ruamel.yaml import YAML

from analysis.papers.chance import CLASSES, chance_of
from analysis.papers.printed_reader import printed_table, read_printed
from analysis.papers.rows import UnknownTableError, load_table
from analysis.papers.strict_file import TableFileError
from analysis.papers.table_names import (
    SHOWN_IN,
    file_of_table,
    only_table,
    published_files,
    run_table_ids,
    table_ids,
    tables_in,
)
from byol_core.config import PROTOCOLS
from byol_core.config.presets import PRESETS

REFERENCE = REPO.parent / "shared" / "reference" / "published.yaml"
needs_reference = pytest.mark.skipif(
    not REFERENCE.exists(), reason="the reference is not in this checkout"
)
OURS_ALONE = {"init_scale"}
"""A sentence of a paper that the reference has no table for."""
TABLES = sorted(file_of_table())
NUMBERS = {
    "positive_cosine": "pos",
    "negative_cosine": "neg",
}
"""Our column → the reference's word."""
SPREADS = {"top1": "pm", "ep100": "pm100", "ep300": "pm300", "ep500": "pm500"}


@cache
def reference():
    return YAML(typ="safe").load(REFERENCE.read_text())


@cache
def reference_tables():
    tables = {table["id"]: table for table in reference()["tables"]}

    # The cosines of the blog's rows stand beside their accuracies here.
    cosines = {row["key"]: row for row in tables.pop("blog_cosine")["rows"]}
    for row in tables["blog_mlp_norm"]["rows"]:
        row.update(cosines.get(row["key"], {}))
    return tables


def printed(table):
    return printed_table(file_of_table()[table], table)


def is_same(key, theirs, ours):
    if key == "where":
        return theirs.startswith(ours)
    return theirs == ours


def row_of_reference(table, at):
    rows = [
        row
        for row in reference_tables()[table]["rows"]
        if all(key not in row or is_same(key, row[key], value) for key, value in at.items())
    ]
    assert rows, (table, at)
    return rows[0]


def number(value):
    return None if value is None else pytest.approx(value, rel=1e-9)


# Against the reference


@needs_reference
def test_every_table_that_was_seen_is_shipped_and_no_other():
    seen = {key for key, table in reference_tables().items() if table["verified"] is not False}
    assert set(TABLES) - OURS_ALONE == seen
    assert len(seen) == 51 and "wmse_byol" not in table_ids()


@needs_reference
@pytest.mark.parametrize("table", [name for name in TABLES if name not in OURS_ALONE])
def test_every_published_number_is_that_of_the_reference(table):
    for key, row in printed(table).rows.items():
        theirs = row_of_reference(table, row.at)
        by_method = {name.partition("_")[0] for name in theirs if name.endswith("_top1")}
        for name, cell in row.published.columns.items():
            word = NUMBERS.get(name, name)
            method = row.at.get("method")
            if word not in theirs and method in by_method:
                word = f"{method}_{name}"
            scale = 100 if printed(table).columns[name].unit == "percent" else 1
            if cell.bound is None:
                ours = None if cell.value is None else cell.value * scale
                assert ours == number(theirs.get(word)), (key, name)
            pm = None if cell.pm is None else cell.pm * scale
            spread = SPREADS.get(name, f"{name}_pm")
            if word != name and name not in NUMBERS:
                spread = word.replace("top1", "pm") if name == "top1" else f"{word}_pm"
            assert pm == number(theirs.get(spread)), (key, name)


@needs_reference
@pytest.mark.parametrize("table", [name for name in TABLES if name not in OURS_ALONE])
def test_no_number_of_the_reference_is_missing(table):
    ours = list(printed(table).rows.values())
    shown = sum(cell.value is not None for row in ours for cell in row.published.columns.values())
    wanted = 0
    coordinates = {key for row in ours for key in row.at}
    for row in reference_tables()[table]["rows"]:
        wanted += sum(
            isinstance(value, int | float) and not isinstance(value, bool)
            for key, value in row.items()
            if key not in coordinates and "pm" not in key and key not in NOT_RESULTS
        )
    assert shown == wanted - PRINTED_TWICE.get(table, 0)


NOT_RESULTS = {"lr", "weight_decay", "gn_groups", "batch_size", "trunk_wd"}
PRINTED_TWICE = {"target_modes": 1, "optimal_predictor": 1}
"""Settings that are printed twice, with two numbers: the second is in the row's `disputed`."""


@needs_reference
@pytest.mark.parametrize("table", [name for name in TABLES if name not in OURS_ALONE])
def test_what_was_read_off_a_figure_is_marked_with_its_error(table):
    is_figure = reference_tables()[table]["verified"] == "figure"
    for row in printed(table).rows.values():
        first = next(iter(row.published.columns.values()))
        assert (first.error is not None) == (is_figure and first.value is not None)
        assert first.error is None or first.text.startswith("≈")
    seeds = reference_tables()[table].get("seeds")
    if isinstance(seeds, int):
        assert printed(table).seeds == seeds


@needs_reference
def test_the_blogs_cosines_are_printed_or_read_off_a_figure_as_the_reference_says():
    for row in printed("blog_mlp_norm").rows.values():
        theirs = row_of_reference("blog_mlp_norm", row.at)
        assert row.published.cosines_printed == theirs.get("printed", False)
        if "pos" in theirs and not theirs["printed"]:
            assert row.published.columns["negative_cosine"].error == 0.01


@needs_reference
def test_nothing_that_was_only_remembered_is_shipped():
    remembered = {
        str(value)
        for table in reference()["tables"]
        for row in table["rows"]
        for value in row.get("from_memory", {}).values()
    }
    assert len(remembered) == 4
    text = "".join(published_files().values())
    assert not [value for value in remembered if value in text]
    assert "from_memory" not in text


@needs_reference
def test_no_sentence_is_copied_from_the_reference():
    text = "".join(published_files().values())
    words = ("note", "title", "comment", "footnote")
    texts = [
        part.get(word)
        for table in reference()["tables"]
        for part in (table, *table["rows"])
        for word in words
    ]
    long = [text for text in texts if text and len(text) > 60]
    assert len(long) > 20 and not [sentence for sentence in long if sentence in text]


DISPUTES = {
    "hard-copied target, predictor on, no negatives, lambda = mu = 1, 300 epochs": ("tau", "tau_0"),
    "optimal linear predictor, no target network": (
        "optimal_predictor",
        "optimal_linear_on_batch",
    ),
    "raised predictor lr, no target network": ("optimal_predictor", "mlp_higher_lr"),
    "BYOL 300-epoch baseline": ("norm_components", "byol_bn_bn_bn"),
    "SimCLR 300-epoch baseline": ("norm_components", "simclr_bn_bn"),
    "predictor, online target with gradient, beta 1": ("negatives", "mlp_online_beta_1"),
    "GN+WS at 1000 epochs": ("norm_variants", "gn_ws"),
    "does SimCLR survive without any normalization?": ("norm_components", "simclr_none_none"),
    "blog BYOL at epoch 10": ("blog_mlp_norm", "base"),
}
"""What the reference lists as disagreement → the row that says so."""


@needs_reference
def test_every_disagreement_of_the_sources_is_data_of_a_row():
    assert {entry["what"] for entry in reference()["discrepancies"]} == set(DISPUTES)
    for entry in reference()["discrepancies"]:
        table, key = DISPUTES[entry["what"]]
        published = printed(table).rows[key].published
        said = f"{published.text} {published.disputed} {published.note}"
        for value in entry["values"].values():
            if isinstance(value, int | float):
                assert str(value) in said, (table, key, value)


# The files


def test_a_table_is_in_one_file_and_files_are_read_by_their_tables_alone():
    names = [name for text in published_files().values() for name in tables_in(text)]
    assert sorted(names) == TABLES and len(set(names)) == len(names)
    for text in published_files().values():
        head = text[: text.index(f"  {tables_in(text)[0]}:\n")]
        parts = [only_table(text, name).removeprefix(head).lstrip("\n") for name in tables_in(text)]
        assert head + "".join(parts) == text and head.endswith("\ntables:\n")


@pytest.mark.parametrize("table", TABLES)
def test_a_printed_table_is_whole(table):
    whole = printed(table)
    labels = [row.label for row in whole.rows.values()]
    assert whole.rows and len(set(labels)) == len(labels) and all(labels)
    assert whole.title and whole.setting and whole.source
    assert whole.preset is None or whole.preset in PRESETS
    assert whole.protocol is None or whole.protocol in PROTOCOLS
    dataset = whole.like.get("dataset.name")
    if whole.chance is not None and dataset is not None:
        assert whole.chance == pytest.approx(chance_of(dataset))


@pytest.mark.parametrize("table", TABLES)
def test_a_spread_is_never_without_its_kind(table):
    for row in printed(table).rows.values():
        has_spread = any(cell.pm is not None for cell in row.published.columns.values())
        assert (row.published.spread is not None) == has_spread
        if row.published.spread is not None:
            assert row.published.spread.kind in ("half_range", "std", "unknown")


def test_the_three_kinds_of_spread_are_named():
    kinds = {
        name: printed(name).spread.kind for name in ("tau", "simsiam_stopgrad", "directpred_plugin")
    }
    assert kinds == {
        "tau": "half_range",
        "simsiam_stopgrad": "std",
        "directpred_plugin": "unknown",
    }
    (remark,) = load_table("simsiam_stopgrad").remarks
    assert remark == "± of published numbers: standard deviation over five trials"


GOOD = """\
source: A paper
url: null
spread: {kind: std, words: standard deviation}
tables:
  first:
    title: T
    place: Table 1
    setting: somewhere
    like: {}
    seeds: 3
    chance: 10.0
    columns: {top1: linear top-1, top5: linear top-5}
    rows:
      a: {at: {x: 1}, top1: 0.01, top5: {value: 62.8, pm: 1.5}}
      b: {at: {x: 2}, top1: {bound: above, value: 72, as_printed: "72"}}
      c: {at: {x: 3}, top1: {value: 25, as_printed: "25", approximate: true}}
      d: {at: {x: 4}, top1: {as_printed: unstable}}
      e: {at: {x: 5}, top1: {bound: between, value: 74.0, to: 74.5}}
      f: {at: {x: 6}, top1: {value: 17.5, figure_error: 0.3}}
      g: {at: {x: 7}, top1: null}
"""


def test_a_cell_keeps_what_is_known_of_it():
    rows = read_printed(GOOD, "first", "p.yaml").rows
    cells = {key: row.published for key, row in rows.items()}
    assert [cell.text for cell in cells.values()] == [
        "0.01",
        "above 72",
        "≈25",
        "unstable",
        "74.0 to 74.5",
        "≈17.5",
        None,
    ]
    assert cells["a"].value == 0.0001 and cells["a"].columns["top5"].text == "62.8 ±1.5"
    assert (cells["b"].value, cells["b"].bound, cells["b"].low) == (None, "above", 0.72)
    assert (cells["c"].value, cells["c"].approximate, cells["c"].error) == (0.25, True, None)
    assert (cells["e"].value, cells["e"].low, cells["e"].high) == (None, 0.74, 0.745)
    assert (cells["f"].value, cells["f"].approximate, cells["f"].error) == (0.175, True, 0.003)
    assert rows["a"].label == "x 1"


MUTATIONS = [
    ("seeds: 3", "seed: 3", "table first: key 'seed' does not exist; did you mean 'seeds'?"),
    ("    seeds: 3\n", "", "table first: key 'seeds' is missing"),
    ("seeds: 3", "seeds: three", "table first: seeds: 'three' is no whole number"),
    ("chance: 10.0", "chance: ten", "table first: chance: 'ten' is no number"),
    ("    title: T\n", "    title: T\n    title: U\n", 'p.yaml:7: found duplicate key "title"'),
    ("top1: 0.01", "top1: 72.5 ± 1", "row a, top1: value: '72.5 ± 1' is no number"),
    ("top1: 0.01", "top_1: 0.01", "row a: key 'top_1' does not exist; did you mean 'top1'?"),
    ("top1: 0.01, ", "", "row a: key 'top1' is missing; null where nothing is printed"),
    ("pm: 1.5", "std: 1.5", "row a, top5: key 'std' does not exist"),
    ("pm: 1.5", "pm: x", "row a, top5: pm: 'x' is no number"),
    ("kind: std", "kind: sem", "spread: kind: 'sem'"),
    ("spread: {kind: std, words: standard deviation}\n", "", "does not say what its ± is"),
    ("bound: above", "bound: about", "row b, top1: bound: 'about'"),
    (", to: 74.5", "", "row e, top1: bound: `between` needs `to`"),
    ("columns: {top1: linear top-1, top5: linear top-5}", "columns: {}", "columns: is empty"),
    ("url: null\n", "", "p.yaml: key 'url' is missing"),
    ("{at: {x: 7}, top1: null}", "72.5", "row g: 72.5 is no mapping of keys"),
    ("tables:\n", "tables: [\n", "p.yaml:"),
]


@pytest.mark.parametrize(("good", "bad", "text"), MUTATIONS)
def test_a_file_that_does_not_fit_is_refused_in_one_line(good, bad, text):
    assert GOOD.count(good) == 1
    with pytest.raises(TableFileError) as refused:
        read_printed(GOOD.replace(good, bad), "first", "p.yaml")
    assert text in str(refused.value)
    assert str(refused.value).startswith("p.yaml") and "\n" not in str(refused.value)


def test_a_table_or_file_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(TableFileError, match="did you mean 'first'"):
        read_printed(GOOD, "frist", "p.yaml")
    with pytest.raises(TableFileError, match="did you mean 'byol'"):
        printed_table("byoll", "tau")
    with pytest.raises(TableFileError, match="did you mean 'lambda'"):
        printed_table("byol", "lambdaa")


# Tables with a published side alone


def test_tables_with_a_published_side_alone_are_told_from_those_that_runs_fill():
    only = [name for name in table_ids() if load_table(name).is_published_only]
    assert set(only) == set(table_ids()) - set(run_table_ids()) and len(only) == 25
    assert {"places365", "transfer_depth", "semi_supervised", "solo_small"} <= set(only)
    for name in only:
        table = load_table(name)
        assert not table.axes and not table.baselines and not table.claims
        for row in table.rows.values():
            assert row.not_run and not row.match and not row.holds({"method": "byol"})
    assert not any(row.not_run for row in load_table("tau").rows.values())


def test_every_published_table_is_shown_in_a_table():
    assert set(TABLES) <= {*table_ids(), *SHOWN_IN}
    assert {*SHOWN_IN.values()} <= {*run_table_ids()}
    with pytest.raises(UnknownTableError, match="its published rows stand in table 'norm'"):
        load_table("norm_components")


def test_a_table_keeps_every_column_that_its_source_prints():
    rows = load_table("semi_supervised").rows
    assert {name: cell.text for name, cell in rows["byol_resnet50"].published.columns.items()} == {
        "top1_1pct": "53.2",
        "top1_10pct": "68.8",
        "top5_1pct": "78.4",
        "top5_10pct": "89.0",
    }
    byol, simclr = (load_table("batch_size").rows[f"{name}_64"] for name in ("byol", "simclr"))
    assert byol.published.columns["top5"].text == "83.2 ±1.2"
    assert simclr.published.columns["top5"].text == "83.0 ±1.9"
    assert load_table("transfer_depth").rows["byol"].published.columns["rms"].value == 0.541


def test_a_table_has_its_chance_level():
    assert load_table("tau").chance == 0.001 and load_table("mlp_norm").chance == 0.1
    assert load_table("transfer_classification").chance is None
    assert chance_of("digits") == chance_of("stl10") == 0.1 and chance_of("cifar100") == 0.01
    assert chance_of("imagenet") == 0.001
    assert chance_of("folder", 4) == 0.25 and chance_of("folder") is None
    assert all(classes >= 10 for classes in CLASSES.values())


def test_published_tables_hold_plain_values():
    for name in TABLES:
        json.dumps({key: dict(row.at) for key, row in printed(name).rows.items()})
