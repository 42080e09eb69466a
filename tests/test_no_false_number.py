"""No number stands in a table that should not: settings over all rows, what was asked, what ran where."""

import json
import math
from dataclasses import replace

import pytest
from planted import (
    ORIGIN,
    line,
    marks,
    report,
    run,
    seeds_of,
    settings,
    sweeps_of,
    table,
    variants_of,
)

from analysis.papers.rows import load_table
from analysis.render.csv_table import as_csv
from analysis.render.grid import Style
from analysis.render.json_table import as_json
from analysis.render.markdown import as_markdown
from analysis.render.text import as_text
from analysis.tables.build import UnknownSettingError
from analysis.tables.marks import Code, has

NORM = load_table("norm")


def simclr(row, seed, temperature, **changes):
    return run(row, seed, overrides={"loss.temperature": temperature}, **changes)


# A setting is the merged value over all rows


def test_rows_at_two_temperatures_are_no_table_although_the_baseline_has_none():
    runs = [
        run("byol", 0),
        simclr("simclr_bn", 0, 0.1),
        simclr("simclr_none", 0, 0.7),
    ]
    built = table(*runs, of=NORM)
    states = [line(built, key).state for key in ("byol_bn_bn_bn", "simclr_bn_bn", "simclr_bn_none")]
    assert sorted(states) == ["absent", "done 1/1", "done 1/1"]
    (absent,) = [each for each in built.lines if has(each.marks, Code.DIFFERS)]
    assert "loss.temperature 0." in str(absent.marks[0]) and absent.summary.n == 0

    (other,) = built.others
    then = table(*runs, of=NORM, setting=other.id)
    assert line(then, absent.row.key).state == "done 1/1"


def test_whole_sets_of_rows_at_two_temperatures_are_two_settings():
    runs = []
    for temperature in (0.1, 0.7):
        runs += [simclr(row, 0, temperature) for row in ("simclr_bn", "simclr_none")]
    built = table(run("byol", 0), *runs, of=NORM)
    assert len(built.others) == 1
    temperatures = set()
    for setting in (built.setting, *built.others):
        rows = set(setting.members)
        assert rows == {"byol_bn_bn_bn", "simclr_bn_bn", "simclr_bn_none"}
        temperatures.add(setting.values["loss.temperature"])
    assert temperatures == {0.1, 0.7}


def test_the_merged_value_stands_in_the_setting_and_a_later_row_does_not_rename_it():
    alone = table(run("byol", 0), of=NORM)
    joined = table(run("byol", 0), simclr("simclr_bn", 0, 0.3), of=NORM)
    assert joined.setting.values["loss.temperature"] == 0.3
    assert alone.setting.values["loss.temperature"] is None
    assert alone.setting.id == joined.setting.id


def test_an_absent_row_says_in_which_key_the_runs_that_exist_differ():
    built = table(run("byol", 0), run("no_norm", 0, overrides={"optimizer.lr": 0.7}))
    assert line(built, "no_norm").state == "absent"
    (other,) = built.others
    assert marks(built, "no_norm") == [f"differs: optimizer.lr 0.7 for 1.5 (--setting {other.id})"]


def test_a_sweep_that_set_fewer_epochs_never_takes_over_a_table():
    ours = seeds_of("byol", [0.7, 0.71])
    trial = run("byol", 0, 0.2, overrides={"epochs": 2}, launched_at=9000.0, set={"epochs": 2})
    built = table(*ours, trial)
    assert line(built, "byol").values == {0: 0.7, 1: 0.71}
    assert built.others[0].values["epochs"] == 2


@pytest.mark.parametrize("wanted", ["", "x"])
def test_a_setting_that_names_none_or_several_is_refused(wanted):
    runs = [run("byol", 0, overrides={"epochs": count}) for count in range(10, 60)]
    if wanted == "x":
        ids = [each.id for each in settings(*runs)]
        wanted = next(char for char in "0123456789abcdef" if sum(i[0] == char for i in ids) > 1)
        with pytest.raises(UnknownSettingError, match="begins .* settings; write more of one"):
            table(*runs, setting=wanted)
    else:
        with pytest.raises(UnknownSettingError, match="has no setting ''"):
            table(*runs, setting=wanted)


# What was asked for


def asked(runs, names, seeds):
    return sweeps_of(runs, variants=variants_of(*names), seeds=tuple(seeds))


def test_a_launch_of_one_seed_is_not_all_that_the_spec_asks_for():
    runs = [run("byol", 0)]
    built = table(*runs, sweeps=asked(runs, ["byol", "no_norm"], [0, 1, 2]))
    assert line(built, "byol").state == "partial 1/3"
    assert line(built, "no_norm").state == "absent 0/3"


def test_a_deleted_run_is_missed():
    runs = seeds_of("byol", [0.7, 0.71])
    sweeps = [
        replace(sweep, runs={**sweep.runs, ("byol", 2): "gone"}, variants=variants_of("byol"))
        for sweep in sweeps_of(runs)
    ]
    named = [
        replace(sweep, runs={("byol", seed): run_id for (_, seed), run_id in sweep.runs.items()})
        for sweep in sweeps
    ]
    assert line(table(*runs, sweeps=named), "byol").state == "partial 2/3"


def test_a_run_of_another_sweep_that_is_not_done_keeps_no_row_waiting():
    ours = seeds_of("byol", [0.7, 0.71])
    waiting = run("byol", 2, state="PLANNED", sweep="other", tables=[])
    sweeps = [
        replace(sweep, variants=variants_of("byol"), seeds=(0, 1))
        for sweep in sweeps_of([*ours, waiting])
    ]
    assert line(table(*ours, waiting, sweeps=sweeps), "byol").state == "done 2/2"


def test_more_seeds_than_the_spec_asks_for_are_all_done():
    runs = seeds_of("byol", [0.7, 0.71, 0.72, 0.73])
    built = table(*runs, sweeps=asked(runs, ["byol"], [0, 1]))
    assert line(built, "byol").state == "done 4/4"


# Where it ran


ELSEWHERE = [
    {"device": "cuda"},
    {"torch": "3"},
    {"trainer code": "beef"},
    {"device model": "H100"},
    {"processor capability": "AVX512"},
    {"compute path": "captured"},
]


@pytest.mark.parametrize("change", ELSEWHERE, ids=lambda change: next(iter(change)))
def test_a_row_that_ran_elsewhere_than_its_baseline_is_marked(change):
    built = table(
        *seeds_of("byol", [0.7, 0.71, 0.72]),
        *seeds_of("no_norm", [0.3, 0.31, 0.32], origin={**ORIGIN, **change}),
        *seeds_of("proj_only", [0.5, 0.51, 0.53]),
    )
    (name,) = change
    assert f"mixed: {name}" in " ".join(marks(built, "no_norm"))
    assert marks(built, "byol") == [] and marks(built, "proj_only") == []


def test_a_run_that_recorded_nothing_of_where_it_ran_is_marked():
    built = table(*seeds_of("byol", [0.7, 0.71]), run("no_norm", 0, origin={}))
    assert "trainer code not recorded for c0ffee" in " ".join(marks(built, "no_norm"))


def test_a_row_without_a_baseline_of_its_method_is_judged_beside_the_first():
    built = table(run("byol", 0), run("contrastive", 0, origin={**ORIGIN, "torch": "3"}))
    texts = " ".join(marks(built, "contrastive"))
    assert "mixed: torch 3 for 2" in texts and "tuned apart: optimizer.lr 0.02 for 1.5" in texts


# Numbers that are none, and numbers that mean nothing


def test_a_value_that_is_no_number_is_its_own_cells_matter():
    runs = [
        *seeds_of("byol", [0.7, 0.71, 0.69]),
        *seeds_of("no_norm", [0.3, math.nan, 0.33]),
        *seeds_of("layer_norm", [0.4, 0.42, 0.45]),
    ]
    shown = report(*runs)
    no_norm = line(shown.table, "no_norm")
    assert no_norm.values == {0: 0.3, 2: 0.33} and marks(shown.table, "no_norm") == [
        "not finite 1/3",
        "unequal n: 2 for 3",
    ]
    assert line(shown.table, "layer_norm").p_holm < 0.05
    json.loads(as_json(shown), parse_constant=pytest.fail)
    for render in (as_text, as_markdown, as_csv):
        assert "nan" not in render(shown).lower().replace("finance", "")


def test_a_sign_that_only_newer_runs_have_is_a_mean_over_those():
    old = run("byol", 0, final={"std_sqrt_d": 0.8})
    new = run("byol", 1, final={"std_sqrt_d": 0.6, "effective_rank": 12.0})
    shown = report(old, new)
    assert shown.sign("byol", "std_sqrt_d") == pytest.approx(0.7)
    assert shown.sign("byol", "effective_rank") == 12.0


def test_two_pairs_have_no_p_and_the_pairs_are_printed():
    shown = report(*seeds_of("byol", [0.7, 0.71]), *seeds_of("no_norm", [0.3, 0.31, 0.32]))
    row = line(shown.table, "no_norm")
    assert row.difference.p is None and row.p_holm is None and row.summary.n == 3
    (record,) = [
        each for each in json.loads(as_json(shown))["rows"] if each["label"] == "No normalization"
    ]
    assert record["n_pairs"] == 2 and record["n"] == 3
    assert "pairs" in as_text(shown)


def test_a_row_of_which_some_seeds_collapsed_has_values_and_no_interval():
    runs = [
        *seeds_of("byol", [0.7, 0.71, 0.69]),
        run("no_norm", 0, 0.66),
        run("no_norm", 1, 0.64),
        run("no_norm", 2, 0.11, spread=0.01),
    ]
    shown = report(*runs)
    row = line(shown.table, "no_norm")
    assert marks(shown.table, "no_norm") == ["split 1/3"]
    assert row.difference.ci95 is None and row.difference.p is None and row.p_holm is None
    (record,) = [
        each for each in json.loads(as_json(shown))["rows"] if each["label"] == "No normalization"
    ]
    assert record["ci95"] is None and record["delta_ci95"] is None
    assert "66.0 64.0 11.0" in as_text(shown)


def test_an_axis_that_does_nothing_is_marked_and_not_tested():
    same = [run("byol", seed, value) for seed, value in enumerate([0.7, 0.71, 0.69])]
    dead = [
        replace(run("no_norm", each.seed, value), final=each.final)
        for each, value in zip(same, [0.7, 0.71, 0.69], strict=True)
    ]
    built = table(*same, *dead)
    assert marks(built, "no_norm") == ["dead knob"] and line(built, "no_norm").p_holm is None


def test_seeds_that_change_nothing_are_marked():
    final = {"std_sqrt_d": 0.8, "negative_cosine": 0.1}
    built = table(*seeds_of("byol", [0.7, 0.7, 0.7], final=final))
    assert marks(built, "byol") == ["dead seed"]


def test_holm_counts_the_comparisons_that_the_table_plans_not_those_that_are_done():
    runs = [*seeds_of("byol", [0.7, 0.71, 0.69]), *seeds_of("no_norm", [0.65, 0.68, 0.63])]
    built = table(*runs)
    row = line(built, "no_norm")
    planned = sum(
        built.rows.baseline_of(each.row) is not None and each.row.key != "byol"
        for each in built.lines
    )
    assert planned > 1 and row.p_holm == pytest.approx(min(1.0, planned * row.difference.p))


def test_names_of_people_stand_as_text_in_every_format():
    hostile = "\x1b[31mred\x1b[0m\nnext | <b> `x` \u202e"
    runs = [run("byol", 0), run("byol", 1, excluded=hostile)]
    shown = report(*runs, unlisted=[hostile])
    for render in (as_text, as_markdown, as_csv, as_json):
        text = render(shown)
        assert "\x1b" not in text and "\u202e" not in text and "\nnext" not in text
    assert "<b>" not in as_markdown(shown)


def test_a_variant_that_is_no_row_is_named_under_the_table():
    runs = [run("byol", 0)]
    text = as_text(report(*runs, unlisted=["mine", "yours"]))
    assert "rows of none of its tables: mine, yours; `sweep report" in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_text_fits_its_page_and_says_what_it_left_out(width):
    runs = [*seeds_of("byol", [0.7, 0.71, 0.69]), *seeds_of("no_norm", [0.65, 0.68, 0.63])]
    text = as_text(report(*runs), width=width)
    grid = [each for each in text.splitlines() if each.startswith(("row", "BYOL ", "─"))]
    assert max(map(len, text.splitlines())) <= width or width == 60
    tau = as_text(report(of=load_table("tau")), width=80)
    assert max(map(len, tau.splitlines())) <= 80
    assert all("57.7" in each or "row" in each or "─" in each for each in grid)
    assert "left out at this width" in text
    assert "left out" not in as_text(report(*runs), width=None)


@pytest.mark.parametrize(
    ("value", "text"), [(0.9999, "0.9999"), (1.0, "1.00"), (0.5, "0.50"), (-0.001, "-0.0010")]
)
def test_a_cosine_that_is_nearly_one_is_not_written_as_one(value, text):
    final = {"std_sqrt_d": 0.8, "positive_cosine": value, "negative_cosine": 0.2}
    assert f"{text} / 0.20" in as_text(report(run("byol", 0, final=final)), width=None)


def test_a_small_number_is_not_written_as_zero():
    assert " 0.01" in as_text(report(run("byol", 0, 0.0001)))


def test_rows_with_fewer_seeds_than_their_baseline_are_marked():
    built = table(*seeds_of("byol", [0.7, 0.71, 0.69]), *seeds_of("no_norm", [0.3, 0.31]))
    assert "unequal n: 2 for 3" in marks(built, "no_norm") and marks(built, "byol") == []


def test_an_order_is_compared_with_the_printed_one():
    upside_down = report(run("byol", 0, 0.1), run("no_norm", 0, 0.5), run("layer_norm", 0, 0.4))
    assert "Kendall's tau-b -1.00 over 3 rows" in as_text(upside_down)
    assert json.loads(as_json(upside_down))["rank_agreement"]["rows"] == 3
    assert "Kendall" not in as_text(report(run("byol", 0), run("no_norm", 0)))


def test_a_printed_number_is_inside_or_outside_at_its_own_setting_alone():
    same = {"dataset.name": "stl10", "encoder.arch": "resnet18", "epochs": 10}
    runs = seeds_of("byol", [0.7, 0.71, 0.69], overrides=same)
    shown = report(*runs)
    assert "BYOL: published 57.7 lies 9.8 points below [67.5, 72.5], n 3." in as_text(shown)
    assert shown.main.set_index("row")["published_lies"]["byol"] == "outside"
    elsewhere = report(*seeds_of("byol", [0.7, 0.71, 0.69]))
    assert elsewhere.main.set_index("row")["published_lies"]["byol"] == "not comparable"


def test_where_no_sweep_was_made_for_a_table_the_fullest_setting_is_shown_and_said_to_fit_alone():
    """Runs of layer norm are a baseline's row too, where norms are no axis: newer, and fewer."""
    everything = [run("byol", seed, 0.7 + seed / 100) for seed in (0, 1)]
    slower = [
        run("byol", seed, 0.6 + seed / 100, overrides={"target.tau_base": 0.9}) for seed in (0, 1)
    ]
    newer = seeds_of("layer_norm", [0.3, 0.31], launched_at=9000.0)
    shown = report(*everything, *slower, *newer, of=load_table("tau"))
    assert shown.table.setting.values["projector.norm"] == "bn"
    assert "no sweep was made for this table: these are runs that fit its rows" in " ".join(
        as_text(shown).split()
    )
    (other,) = [each for each in shown.table.others if each.values["projector.norm"] == "ln"]
    assert "projector norm ln" in other.summary_text()


def test_rows_that_learned_nothing_or_use_few_dimensions_are_marked_although_they_did_not_collapse():
    sign = {"std_sqrt_d": 0.3, "effective_rank": 2.0}
    runs = [
        run("byol", 0, 0.7, final={"std_sqrt_d": 0.9, "effective_rank": 20.0}),
        run("no_norm", 0, 0.2, final=sign),
        run("layer_norm", 0, 0.5, final={**sign, "effective_rank": 6.0}),
        run("random", 0, 0.3),
    ]
    built = table(*runs)
    assert marks(built, "no_norm") == [
        "few dimensions: 2.0 for 20.0",
        "uninformative: 20.0 beside 30.0",
    ]
    assert marks(built, "layer_norm") == [] and marks(built, "random") == []


def test_notes_say_the_unit_and_how_many_comparisons_p_is_adjusted_for():
    shown = report(*seeds_of("byol", [0.7, 0.71, 0.69]), *seeds_of("no_norm", [0.3, 0.31, 0.32]))
    text = " ".join(as_text(shown).split())
    assert "encoder in percent" in text and "difference in points" in text
    assert "Holm over the table's 4 comparisons" in text and "are not adjusted" in text
    relative = " ".join(as_text(shown, Style(unit="fraction", relative=True)).split())
    assert "as a fraction of 1" in relative and "as a part of the baseline's mean" in relative
    assert "in points" not in relative.partition("claims")[0]


def test_csv_says_by_what_an_accuracy_was_judged():
    (byol,) = [
        text
        for text in as_csv(report(run("byol", 0))).splitlines()
        if ",accuracy," in text and "done" in text
    ]
    assert ",probe,1,online," in byol
