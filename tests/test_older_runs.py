"""Runs that an older trainer made stay readable, reportable and apart from those of today.

`semantics_1.json` holds the small files of a root that commit 6bcf1ae made: four variants, two
seeds, one epoch of 256 digits.
"""

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from byol_core.config import SEMANTICS, TrainConfig, canonical, resolve
from byol_core.config.old_settings import in_todays_words
from byol_core.config.target_memory import target_memory
from orchestrator.cli.main import app
from orchestrator.errors import StoreError
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.status.diff import difference
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

FILES = json.loads((Path(__file__).parent / "semantics_1.json").read_text())
COMMON = {"epochs": 1, "dataset.limit": 256}
GROUPS = {"norm": "gn", "weight_standardization": "biased"}
TODAY = {
    "byol": {},
    "gn_ws": {
        f"{part}.{key}": value
        for part in ("encoder", "projector", "predictor")
        for key, value in GROUPS.items()
    },
    "contrastive": {
        "method": "moco",
        "projector.norm": "none",
        "predictor.norm": "none",
        "optimizer.lr": 0.02,
    },
    "simclr": {"method": "simclr"},
}
"""What the variants of that root are called today."""


@pytest.fixture
def old(tmp_path, monkeypatch):
    """The root that the first trainer made, and a command line that works on it."""
    for name, text in FILES.items():
        file = tmp_path / "root" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.setenv("SWEEP_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("SWEEP_DB", str(tmp_path / "results.db"))
    monkeypatch.chdir(tmp_path)
    return Root(tmp_path / "root")


def sweep(*arguments, status=0):
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert done.exit_code == status, done.output
    return done.stdout


def run_of(root, variant, seed=0):
    cells = root.sweep("small").read_plan()["runs"]
    (run_id,) = [
        cell["run_id"] for cell in cells if (cell["variant"], cell["seed"]) == (variant, seed)
    ]
    return root.run(run_id)


@pytest.mark.parametrize("variant", TODAY)
def test_settings_of_the_first_trainer_are_what_a_spec_of_today_says(old, variant):
    """All but the precision, which it left to the device."""
    run = run_of(old, variant, seed=1)
    today = canonical(resolve("digits-tiny", {**COMMON, **TODAY[variant], "seed": 1}))
    del today["precision"]
    assert run.settings() == today


def test_keys_that_came_since_say_what_the_first_trainer_did(old):
    expected = {
        "loss.scale": 1.0,
        "loss.normalize": "l2",
        "loss.symmetric": True,
        "target.kind": "ema",
        "target.moves": "after",
        "predictor.kind": "mlp",
        "predictor.depth": 2,
        "batch_norm.views": "per_view",
        "batch_norm.source": "batch",
        "encoder.tiny_blocks": 1,
        "encoder.weight_standardization": "none",
        "augment.solarize_p": 0.0,
        "accumulate": 1,
        "schedule_by": None,
        "dataset.side": None,
    }
    settings = run_of(old, "byol").settings()
    assert {key: settings[key] for key in expected} == expected


def test_nulls_stay_and_unknown_keys_are_kept():
    words = in_todays_words({"method": "byol", "seed": 0, "loss_scale": None, "odd": 3}, 1)
    assert words["loss.scale"] is None and words["odd"] == 3 and "precision" not in words
    today = canonical(TrainConfig())
    assert in_todays_words(today, SEMANTICS) == today


def test_lists_find_old_runs_by_todays_keys(old):
    listed = json.loads(sweep("runs", "--where", "encoder.weight_standardization=biased", "--json"))
    assert {row["variant"] for row in listed["runs"]} == {"gn_ws"}
    listed = json.loads(sweep("runs", "--where", "loss.queue_size=1024", "--json"))
    assert {row["variant"] for row in listed["runs"]} == {"contrastive"}


def test_a_table_shows_old_runs_in_a_setting_of_their_own(old):
    table = json.loads(sweep("report", "--table", "mlp_norm", "--format", "json"))
    assert table["rows"][0]["n"] == 2 and table["setting"]["values"]["semantics"] == 1


def test_a_comparison_names_what_differs_in_todays_words(old):
    differing = difference(run_of(old, "byol"), run_of(old, "gn_ws"))
    assert differing["encoder.weight_standardization"] == ("none", "biased")
    assert not {"semantics", "contrastive.queue_size", "loss_scale"} & differing.keys()


@pytest.mark.parametrize("variant", TODAY)
def test_show_says_which_trainer_made_a_run(old, variant):
    shown = sweep("show", f"{variant}:0")
    assert f"trainer  of SEMANTICS 1, while this version trains under {SEMANTICS}" in shown
    assert json.loads(sweep("show", f"{variant}:0", "--json"))["semantics"] == 1


def test_every_command_that_looks_reads_an_old_root(old, tmp_path):
    assert "8/8 done" in sweep("status")
    assert "loss 4." in sweep("logs", "byol:0")
    assert "gn_ws" in sweep("diff", "byol:0", "gn_ws:0")
    sweep("export", "--out", str(tmp_path / "csv"))
    header = (tmp_path / "csv" / "runs.csv").read_text().splitlines()[0]
    assert "loss.scale" in header and "loss_scale" not in header
    sweep("rebuild")
    sweep("rebuild", "--verify")


def test_an_old_run_is_made_again_by_its_own_code_in_its_own_words(old):
    printed = sweep("show", "gn_ws:1", "--reproduce")
    assert "git checkout 6bcf1ae317602651a657e873ee28c1726b6d4bc5" in printed
    assert f"trains under SEMANTICS {SEMANTICS}, and makes another run" in " ".join(
        printed.replace("#", "").split()
    )
    command = printed[printed.index("python -m byol_core") :].replace("\\\n", "").split()
    settings = {command[i + 1] for i, word in enumerate(command) if word == "--set"}
    groups = {f"{part}.norm=gn_ws" for part in ("encoder", "projector", "predictor")}
    assert settings == {"epochs=1", "dataset.limit=256", "seed=1", *groups}


def test_an_old_run_is_never_trained_on(old):
    with pytest.raises(StoreError, match="is of SEMANTICS 1.*launch its sweep again"):
        run_of(old, "byol").config()


# A launch over an old root

SPEC = f"""\
version: 1
name: small
base: {{preset: digits-tiny, epochs: 1, dataset.limit: 256}}
seeds: [0, 1]
baseline: byol
variants: {json.dumps({**TODAY, "slow": {"target.tau_base": 0.5}})}
"""


@pytest.fixture
def spec(tmp_path):
    """The spec of that root, as it is written today, and a variant more."""
    file = tmp_path / "today.yaml"
    file.write_text(SPEC)
    return file


def plan_of(spec, root, **selection):
    return make_plan(load_sweep(spec), root, Selection(**selection), Queue())


def test_a_launch_trains_anew_what_an_older_trainer_has_made_and_says_what_it_costs(old, spec):
    sweep("status")
    printed = sweep("launch", str(spec), "--dry-run", "--executor", "local")
    assert "small: 10 runs, 10 to run (local)" in printed
    assert "8 runs of SEMANTICS 1 are not reused but kept apart, so 8 train anew, about" in printed
    assert "core-hours (CHANGELOG.md says what changed)" in printed
    assert "no longer in the spec" not in printed
    narrowed = ("--only", "byol", "--seeds", "1", "--executor", "local")
    printed = sweep("launch", str(spec), "--dry-run", *narrowed)
    assert "1 run of SEMANTICS 1 is not reused but kept apart, so 1 trains anew" in printed


def test_old_runs_are_remembered_and_not_told_again_once_theirs_are_done(old, spec):
    write_plan(plan_of(spec, old), old)
    left = old.sweep("small").read_plan()["left"]
    assert len(left) == 8 and {run["semantics"] for run in left} == {1}

    again = plan_of(spec, old)
    assert len(again.older) == 8 and not again.removed_variants
    again.start.clear()  # they are done
    assert again.trained_anew == []


def test_a_report_tells_the_settings_of_two_trainers_apart(old, spec):
    """Also those of runs that differ in many keys besides."""
    write_plan(plan_of(spec, old), old)
    lines = [line for line in sweep("report").splitlines() if "unlike" in line]
    apart = [line for line in lines if f": semantics 1 for {SEMANTICS}, " in line]
    assert len(apart) > 20


def test_a_variant_that_left_the_spec_is_named_whichever_trainer_made_it(old, spec):
    spec.write_text(SPEC.replace('"simclr": {', '"other": {'))
    plan = plan_of(spec, old)
    assert plan.removed_variants == ["simclr"] and len(plan.older) == 6


def test_the_same_words_under_another_meaning_are_another_run(old, spec, monkeypatch):
    write_plan(plan_of(spec, old), old, pruned=True)
    before = old.sweep("small").read_plan()["runs"]
    monkeypatch.setattr("byol_core.config.identity.SEMANTICS", SEMANTICS + 1)
    monkeypatch.setattr("orchestrator.launch.plan.SEMANTICS", SEMANTICS + 1)
    plan = plan_of(spec, old, seeds=[1])
    assert {run["run_id"] for run in plan.older} == {
        run["run_id"] for run in before if run["seed"] == 1
    }
    assert {run["semantics"] for run in plan.older} == {SEMANTICS}


def test_an_interrupted_old_run_is_not_gone_on_with(old, spec):
    run = run_of(old, "byol")
    run.attempt(1).done.unlink()
    plan = plan_of(spec, old)
    assert run.run_id not in {planned.run_id for planned in plan.start}
    assert run.run_id in {left["run_id"] for left in plan.removed}


def test_a_damaged_old_run_is_named_as_one_that_left_the_spec(old, spec):
    run_of(old, "byol").description.write_text("{")
    plan = plan_of(spec, old)
    assert plan.removed_variants == ["byol"] and len(plan.older) == 7


def test_runs_are_found_by_the_meaning_that_they_were_trained_under(old, spec):
    write_plan(plan_of(spec, old), old)
    listed = json.loads(sweep("runs", "--where", "semantics=1", "--json"))["runs"]
    assert len(listed) == 8 and {row["state"] for row in listed} == {"COMPLETED"}


# How long the target remembers


def memory(images=1000, **overrides):
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    settings = {"batch_size": 100, "epochs": 60, **dotted}
    return target_memory(canonical(resolve("digits-tiny", settings)), images)


def test_the_weight_of_the_first_target_is_what_the_moving_average_leaves():
    """Against the product of τ over all steps."""
    constant = memory(target__tau_base=0.999)
    assert constant.run_steps == 600 and constant.memory_steps == pytest.approx(1000)
    assert constant.first_left == pytest.approx(0.999**600)

    for epochs, length in ((60, 0), (10, 320)):
        cosine = memory(
            epochs=epochs,
            schedule_epochs=length,
            target__tau_base=0.996,
            target__schedule="cosine",
        )
        steps, total = epochs * 10, (length or epochs) * 10
        rates = [0.004 * (math.cos(math.pi * step / total) + 1) / 2 for step in range(steps)]
        left = math.prod(1 - rate for rate in rates)
        assert cosine.first_left == pytest.approx(left, rel=0.01)


def test_targets_that_do_not_move_or_are_copies_have_no_memory():
    assert memory(target__tau_base=0.0) is None and memory(target__tau_base=1.0) is None
    assert memory(method="simclr") is None and memory(method="random") is None
    assert memory(dataset__limit=500).run_steps == 300


def test_a_plan_names_each_tau_that_remembers_long_beside_the_run(old, tmp_path):
    spec = tmp_path / "tau.yaml"
    spec.write_text(
        "version: 1\nname: tau\nbase: {preset: digits-tiny}\nseeds: [0, 1]\n"
        "baseline: {target.tau_base: 0.9}\n"
        "grid: {target.tau_base: [0.0, 0.9, 0.996, 0.999, 1.0]}\n"
    )
    printed = sweep("launch", str(spec), "--dry-run", "--executor", "local")
    assert "τ = 0.999 averages over 1,000 steps, the run has " in printed
    assert "it is nearly τ = 1; " in printed and printed.count("averages over") == 2
    assert "τ = 0.996 averages over 250 steps" in printed
