"""Settings, their canonical form and the identity of a run."""

import numpy as np
import pytest

from byol_core.config import PRESETS, ConfigError, DataIdentity, canonical, resolve, run_id
from byol_core.config.effect import before
from byol_core.config.resolve import keys, nearest
from byol_core.config.train_config import DatasetConfig
from byol_core.datasets.errors import DataMissingError
from byol_core.datasets.locate import data_identity

DATA = DataIdentity("f" * 64, "as stored")


def identity(**overrides):
    return run_id(
        resolve("digits-tiny", {key.replace("__", "."): value for key, value in overrides.items()}),
        DATA,
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_resolves(preset):
    assert resolve(preset, {}).method == "byol"


REFUSED = {
    "unknown section": (
        {"projektor.norm": "bn"},
        "projektor.norm",
        "did you mean 'projector.norm'",
    ),
    "unknown key": ({"projector.nrm": "bn"}, "projector.nrm", "did you mean 'projector.norm'"),
    "a section as key": ({"projector": 1}, "projector", "its keys: projector.depth"),
    "no such norm": (
        {"projector.norm": "batch"},
        "projector.norm",
        "'bn', 'ln', 'gn', 'in', 'affine' or 'none', or a part of your own",
    ),
    "text for a number": ({"optimizer.lr": "fast"}, "optimizer.lr", "'fast' is not allowed"),
    "truth for a number": ({"optimizer.lr": True}, "optimizer.lr", "True is not allowed"),
    "not positive": ({"optimizer.lr": 0}, "optimizer.lr", "greater than 0"),
    "not finite": ({"optimizer.lr": float("inf")}, "optimizer.lr", "finite"),
    "fraction above 1": ({"target.tau_base": 1.5}, "target.tau_base", "less than or equal to 1"),
    "momentum 1": ({"optimizer.momentum": 1}, "optimizer.momentum", "less than 1"),
    "part of an epoch": ({"epochs": 1.5}, "epochs", "1.5 is not allowed"),
    "batch of 1": ({"batch_size": 1}, "batch_size", "greater than or equal to 2"),
    "range upside down": ({"augment.scale": [2, 1]}, "augment.scale", "lower end above"),
    "heads that do not fit": (
        {"predictor.out": 32},
        "predictor.out",
        "differs from projector.out 64",
    ),
    "groups that do not divide": (
        {"projector.norm": "gn", "projector.gn_groups": 7},
        "projector.gn_groups",
        "does not divide projector.hidden 256",
    ),
    "a probability above 1 for one view": (
        {"augment.blur_p": [0.5, 2]},
        "augment.blur_p",
        "less than or equal to 1",
    ),
    "three views": ({"augment.blur_p": [0.1, 0.2, 0.3]}, "augment.blur_p", "must be a pair"),
    "photos turned": (
        {"dataset.name": "folder"},
        "augment.rotate_rad",
        "set augment.rotate_rad and augment.shift to 0",
    ),
    "schedule too short": ({"schedule_epochs": 3}, "schedule_epochs", "shorter than epochs 60"),
    "negative seed": ({"seed": -1}, "seed", "greater than or equal to 0"),
}


TWINS = {
    "unknown section": {"projector.norm": "bn"},
    "unknown key": {"projector.norm": "ln"},
    "a section as key": {"projector.hidden": 1},
    "no such norm": {"projector.norm": "affine"},
    "text for a number": {"optimizer.lr": 1},
    "truth for a number": {"optimizer.decay_bias_and_norm": True},
    "not positive": {"optimizer.lr": 1e-9},
    "not finite": {"optimizer.lr": 1e9},
    "fraction above 1": {"target.tau_base": 1},
    "momentum 1": {"optimizer.momentum": 0.999},
    "part of an epoch": {"optimizer.warmup_epochs": 1.5},
    "batch of 1": {"batch_size": 3},
    "range upside down": {"augment.scale": [1, 2]},
    "heads that do not fit": {"predictor.out": 32, "projector.out": 32},
    "groups that do not divide": {"projector.norm": "gn", "projector.gn_groups": 8},
    "a probability above 1 for one view": {"augment.blur_p": [0.5, 1]},
    "three views": {"augment.blur_p": [0.1, 0.2]},
    "photos turned": {
        "dataset.name": "folder",
        "augment.rotate_rad": 0,
        "augment.shift": 0,
        "augment.scale": [1, 1],
    },
    "schedule too short": {"schedule_epochs": 60},
    "negative seed": {"seed": 0},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_settings_valid_twin_is_accepted(name):
    assert resolve("digits-tiny", TWINS[name])


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_setting_is_named_with_what_is_allowed(name):
    overrides, key, text = REFUSED[name]
    with pytest.raises(ConfigError) as error:
        resolve("digits-tiny", overrides)
    assert error.value.key == key and text in str(error.value) and key in str(error.value)


def test_unknown_preset_lists_all():
    with pytest.raises(ConfigError, match=", ".join(sorted(PRESETS))):
        resolve("x", {})


AFFINE = {"encoder.norm": "affine"}
NO_BATCH_NORM = {f"{part}.norm": "ln" for part in ("encoder", "projector", "predictor")}
EQUAL = {
    "a whole number for a fraction": ({"target.tau_base": 1}, {"target.tau_base": 1.0}),
    "group count without groups": ({"projector.gn_groups": 2}, {}),
    "queue without a queue": ({"loss.queue_size": 9}, {}),
    "layer norm under its other name": (
        {"projector.norm": "gn", "projector.gn_groups": 1},
        {"projector.norm": "ln"},
    ),
    "a norm on the output where there is none": (
        {"projector.norm": "none", "projector.out_norm": True},
        {"projector.norm": "none"},
    ),
    "averages that normalize and follow": (
        {"batch_norm.source": "running", "batch_norm.target": "eval"},
        {"batch_norm.source": "running", "batch_norm.target": "ema"},
    ),
    "the loss's temperature without negatives": ({"loss.temperature": 0.5}, {}),
    "batch norm where there is none": (
        {**NO_BATCH_NORM, "batch_norm.views": "joint"},
        NO_BATCH_NORM,
    ),
    "width of a predictor that is a matrix": (
        {"predictor.kind": "linear", "predictor.hidden": 9, "predictor.norm": "ln"},
        {"predictor.kind": "linear"},
    ),
    "rate of a predictor that is not there": (
        {"predictor.kind": "none", "optimizer.lambda_predictor": 10.0},
        {"predictor.kind": "none"},
    ),
    "decay of the target that is the online network": (
        {"target.kind": "online", "target.tau_base": 0.5},
        {"target.kind": "online"},
    ),
    "what SimCLR is without saying it": (
        {"method": "simclr", "predictor.kind": "none", "target.kind": "online"},
        {"method": "simclr"},
    ),
    "shuffled groups without groups": ({"batch_norm.shuffle": True}, {}),
    "a schedule's steps without a schedule": ({"schedule_by": "epoch"}, {}),
    "a negative zero": ({"optimizer.momentum": -0.0}, {}),
    "trust coefficient of SGD": ({"optimizer.trust_coefficient": 0.5}, {}),
    "which parameters decay without decay": ({"optimizer.decay_bias_and_norm": True}, {}),
    "crop box without crops": ({"augment.crop_area": [0.5, 1.0]}, {}),
    "schedule of a constant τ": (
        {"target.tau_base": 0.0, "target.schedule": "cosine"},
        {"target.tau_base": 0.0, "target.schedule": "constant"},
    ),
    "horizon written out": (
        {"target.schedule": "cosine", "schedule_epochs": 60},
        {"target.schedule": "cosine"},
    ),
    "one probability for both views": ({"augment.blur_p": [0.5, 0.5]}, {"augment.blur_p": 0.5}),
    "side of images that lie in memory": ({"dataset.side": 96}, {}),
    "where the data lies": ({"dataset.path": "/elsewhere"}, {}),
    "learning rate of what never learns": (
        {"method": "random", "optimizer.lr": 9.0},
        {"method": "random"},
    ),
    "target of what never learns": (
        {"method": "random", "target.start": "draw"},
        {"method": "random"},
    ),
    "heads of what never learns": (
        {"method": "random", "projector.norm": "none"},
        {"method": "random"},
    ),
}


@pytest.mark.parametrize("name", EQUAL)
def test_settings_that_mean_the_same_are_one_run(name):
    one, other = EQUAL[name]
    assert run_id(resolve("digits-tiny", one), DATA) == run_id(resolve("digits-tiny", other), DATA)


DIFFERENT = {
    "optimizer.lr": 1.0,
    "seed": 1,
    "epochs": 61,
    "dataset.limit": 100,
    "projector.norm": "none",
    "init.scheme": "torch",
    "method": "moco",
    "augment.noise_std": 0.1,
    "augment.blur_p": [0.0, 0.1],
    "augment.solarize_p": [0.0, 0.2],
    "loss.scale": 0.5,
    "loss.beta": 1.0,
    "loss.label_weight": 1.0,
    "target.kind": "online",
    "target.moves": "before",
    "predictor.kind": "linear",
    "batch_norm.views": "joint",
    "accumulate": 2,
    "precision": "bf16",
    "encoder.norm": "ln",
}


@pytest.mark.parametrize("key", DIFFERENT)
def test_a_setting_with_effect_is_another_run(key):
    assert run_id(resolve("digits-tiny", {key: DIFFERENT[key]}), DATA) != identity()


def test_other_content_is_another_run():
    config = resolve("digits-tiny", {})
    assert (
        len(
            {
                run_id(config, data)
                for data in (
                    DATA,
                    DataIdentity("e" * 64, "as stored"),
                    DataIdentity("f" * 64, "half"),
                )
            }
        )
        == 3
    )


def test_semantics_are_part_of_the_identity(monkeypatch):
    before = identity()
    monkeypatch.setattr("byol_core.config.identity.SEMANTICS", 999)
    assert identity() != before


def test_canonical_has_every_key_but_the_location():
    everything = resolve("imagenet-r50-300ep", {})
    assert set(canonical(everything)) == set(keys()) - {"dataset.path", "compute", *before()}


def test_a_limit_beyond_the_images_is_none():
    beyond = resolve("digits-tiny", {"dataset.limit": 1400, "init.affine_images": 5000, **AFFINE})
    all_of_them = resolve("digits-tiny", {"init.affine_images": 1400, **AFFINE})
    assert canonical(beyond, images=1400) == canonical(all_of_them, images=1400)
    assert canonical(beyond, images=1401) != canonical(all_of_them, images=1401)
    assert canonical(beyond) != canonical(all_of_them), "without knowing the images"


def test_a_file_keeps_its_identity_when_it_moves_and_loses_it_when_it_changes(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    one, other = tmp_path / "one.npz", tmp_path / "other.npz"
    images, labels = np.zeros((4, 8, 8), np.uint8), np.arange(4) % 2
    np.savez(one, x_train=images, y_train=labels, x_test=images, y_test=labels)
    before = data_identity(DatasetConfig(name="arrays", path=str(one)))
    one.rename(other)
    assert data_identity(DatasetConfig(name="arrays", path=str(other))) == before
    np.savez(other, x_train=images + 1, y_train=labels, x_test=images, y_test=labels)
    assert data_identity(DatasetConfig(name="arrays", path=str(other))) != before


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("norm", ["encoder.norm", "predictor.norm", "projector.norm"]),
        ("nrm", ["encoder.norm", "predictor.norm", "projector.norm"]),
        ("lr", ["optimizer.lr"]),
        ("batchsize", ["batch_size"]),
        ("proj.norm", ["projector.norm"]),
    ],
)
def test_a_key_without_its_section_is_found_by_its_last_part(word, meant):
    hint = nearest(word, keys())
    assert hint == f"did you mean {' or '.join(map(repr, meant))}?"


def test_of_many_names_the_nearest_few_are_listed():
    hint = nearest("zzzz", [f"variant_{number}" for number in range(80)])
    assert (
        hint.startswith("allowed: 80 names, of which the nearest are variant_") and len(hint) < 120
    )
    assert nearest("zzzz", ["b", "a"]) == "allowed: a, b"
    assert nearest("5", ["long.name.5", "b"]) == "allowed: b, long.name.5"


def test_missing_stl10_names_the_command_that_fetches_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_DATA", str(tmp_path))
    with pytest.raises(DataMissingError, match="sweep data fetch stl10"):
        data_identity(DatasetConfig(name="stl10"))
