"""The papers' tables against the specs that feed them and the reference that their numbers are from."""

import json
from collections import defaultdict
from functools import cache

import pytest
from conftest import REPO
from ruamel.yaml import YAML

from analysis.papers.claims import ClaimError, read_claims
from analysis.papers.rows import TableRow, load_table, run_table_ids
from byol_core.config import canonical, flatten, resolve
from byol_core.config.old_settings import in_todays_words
from orchestrator.spec import expand, load_sweep

SPECS = sorted(
    file.stem for file in (REPO / "sweeps").glob("*.yaml") if file.stem not in ("smoke",)
)
REFERENCE = REPO.parent / "shared" / "reference" / "published.yaml"
PARTS = ("encoder", "projector", "predictor")
OLD_DIGITS_TINY = {
    "method": "byol",
    **{f"{part}.norm": "bn" for part in PARTS},
    **{f"{part}.gn_groups": None for part in PARTS},
    "loss_scale": 1.0,
    "contrastive.temperature": None,
    "init.scheme": "he",
    "init.scale": 1.0,
    "target.tau_base": 0.99,
    "target.schedule": "constant",
    "target.start": "copy",
    "optimizer.lambda_predictor": 1.0,
}
"""Of the settings of a run of SEMANTICS 1, those that a table looks at."""
NOT_ON_GREY = {
    f"{method}_remove_{what}"
    for method in ("byol", "simclr")
    for what in ("color_jitter", "grayscale")
}
LEFT_OUT = {("augmentations", "quick"): NOT_ON_GREY}
"""Rows that a profile excludes, by table and profile."""


@cache
def spec_of(name):
    return YAML(typ="safe").load((REPO / "sweeps" / f"{name}.yaml").read_text())


@cache
def variants_of(name, profile):
    return expand(load_sweep(REPO / "sweeps" / f"{name}.yaml", profile, {}))


def profiles_of(name):
    return [None, *spec_of(name)["profiles"]]


def feeding(table):
    return [name for name in SPECS if table in spec_of(name)["tables"]]


# Rows and specs


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_expands_under_every_profile_and_without(name):
    assert {"quick"} < set(spec_of(name)["profiles"]), name
    for profile in profiles_of(name):
        assert variants_of(name, profile)


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_says_what_it_asks_costs_and_expects(name):
    text = (REPO / "sweeps" / f"{name}.yaml").read_text()
    for word in (
        "# Question   ",
        "# Command    sweep launch sweeps/",
        "# Cost       ",
        "# Expected",
    ):
        assert word in text
    assert f"sweep launch sweeps/{name}.yaml --profile quick" in text


@pytest.mark.parametrize("table", run_table_ids())
def test_every_row_is_of_one_variant_of_each_profile_or_says_why_not(table):
    rows = load_table(table)
    specs = feeding(table)
    profiles = set.intersection(*[set(spec_of(name)["profiles"]) for name in specs])
    assert {"quick", "paper"} <= profiles or {"quick", "blog"} <= profiles
    for profile in profiles:
        makers = defaultdict(set)
        for name in specs:
            in_this_spec = [
                rows.row_of(variant.canonical()) for variant in variants_of(name, profile)
            ]
            made = [row.key for row in in_this_spec if row]
            assert len(made) == len(set(made)), f"{name}: two variants are one row"
            for variant in variants_of(name, profile):
                row = rows.row_of(variant.canonical())
                if row:
                    makers[row.key].add(json.dumps(variant.canonical(), sort_keys=True))

        # A row that two specs feed is one run, which they share.
        for key, row in rows.rows.items():
            is_left_out = row.not_run or key in LEFT_OUT.get((table, profile), ())
            assert len(makers[key]) == (0 if is_left_out else 1), (profile, key)


@pytest.mark.parametrize("table", run_table_ids())
def test_all_rows_of_a_profile_are_of_one_setting(table):
    rows = load_table(table)
    for name in feeding(table):
        for profile in spec_of(name)["profiles"]:
            agreed = {}
            for variant in variants_of(name, profile):
                config = variant.canonical()
                row = rows.row_of(config)
                free = {*rows.axes, "seed", *(row.companions if row else config)}
                for key in config.keys() - free:
                    if config[key] is not None:
                        assert agreed.setdefault(key, config[key]) == config[key], (key, row)


@pytest.mark.parametrize("name", run_table_ids())
def test_a_tables_definition_is_whole(name):
    rows = load_table(name)
    run = [row for row in rows.rows.values() if not row.not_run]
    assert rows.id == name and set(rows.baselines) <= set(rows.rows)
    assert all(set(row.match) <= {*rows.axes, *row.companions} for row in run)
    assert len({json.dumps(dict(row.match), sort_keys=True) for row in run}) == len(run)
    assert len({row.label for row in rows.rows.values()}) == len(rows.rows)
    assert rows.claims, "a table says what it claims"
    spoken_of = {key for claim in rows.claims for key in claim.rows}
    assert not [key for key in spoken_of if rows.rows[key].not_run]
    assert rows.published_source and rows.published_setting


def test_a_row_of_several_scales_takes_each_and_no_other():
    rows = load_table("learning_rate")

    def key_at(rate):
        row = rows.row_of(canonical(resolve("digits-lars", {"optimizer.lr": rate})))
        return row and row.key

    assert (key_at(4.8), key_at(20.0), key_at(6.67), key_at(5.0)) == (
        "lr_0.3",
        "lr_0.3",
        "lr_0.1",
        None,
    )


def test_a_row_that_cannot_be_run_takes_no_run():
    row = TableRow("a", "A", {"method": "byol"}, (), load_table("tau").rows["tau_0"].published)
    config = canonical(resolve("digits-tiny", {}))
    assert row.holds(config)
    assert not TableRow("a", "A", {"method": "byol"}, (), row.published, "no code").holds(config)


OF_OLDER_RUNS = [
    ("norm", "byol_bn_none_bn", {"projector.norm": "none"}),
    (
        "norm",
        "simclr_bn_none",
        {"method": "simclr", "projector.norm": "none", "predictor.norm": None},
    ),
    (
        "mlp_norm",
        "contrastive",
        {"method": "moco", "projector.norm": "none", "predictor.norm": "none"},
    ),
    ("norm_variants", "gn_ws", {f"{part}.norm": "gn_ws" for part in PARTS}),
    ("norm_variants", "vanilla_bn", {}),
    ("tau", "tau_0", {"target.tau_base": 0.0, "target.schedule": "constant"}),
    ("lambda", "lambda_10", {"target.tau_base": 0.0, "optimizer.lambda_predictor": 10.0}),
    ("init", "none_he", {f"{part}.norm": "none" for part in PARTS}),
]
"""Table, row, and what tells the settings of a run of SEMANTICS 1 from those of digits-tiny."""


@pytest.mark.parametrize(("table", "row", "changed"), OF_OLDER_RUNS)
def test_a_run_of_the_first_trainer_is_of_its_row_still(table, row, changed):
    words = in_todays_words({**OLD_DIGITS_TINY, **changed}, 1)
    assert load_table(table).row_of(words).key == row


def test_a_row_that_cannot_be_run_says_why():
    rows = load_table("directpred_symmetric").rows.values()
    reasons = [row.not_run for row in rows if row.not_run]
    assert len(reasons) == 4 and len(rows) == 16
    assert all("an MLP has no symmetric form here" in reason for reason in reasons)
    assert all(row.not_run in row.note for row in rows)


# What is claimed


def test_a_list_of_rows_is_a_claim_for_each_or_for_each_pair():
    entries = [
        {"above": ["a", "b", "c"]},
        {"comparable": ["a", "b"], "margin": 0.01},
        {"learns": ["a", "b"]},
    ]
    claims = read_claims(entries, ["a", "b", "c"])
    assert [(claim.kind, claim.rows, claim.margin) for claim in claims] == [
        ("above", ("a", "b"), None),
        ("above", ("b", "c"), None),
        ("comparable", ("a", "b"), 0.01),
        ("learns", ("a",), None),
        ("learns", ("b",), None),
    ]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"beats": ["a", "b"]}, "is none of above, comparable, collapses, learns"),
        ({"above": ["a", "b"], "learns": ["a"]}, "is none of"),
        ({"above": ["a", "b"], "by": 1}, "is none of"),
        ({"above": ["a", "z"]}, "no row is called 'z'"),
        ({"above": ["a"]}, "2 rows or more"),
        ("above", "is no mapping"),
        ({"above": "a"}, "names no list of rows"),
        ({"above": [["a"], "b"]}, "no row is called"),
        ({"comparable": ["a", "b"], "margin": 1.0}, "between 0 and 1"),
        ({"comparable": ["a", "b"], "margin": "small"}, "between 0 and 1"),
        ({"comparable": ["a", "b"], "margin": True}, "between 0 and 1"),
        ({"comparable": ["a", "b"]}, "a margin belongs to comparable"),
        ({"above": ["a", "b"], "margin": 0.1}, "a margin belongs to comparable"),
    ],
)
def test_a_claim_that_says_nothing_is_refused(entry, text):
    with pytest.raises(ClaimError, match=text):
        read_claims([entry], ["a", "b"])


@pytest.mark.parametrize("table", run_table_ids())
def test_a_claim_of_an_order_is_that_of_the_printed_numbers(table):
    rows = load_table(table)
    for claim in rows.claims:
        values = [rows.rows[key].published.value for key in claim.rows]
        if None in values:
            continue
        if claim.kind == "above":
            assert values[0] > values[1], claim
        if claim.kind == "comparable":
            assert abs(values[0] - values[1]) <= claim.margin, claim


# What is printed


@pytest.mark.parametrize(
    ("table", "row", "text"),
    [
        ("lambda", "lambda_0", "0.01"),
        ("lambda", "lambda_2", "62.8 ±1.5"),
        ("mlp_norm", "pred_only", "48"),
        ("encoder_norm_long", "gn_none_sgd", "≈17.5"),
        ("optimal_predictor", "both_5", "≈25"),
        ("collapse_factors", "no_predictor", "Collapse"),
        ("simsiam_bn", "all", "unstable"),
        ("init", "bn_torch_x2", "above 72"),
        ("directpred_weight_decay", "predictor_ema_nobias_symmetric", "71.91 ±0.70"),
        ("weight_decay", "wd_0", None),
        ("norm", "byol_bn_none_bn", "72.0"),
    ],
)
def test_a_number_is_shown_as_it_was_printed(table, row, text):
    assert load_table(table).rows[row].published.text == text


def test_a_table_says_where_a_row_of_another_source_is_from_and_what_its_spread_is():
    tau = load_table("tau")
    assert "published in Grill et al. 2020 (arXiv 2006.07733), section 3" in tau.rows["random"].note
    assert tau.notes["Random encoder"] == tau.rows["random"].note
    assert any("± of published numbers: half of best − worst" in text for text in tau.remarks)
    long = load_table("encoder_norm_long").rows["gn_none_sgd"].published
    assert (long.text, long.approximate, long.error) == ("≈17.5", True, 0.003)


# Presets


@cache
def presets_of_reference():
    text = REFERENCE.read_text()
    return YAML(typ="safe").load(text[text.index("\npresets:\n") :])["presets"]


OF_REFERENCE = {
    "batch_size": "batch_size",
    "optimizer": "optimizer.name",
    "lr": "optimizer.lr",
    "momentum": "optimizer.momentum",
    "weight_decay": "optimizer.weight_decay",
    "mlp_hidden": "projector.hidden",
    "projection_dim": "projector.out",
    "output_dim": "projector.out",
    "tau": "target.tau_base",
    "tau_base": "target.tau_base",
    "epochs": "epochs",
    "epochs_run": "epochs",
}
"""Word of the reference's settings → ours."""


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference is not in this checkout")
@pytest.mark.parametrize(
    ("preset", "source", "rate"),
    [
        ("stl10-r18-blog", "blog_train", 0.8),
        ("cifar10-r18", "lightly_cifar10_byol", 0.06),
        ("cifar10-r18-simsiam", "simsiam_cifar10", 0.03 * 512 / 256),
        ("stl10-r18-directpred", "directpred_stl10", 0.03),
    ],
)
def test_a_preset_has_the_settings_of_its_source(preset, source, rate):
    ours = flatten(resolve(preset, {}).model_dump())
    theirs = presets_of_reference()[source]
    theirs = {**theirs, **theirs.get("common", {}), "lr": rate}
    shared = OF_REFERENCE.keys() & theirs.keys()
    assert len(shared) >= 6
    assert {word: ours[OF_REFERENCE[word]] for word in shared} == {
        word: theirs[word] for word in shared
    }
    assert ours["optimizer.decay_bias_and_norm"] and ours["projector.out"] == ours["predictor.out"]


def test_the_blogs_preset_is_scheduled_and_moved_as_its_code_does():
    blog = resolve("stl10-r18-blog", {})
    assert (blog.schedule_by, blog.schedule_epochs, blog.target.moves) == ("epoch", 320, "before")
    assert (blog.encoder.gn_groups, blog.projector.gn_groups, blog.predictor.gn_groups) == (32,) * 3
    assert blog.loss.queue_keys == "first" and blog.projector.out_bias
    for profile in ("blog", None):
        (contrastive,) = [
            v for v in variants_of("norm_ablation", profile) if v.name == "contrastive"
        ]
        assert (contrastive.config.loss.scale, contrastive.config.optimizer.lr) == (1.0, 0.02)
        assert blog.loss.scale == 0.5
