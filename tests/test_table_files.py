"""Tables from files: those of the package whose rows are made from axes, those that users write, and
the table of a sweep that has none.
"""

import re

import pytest
from conftest import REPO
from typer.testing import CliRunner

from analysis.papers.definition_file import AxisEntry, TableFileEntry, TableRowEntry
from analysis.papers.of_sweep import table_of_sweep
from analysis.papers.rows import TableFileError, load_table, load_table_file, read_table
from analysis.papers.rows_over_axes import plain_rows
from byol_core.config import canonical, resolve
from byol_core.config.resolve import keys
from orchestrator.cli.main import app
from orchestrator.errors import UsageError

# Rows that are made from axes

MADE = [
    ("lambda", 6, "lambda_20", "λ = 20", {"optimizer.lambda_predictor": 20.0}),
    ("lambda_mu", 25, "mu_1.5_lambda_10", "μ = 1.5, λ = 10", {"optimizer.mu_projector": 1.5}),
    ("tau", 6, "tau_0.999", "τ = 0.999", {"target.tau_base": 0.999}),
    (
        "learning_rate",
        7,
        "lr_1",
        "1 (10/3 of the baseline's)",
        {"optimizer.lr": {"any": [16.0, 66.7, 0.2]}},
    ),
    ("weight_decay", 6, "wd_1e-7", "1e-7", {"optimizer.weight_decay": 1e-7}),
    ("projection_dim", 6, "dim_512", "512", {"projector.out": 512, "predictor.out": 512}),
    ("mlp_depth", 9, "projector_3_predictor_1", "projector 3, predictor 1", {"projector.depth": 3}),
    ("beta_temperature", 19, "beta_0.1_alpha_0.01", "β = 0.1, α = 0.01", {"loss.beta": 0.1}),
    ("batch_size", 14, "simclr_64", "SimCLR, 1/64 of the batch", {"accumulate": 64}),
    (
        "augmentations",
        28,
        "simclr_crop_only",
        "SimCLR: crop alone",
        {"augment.grayscale_p": {"any": [0.0, None]}, "augment.flip_p": 0.0},
    ),
    ("norm", 22, "simclr_none_ln", "SimCLR – / LN", {"projector.norm": "ln"}),
    (
        "directpred_symmetric",
        16,
        "linear_copy_bias_regular",
        "Linear, no EMA, bias, regular",
        {"target.tau_base": 0.0, "predictor.symmetric": False},
    ),
    (
        "directpred_weight_decay",
        16,
        "predictor_ema_nobias_symmetric",
        "Decay of the predictor alone, EMA, no bias, symmetric",
        {"optimizer.decay_predictor": 1.0, "predictor.out_bias": False},
    ),
]
"""Table, number of rows, and of one row: key and label, which stored reports hold, and settings."""


@pytest.mark.parametrize(("table", "count", "key", "label", "settings"), MADE)
def test_rows_made_from_axes_keep_their_keys_labels_and_settings(
    table, count, key, label, settings
):
    rows = load_table(table).rows
    assert len(rows) == count and rows[key].label == label
    assert settings.items() <= rows[key].match.items()


def test_a_made_row_has_the_printed_row_at_its_coordinates():
    texts = {
        table: [row.published.text for row in load_table(table).rows.values()]
        for table in ("lambda", "weight_decay", "tau")
    }
    assert texts["lambda"] == ["0.01", "5.5", "62.8 ±1.5", "66.6", "66.3 ±0.3", "72.5"]
    assert texts["weight_decay"][:2] == ["72.1", "72.6"] and texts["weight_decay"][-1] is None
    assert texts["tau"] == ["18.8 ±0.7", "69.8", "72.5", "68.4", "0.3", "1.4"]
    rows = load_table("batch_size").rows
    assert (rows["byol_256"].published.text, rows["simclr_256"].published.text) == (
        "71.8",
        "64.3 ±2.1",
    )
    assert rows["simclr_256"].companions == ("optimizer.lr",) and not rows["byol_256"].companions


def test_the_numbers_of_the_no_norm_paper_stand_on_rows_of_its_own_first_weights():
    rows = load_table("init").rows
    assert {key: row.published.text for key, row in rows.items() if row.published.text} == {
        "bn_haiku": "74.3",
        "none_haiku": "0.1",
        "affine": "65.7",
        "bn_torch_x0.5": "above 72",
        "bn_torch_x2": "above 72",
    }
    assert (rows["bn_torch_x2"].published.value, rows["bn_torch_x2"].published.low) == (None, 0.72)
    assert "300 epochs" in rows["bn_torch_x2"].note and "1000" not in rows["bn_torch_x2"].note
    assert "Haiku" in rows["affine"].note


def test_two_kinds_of_published_spread_in_one_table_name_their_sources():
    text = """
published: {file: byol, table: lambda}
rows:
  ours: {match: {x: 1}, published: lambda_2}
  theirs: {match: {x: 2}, published: {file: simsiam, table: simsiam_stopgrad, row: stop_gradient}}
"""
    table = read_table(text, "mine.yaml", "mine")
    half, std = (remark for remark in table.remarks if remark.startswith("±"))
    assert half.startswith("± of numbers published in Grill et al. 2020") and "half of" in half
    assert std.startswith("± of numbers published in Chen & He 2020") and "deviation" in std
    assert "100 epochs" in table.rows["theirs"].note and "300" not in table.rows["theirs"].note


def test_a_later_axis_goes_over_an_earlier_setting():
    (first, second) = plain_rows(
        {
            "{a}_{b}": {
                "label": "{a} or {b}",
                "match": {"x": 0},
                "at": {"fixed": 1},
                "over": {
                    "a": {"values": {"one": {"x": 1, "y": 1}}, "companions": {"one": ["z"]}},
                    "b": {"key": ["y", "w"], "values": [2.0, 1e-7], "at": "place"},
                },
            }
        },
        "t.yaml",
    )
    assert (first.key, second.key) == ("one_2", "one_1e-7")
    assert first.entry.match == {"x": 1, "y": 2.0, "w": 2.0} and first.entry.companions == ["z"]
    assert second.at == {"fixed": 1, "place": "1e-7"} and second.entry.label == "one or 1e-7"


# Tables that users write

MINE = """\
title: My table
axes: [method, target.tau_base]
baselines: [slow]
rows:
  slow: {match: {method: byol, target.tau_base: 0.99}}
  fast_{tau}:
    label: τ = {tau}
    match: {method: byol}
    over: {tau: {key: target.tau_base, values: [0.9, 0.5]}}
claims:
  - {above: [slow, fast_0.5]}
"""


def test_a_table_of_ones_own_needs_no_published_side(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(MINE)
    table = load_table_file(file, keys())
    assert (table.id, table.title, [*table.rows]) == (
        "mine",
        "My table",
        ["slow", "fast_0.9", "fast_0.5"],
    )
    assert table.rows["slow"].label == "slow" and table.rows["fast_0.9"].label == "τ = 0.9"
    assert (table.published_source, table.published_like, table.chance) == ("", {}, None)
    assert (table.protocol, table.network, table.metric) == ("probe", "online", "accuracy")
    assert not table.remarks and not table.notes and not table.is_published_only
    config = canonical(resolve("digits-tiny", {"target.tau_base": 0.5}))
    assert table.row_of(config).key == "fast_0.5"
    assert table.baseline_of(table.rows["fast_0.5"]).key == "slow"


def test_the_manuals_table_is_one_and_its_page_names_every_key():
    page = (REPO / "docs" / "tables.md").read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    table = read_table(text, "mine.yaml", "mine", keys())
    assert [*table.rows] == ["tau_0.9", "tau_0.99", "tau_0.999", "random"]
    for part in (TableFileEntry, TableRowEntry, AxisEntry):
        assert not [key for key in part.model_fields if f"`{key}`" not in page], part


def test_a_papers_table_can_be_copied_and_changed(tmp_path):
    text = (REPO / "analysis" / "papers" / "tables" / "norm.yaml").read_text()
    file = tmp_path / "my norm.yaml"
    file.write_text(text.replace("id: norm\n", ""))
    copy = load_table_file(file, keys())
    assert copy.id == "my_norm" and [*copy.rows] == [*load_table("norm").rows]


def test_a_table_of_ones_own_may_name_published_numbers_and_no_axes():
    text = "published: {file: byol, table: tau}\nrows:\n  a: {match: {x: 1}, published: tau_0.9}\n"
    table = read_table(text, "mine.yaml", "mine")
    assert table.rows["a"].published.text == "68.4" and table.axes == ("x",)
    assert "arXiv 2006.07733" in table.published_source and table.chance == 0.001


MUTATIONS = [
    ("baselines: [slow]", "baseline: [slow]", "key 'baseline' does not exist; did you mean 'basel"),
    ("baselines: [slow]", "baselines: [slwo]", "baselines: no row is called 'slwo'; did you mean"),
    ("title: My table", "title: 3", "title: 3 is no text"),
    ("title: My table\n", "title: a\ntitle: b\n", 'mine.yaml:2: found duplicate key "title"'),
    ("target.tau_base: 0.99", "target.tau_bse: 0.99", "did you mean 'target.tau_base'?"),
    ("axes: [method, target.tau_base]", "axes: [method]", "'target.tau_base' is none of the axes"),
    ("axes: [method, target", "axes: [metod, target", "key 'metod' does not exist; did you mean"),
    ("fast_{tau}:", "fast_{ta}:", "{ta} in 'fast_{ta}' is no axis; axes: tau"),
    ("fast_{tau}:", "fast:", "two rows are called 'fast'"),
    ("values: [0.9, 0.5]", "values: 0.9", "over tau: values: 0.9 is no list"),
    ("values: [0.9, 0.5]", "values: []", "over tau: values: is empty"),
    ("values: [0.9, 0.5]", "vals: [0.9, 0.5]", "over tau: key 'vals' does not exist; did you mean"),
    ("{key: target.tau_base, v", "{v", "0.9: 0.9 is no mapping of settings; or name its `key`"),
    ("0.5]}", "0.5], labels: {0.6: x}}", "labels: '0.6' is no value; did you mean"),
    ("0.5]}", "0.5], at: tau_base}", "the table names no published side to look in"),
    ("0.99}}", "0.99}, published: tau_0}", "the table names no published side to look in"),
    ("0.99}}", "{or: [1]}}}", "match: target.tau_base: {'or': [1]} is no value"),
    ("{above: [slow, fast_0.5]}", "{above: [slow]}", "claims: claim above ['slow']"),
    ("{above: [slow, fast_0.5]}", "above", "claims:"),
    ("rows:\n", "published: {file: byol, table: taw}\nrows:\n", "did you mean 'tau'?"),
    ("rows:\n", "published: {file: bioll, table: tau}\nrows:\n", "'bioll' does not exist"),
    ("rows:\n", "published: {table: tau}\nrows:\n", "published: key 'file' is missing"),
    ("rows:\n", "metric: {protcol: knn}\nrows:\n", "metric: key 'protcol' does not exist; did you"),
    ("match: {method: byol}\n", "match: [byol]\n", "match: ['byol'] is no mapping of keys"),
    ("rows:\n", "rows: [\n", "mine.yaml:"),
    (
        "rows:\n",
        "metric: {protocol: prob}\nrows:\n",
        "'prob' does not exist; did you mean 'probe'?",
    ),
    ("rows:\n", "metric: {network: both}\nrows:\n", "networks: online, target"),
    ("rows:\n", "id: norm\nrows:\n", "'norm' is a paper's table; give yours another name"),
    ("rows:\n", "id: norm_components\nrows:\n", "is a paper's table"),
    ("rows:\n", "id: ../../x\nrows:\n", "has letters, digits and - _ . alone"),
    ("rows:\n", "id: .x\nrows:\n", "has letters, digits and - _ . alone"),
    ("0.99}}", "2026-01-01}}", "2026-01-01 is a date, and no text; put it in quotes"),
    ("0.99}}", ".inf}}", "inf is no number that is finite"),
    ("{match: {method: byol, target.tau_base: 0.99}}", "{match: {}}", "match: is empty, so that"),
    ("{match: {method: byol, target.tau_base: 0.99}}", "{}", "match: is empty, so that"),
    (", target.tau_base: 0.99}}", "}}", "row fast_0.9: match: its runs are all of row slow"),
    ("label: τ = {tau}", "label: the same", "label: 'the same' is that of row fast_0.9"),
    ("baselines: [slow]", "baselines: [slow, fast_0.5]", "are both of method 'byol'"),
]


@pytest.mark.parametrize(("good", "bad", "text"), MUTATIONS)
def test_a_file_that_does_not_fit_is_refused_in_one_line(good, bad, text, tmp_path):
    assert good in MINE
    file = tmp_path / "mine.yaml"
    file.write_text(MINE.replace(good, bad, 1))
    with pytest.raises(TableFileError) as refused:
        load_table_file(file, keys())
    message = str(refused.value)
    assert text in message and message.startswith(str(file)) and "\n" not in message


UNREADABLE = [
    (b"\xff\xfe", "cannot be read as text"),
    (b"", "is no mapping of keys"),
    (b"- 1\n", "is no mapping of keys"),
    (b"rows: {}\n", "rows: is empty"),
    (b"title: x\n", "key 'rows' is missing"),
    (b"rows: &a [*a]\n", "yaml"),
    (b"a: &a [1,1,1,1,1,1,1,1,1,1]\n" + b"".join(
        b"%c: &%c [%s]\n" % (new, new, b",".join([b"*%c" % old] * 10))
        for old, new in zip(b"abcdef", b"bcdefg", strict=True)
    ), "more than 100,000 values"),
    (b"#" * (1 << 20) + b"\n", "larger than 1 MiB"),
    (b"rows: !!python/object:os.system x\n", "yaml:1:"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "text"), UNREADABLE)
def test_a_file_that_cannot_be_read_as_a_table_is_refused(content, text, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(TableFileError, match=text) as refused:
        load_table_file(file)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path):
    with pytest.raises(TableFileError, match="no such file"):
        load_table_file(tmp_path / "none.yaml")
    with pytest.raises(TableFileError, match="is a folder"):
        load_table_file(tmp_path)


def test_the_command_refuses_a_key_that_no_run_has_before_it_reads_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("rows: {a: {match: {metod: byol}}}\n")
    refused = CliRunner().invoke(app, ["report", "--table", "./mine.yaml"])
    assert isinstance(refused.exception, UsageError)
    assert str(refused.exception) == (
        "mine.yaml: row a: key 'metod' does not exist; did you mean 'method'?"
    )
    missing = CliRunner().invoke(app, ["report", "--table", "./none.yaml"])
    assert isinstance(missing.exception, UsageError)
    assert "none.yaml: no such file" in str(missing.exception)


# The table of a sweep


def variant(**changed):
    return canonical(
        resolve("digits-tiny", {key.replace("__", "."): v for key, v in changed.items()})
    )


def test_a_sweeps_table_has_a_row_for_each_variant_that_holds_its_own_config_alone():
    variants = {
        "base": variant(),
        "slow": variant(target__tau_base=0.999),
        "linear": variant(predictor__kind="linear"),
        "contrast": variant(method="simclr"),
    }
    table = table_of_sweep("mine", variants, "base")
    assert [*table.rows] == [*variants] and table.baselines == ("base",)
    for name, config in variants.items():
        assert [row.key for row in table.rows.values() if row.holds(config)] == [name]
        assert table.row_of({**config, "seed": 7}).key == name
    assert table.axes[0] == "method" and "target.tau_base" in table.axes
    assert "seed" not in table.axes and "epochs" not in table.axes
    assert table.baseline_of(table.rows["slow"]).key == "base"
    assert not table.published_source and not table.remarks and table.printed is None


def test_a_sweep_of_one_variant_or_of_equal_variants_has_one_row():
    alone = table_of_sweep("mine", {"base": variant()}, None)
    assert [*alone.rows] == ["base"] and alone.axes == ("method",) and alone.baselines == ()
    twice = table_of_sweep("mine", {"a": variant(), "b": {**variant(), "seed": 1}}, "b")
    assert [row.label for row in twice.rows.values()] == ["a = b"] and twice.baselines == ("a",)
    assert table_of_sweep("mine", {}, None).rows == {}


def test_a_key_that_one_variant_lacks_is_null_there():
    table = table_of_sweep("mine", {"a": {"method": "byol", "x": 1}, "b": {"method": "byol"}}, "a")
    assert table.axes == ("method", "x")
    assert table.row_of({"method": "byol", "x": 1.0}).key == "a"
    assert table.row_of({"method": "byol", "x": None}).key == "b"
    assert table.row_of({"method": "byol", "x": 2}) is None
