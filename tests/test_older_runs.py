"""Runs that an older trainer made stay readable, reportable and apart from those of today.

`semantics_1.json` holds the small files of a root that commit 6bcf1ae made: four variants, two
seeds, one epoch of 256 digits.
"""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from byol_core.config import SEMANTICS, TrainConfig, canonical, resolve
from byol_core.config.old_settings import in_todays_words
from orchestrator.cli.main import app
from orchestrator.errors import StoreError
from orchestrator.status.diff import difference
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
