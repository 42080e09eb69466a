"""Tables from stored runs: statistics against SciPy, settings that may not mix, every state of a
line, text and JSON.
"""

import json
import math
import random

import pytest
from planted import MLP_NORM, line, marks, orphan, report, run, settings, sweeps_of, table

from analysis.papers.rows import UnknownTableError, load_table
from analysis.render.csv_cells import as_csv_text
from analysis.render.csv_table import as_csv
from analysis.render.json_table import as_json
from analysis.render.markdown import as_markdown, escape
from analysis.render.matrix import NoMatrixError, as_matrix
from analysis.render.overview import overview_text
from analysis.render.text import as_text
from analysis.results.runs import _origin
from analysis.tables.build import UnknownSettingError
from analysis.tables.collapse import is_collapsed
from analysis.tables.completeness import Overview, table_overview
from analysis.tables.setting_index import SettingIndex, unlike
from byol_core.config import PROTOCOLS

VALUES, BASE = {0: 0.61, 1: 0.58, 2: 0.66}, {0: 0.70, 1: 0.71, 2: 0.69}


def test_a_table_without_runs_has_all_its_lines():
    empty = report()
    assert [*empty.main["state"]] == ["absent"] * 7
    assert "no runs yet: start some with `sweep launch SPEC --table mlp_norm`" in as_text(empty)
    assert json.loads(as_json(empty))["setting"] is None


def test_values_differences_and_collapse_stand_in_their_line():
    shown = report(
        *(run("byol", seed, value) for seed, value in BASE.items()),
        *(run("no_norm", seed, value, spread=0.05) for seed, value in VALUES.items()),
    )
    built = shown.table
    no_norm = line(built, "no_norm")
    assert no_norm.values == VALUES and no_norm.state == "done 3/3" and no_norm.collapsed == (3, 3)
    assert no_norm.baseline == "byol" and no_norm.difference.delta == pytest.approx(-0.25 / 3)
    assert line(built, "byol").collapsed == (0, 3) and line(built, "byol").difference is None
    text = as_text(shown)
    assert "3/3" in text and "baseline" in text and "28.3" in text and "absent" in text


def test_the_random_encoder_belongs_to_every_setting_with_its_images_and_is_never_collapsed():
    short, long = ({"epochs": 10}, {"epochs": 20})
    runs = [run("byol", 0, overrides=short), run("byol", 0, overrides=long), run("random", 0)]
    built = [table(*runs, setting=each.id) for each in settings(*runs)]
    assert [line(each, "random").state for each in built] == ["done 1/1"] * 2
    assert all(line(each, "random").collapsed is None and len(each.others) == 1 for each in built)


@pytest.mark.parametrize(
    "change",
    [
        {"overrides": {"epochs": 10}},
        {"overrides": {"encoder.stem": "3x3"}},
        {"overrides": {"augment.noise_std": 0.5}},
        {"overrides": {"augment.solarize_p": 0.2}},
        {"data": ("e" * 64, "as stored", 1)},
        {"data": ("f" * 64, "half", 1)},
        {"data": ("f" * 64, "as stored", 2)},
    ],
    ids=["epochs", "encoder", "augmentation", "later key", "content", "split", "semantics"],
)
def test_runs_of_another_setting_data_or_semantics_never_share_a_table(change):
    built = table(run("byol", 0), run("no_norm", 0, **change))
    states = {line(built, key).state for key in ("byol", "no_norm")}
    assert states == {"done 1/1", "absent"} and len(built.others) == 1


def test_a_companion_key_may_differ_but_not_within_a_line():
    built = table(run("byol", 0), run("contrastive", 0))
    assert line(built, "contrastive").state == "done 1/1" and built.others == []
    assert marks(built, "contrastive") == ["tuned apart: optimizer.lr 0.02 for 1.5"]
    two = table(
        run("byol", 0),
        run("contrastive", 0),
        run("contrastive", 1, overrides={"optimizer.lr": 0.5}),
    )
    confounded = line(two, "contrastive")
    assert confounded.summary.n == 0 and marks(two, "contrastive") == [
        "confounded: optimizer.lr 0.02 | 0.5"
    ]


def test_the_newest_sweeps_setting_is_shown_and_others_can_be_chosen():
    old, new = (
        run("byol", 0, 0.1, overrides={"epochs": 10}),
        run("byol", 0, 0.2, launched_at=2000.0),
    )
    assert line(table(old, new), "byol").values == {0: 0.2}
    (other,) = table(old, new).others
    assert line(table(old, new, setting=other.id[:4]), "byol").values == {0: 0.1}
    with pytest.raises(UnknownSettingError, match=other.id):
        table(old, new, setting="zzz")


def test_a_sweep_that_does_not_feed_the_table_is_not_shown_before_one_that_does():
    ours = run("byol", 0, 0.1)
    later = run(
        "byol",
        0,
        0.2,
        overrides={"epochs": 10},
        launched_at=9000.0,
        tables=["tau"],
        sweep="tau",
    )
    shown = table(ours, later)
    assert (
        line(shown, "byol").values == {0: 0.1}
        and len(shown.others) == 1
        and shown.setting.sweep == "norm_ablation@quick"
    )


def test_what_no_sweep_asks_for_is_a_setting_only_with_a_result_of_its_own():
    ours = [run("byol", 0), run("random", 0)]
    left = orphan(0, state="PLANNED", overrides={"epochs": 10})
    assert len(settings(*ours, left)) == 1
    assert len(settings(left)) == 0
    assert "no runs yet" in as_text(report(left))

    # A result is kept, and counted below the settings of sweeps.
    done = orphan(1, overrides={"epochs": 10})
    runs = [*ours, left, done]
    (_, kept) = settings(*runs)
    assert kept.sweep == "no sweep" and kept.has_result
    overview = overview_text(Overview([table_overview(MLP_NORM, runs, sweeps_of(runs))]))
    assert "… and 1 settings more" in overview


def test_an_empty_newest_setting_is_shown_and_a_complete_one_named():
    old = run("byol", 0, overrides={"epochs": 10})
    older = [run("byol", 0), run("no_norm", 0, state="FAILED", evaluations={})]
    new = run("byol", 0, launched_at=2000.0, state="PLANNED", overrides={"epochs": 20})
    shared = run("random", 0)
    text = as_text(report(*older, old, new, shared))
    (other,) = settings(old)
    hint = f"complete: --setting {other.id} (norm_ablation@quick)"
    assert f"the newest has no result of its own yet; {hint}" in text and "20 epochs" in text
    assert "the newest" not in as_text(report(old, new, shared, setting=other.id))
    assert "the newest" not in as_text(report(new)) + as_text(report(old))
    assert "yet; with results: --setting" in as_text(report(*older, new))


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["COMPLETED", "PLANNED"], "partial 1/2"),
        (["COMPLETED", "RUNNING"], "running 1/2"),
        (["FAILED", "PLANNED"], "failed 0/2"),
        (["STOPPED", "STOPPED"], "stopped 0/2"),
        (["PLANNED", "SUBMITTED"], "waiting 0/2"),
    ],
)
def test_a_line_says_how_far_it_is(states, expected):
    runs = [run("byol", seed, state=state) for seed, state in enumerate(states)]
    assert line(table(*runs), "byol").state == expected


def test_a_diverged_run_is_marked_and_gives_no_number():
    built = line(
        table(run("byol", 0), run("byol", 1, outcome="diverged", evaluations={}, final={})), "byol"
    )
    assert (
        built.summary.n == 1
        and [*map(str, built.marks)] == ["diverged 1/2"]
        and built.state == "done 2/2"
    )


def test_a_result_whose_evaluation_is_missing_is_not_done_and_marked_in_every_format():
    built = report(
        run("byol", 0), run("byol", 1, evaluations={}), run("no_norm", 0, state="RUNNING")
    )
    byol = line(built.table, "byol")
    assert byol.summary.n == 1 and byol.state == "partial 1/2"
    assert marks(built.table, "byol") == ["not judged 1/2: no probe of the online encoder"]
    for text in (as_text(built), as_markdown(built), as_csv(built), as_json(built)):
        assert "not judged" in text
    assert "--rerun" in as_text(built)
    assert "--rerun" not in as_text(report(run("byol", 0)))


def test_runs_of_different_code_or_machines_are_marked():
    other = {"trainer code": "beef", "device": "cuda", "torch": "2"}
    assert marks(table(run("byol", 0), run("byol", 1, origin=other)), "byol") == [
        "mixed: trainer code beef | c0ffee; device cpu | cuda"
    ]


def test_a_run_that_went_on_inexactly_is_marked():
    built = table(run("byol", 0), run("byol", 1, exact=False))
    assert marks(built, "byol") == ["inexact 1/2"] and line(built, "byol").summary.n == 2


VERSIONS = {"python": "3.12", "torch": "2"}
COMPUTE = {"device": "cpu", "kind": "EPYC", "capability": "AVX2", "threads": 1}
RECORDED = {"commit": "a", "dirty": False, "code": "c", "trainer": "t", "versions": VERSIONS}
OLDER = {"commit": "a", "dirty": False, "code": "c", "versions": VERSIONS, "gpus": None}
H100S = {"names": ["H100", "H100"]}


@pytest.mark.parametrize(
    ("change", "differs_in"),
    [
        ({"commit": "b", "dirty": True, "code": "d"}, set()),
        ({"trainer": "u"}, {"trainer code"}),
        ({"compute": {**COMPUTE, "threads": 8}}, set()),
        ({"compute": {**COMPUTE, "kind": "Xeon"}}, {"device model"}),
        ({"compute": {**COMPUTE, "capability": "DEFAULT"}}, {"processor capability"}),
    ],
)
def test_a_mark_hangs_on_what_decides_the_result_and_not_on_the_commit(change, differs_in):
    one = _origin(json.dumps({**RECORDED, "compute": COMPUTE}), None)
    other = _origin(json.dumps({**RECORDED, "compute": COMPUTE, **change}), "cpu")
    assert {key for key in one if one[key] != other[key]} == differs_in


def test_an_older_run_has_its_code_and_the_device_that_auto_meant():
    asked_cpu = _origin(json.dumps(OLDER), "cpu")
    assert asked_cpu == _origin(json.dumps(OLDER), None)
    assert asked_cpu["trainer code"] == "c" and asked_cpu["device model"] is None
    on_gpu = _origin(json.dumps({**OLDER, "gpus": H100S}), None)
    assert (on_gpu["device"], on_gpu["device model"]) == ("cuda", "H100")


def judged(**by_version):
    """Evaluations of the probe: v1=0.4, v2=0.7, …"""
    return {
        ("probe", int(name[1:]), "online", "accuracy"): value for name, value in by_version.items()
    }


def test_numbers_of_two_versions_of_a_protocol_never_meet_in_a_table():
    """Neither in a row, nor in a difference from a baseline; the older stay listed."""
    runs = [
        run("byol", 0, evaluations=judged(v1=0.40)),
        run("byol", 1, evaluations=judged(v2=0.71)),
        run("no_norm", 0, evaluations=judged(v1=0.30)),
        run("no_norm", 1, evaluations=judged(v1=0.31)),
        run("random", 0, evaluations=judged(v2=0.50)),
    ]
    shown = report(*runs)
    newer = shown.table
    (older,) = newer.others
    assert line(newer, "byol").values == {1: 0.71} and line(newer, "random").values == {0: 0.5}
    assert line(newer, "no_norm").state == "absent" and newer.setting.version == 2
    assert "ours: probe (version 2) accuracy" in as_text(shown)
    assert json.loads(as_json(shown))["metric"]["version"] == 2
    assert newer.setting.unlike(older) == {"probe_version": (2, 1)}

    then = table(*runs, setting=older.id)
    assert line(then, "byol").values == {0: 0.4} and line(then, "random").state == "absent"
    assert line(then, "no_norm").values == {0: 0.3, 1: 0.31}
    assert line(then, "no_norm").difference.n_pairs == 1
    assert "ours: probe (version 1) accuracy" in as_text(report(*runs, setting=older.id))
    overview = overview_text(Overview([table_overview(MLP_NORM, runs, sweeps_of(runs))]))
    assert newer.setting.id in overview and f"  {older.id}  " in overview


def test_a_baseline_that_is_not_judged_brings_no_two_versions_together():
    runs = [
        run("byol", 0, state="FAILED", evaluations={}),
        run("no_norm", 0, evaluations=judged(v1=0.3)),
        run("no_norm", 1, evaluations=judged(v2=0.6)),
    ]
    built = [table(*runs, setting=setting.id) for setting in settings(*runs)]
    assert [line(one, "no_norm").values for one in built] == [{1: 0.6}, {0: 0.3}]
    assert [line(one, "byol").state for one in built] == ["failed 0/1"] * 2


def test_a_run_that_two_versions_have_judged_stands_in_both_tables_with_its_own_number():
    runs = [run("byol", 0, evaluations=judged(v1=0.1, v2=0.2))]
    newer = table(*runs)
    assert line(newer, "byol").values == {0: 0.2}
    assert line(table(*runs, setting=newer.others[0].id), "byol").values == {0: 0.1}


def test_a_setting_keeps_its_name_when_its_first_run_is_judged():
    before = table(run("byol", 0, state="RUNNING", outcome=None, evaluations={}))
    after = table(run("byol", 0, evaluations=judged(**{f"v{PROTOCOLS['probe']}": 0.5})))
    assert before.setting.id == after.setting.id and after.others == before.others == []


def test_older_results_are_no_empty_setting_of_the_newest_version():
    runs = [
        run("byol", 0, evaluations=judged(v1=0.4)),
        run("byol", 1, outcome="diverged", evaluations={}, final={}),
    ]
    built = table(*runs)
    assert built.others == [] and marks(built, "byol") == ["diverged 1/2"]


def test_collapse_is_judged_from_the_spread_alone():
    assert (
        is_collapsed({"std_sqrt_d": 0.09}) is True and is_collapsed({"std_sqrt_d": 0.11}) is False
    )
    assert is_collapsed({"loss": 0.0}) is None and is_collapsed({"std_sqrt_d": math.nan}) is None


def test_json_has_the_documented_keys():
    document = json.loads(as_json(report(run("byol", 0), run("byol", 1), run("no_norm", 0))))
    top = (
        "table title metric setting other_settings published_source published_setting "
        "published_setting_unknown rank_agreement rows claims variants_of_no_table"
    )
    documented = (
        "label method overrides published published_pm published_as_printed "
        "published_lies published_is_read_off_a_figure published_cosines n values mean std half_range ci95 baseline "
        "delta delta_ci95 n_pairs p_holm state done asked marks codes collapsed std_sqrt_d "
        "positive_cosine negative_cosine run_ids metrics"
    )
    assert " ".join(document) == top
    assert all(" ".join(row) == documented for row in document["rows"])


def test_the_note_on_differing_settings_names_them_and_goes_when_there_are_none():
    text = as_text(report(run("byol", 0)))
    assert (
        "differ (dataset.name digits for stl10, encoder.arch tiny for resnet18, epochs 60 for 10)"
        in " ".join(text.split())
    )
    same = {"dataset.name": "stl10", "encoder.arch": "resnet18", "epochs": 10}
    assert "published and ours differ" not in as_text(report(run("byol", 0, overrides=same)))


def test_table_norm_takes_the_same_runs():
    built = table(run("byol", 0), run("no_norm", 0), of=load_table("norm"))
    assert {one.row.key for one in built.lines if one.state == "done 1/1"} == {
        "byol_bn_bn_bn",
        "byol_bn_none_none",
    }
    assert len(built.lines) == 22


def test_an_unknown_table_names_the_nearest():
    with pytest.raises(UnknownTableError, match="did you mean 'mlp_norm'"):
        load_table("mlp_nom")


def test_no_csv_cell_is_a_formula():
    text = as_csv_text(
        ["label", "value"],
        [["=1+1", -0.5], ["@x", 2], ["plain", None], ["+a", 0], ["-b", 0], ["\tc", 0]],
    )
    assert text.splitlines()[1:] == ["'=1+1,-0.5", "'@x,2", "plain,", "'+a,0", "'-b,0", "'\tc,0"]


def test_markdown_shows_hostile_text_as_text():
    assert escape("a|b <script> `x`") == r"a\|b &lt;script&gt; \`x\`"
    shown = as_markdown(report(run("byol", 0)))
    columns = {
        line.count("|") - line.count(r"\|") for line in shown.splitlines() if line.startswith("|")
    }
    assert len(columns) == 1 and "<" not in shown


def test_csv_and_markdown_hold_the_numbers_of_the_table():
    built = report(*(run("byol", seed, value) for seed, value in BASE.items()))
    (byol,) = [text for text in as_csv(built).splitlines() if ",BYOL,byol,accuracy," in text]
    assert (
        "0.577" in byol
        and "done 3/3" in byol
        and "| BYOL | 57.7 | 70.0 ± 2.5 |" in as_markdown(built)
    )


def test_the_matrix_has_the_papers_spanning_headers():
    text = as_matrix(report(run("byol", 0, 0.5), of=load_table("norm")))
    encoder = next(one for one in text.splitlines() if one.startswith("encoder"))
    assert (
        encoder.split() == ["encoder", "BN", "LN", "–"]
        and "SIMCLR" in text.upper()
        and "73.2" in text
        and "50.0" in text
    )
    with pytest.raises(NoMatrixError, match="table tau has no matrix layout"):
        as_matrix(report(run("byol", 0), of=load_table("tau")))


def test_settings_are_found_as_if_each_were_compared():
    """Against the plain definition: hundreds of settings, with keys that are null, absent, equal or
    not.
    """
    chance = random.Random(1)
    for _ in range(50):
        index = SettingIndex()
        for _ in range(60):
            values = {
                key: chance.choice([None, 1, 1.0, 2, "a", [1, 2]])
                for key in "abcd"
                if chance.random() < 0.8
            }
            assert index.compatible_with(values) == [
                number for number, other in enumerate(index.all) if not unlike(values, other)
            ]
            if chance.random() < 0.5:
                index.add(values)
