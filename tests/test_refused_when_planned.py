"""What cannot train is refused when it is planned; what is let through takes its steps.

Every key of a run gets senseless and extreme values, on real networks and tiny random images.
"""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from byol_core.config import ConfigError, resolve
from byol_core.config.resolve import keys
from byol_core.datasets.errors import DataError
from byol_core.datasets.facts import DataFacts, check_fit, data_facts
from byol_core.images.load import load
from byol_core.images.memory import Split
from byol_core.train import Options, train
from orchestrator.errors import SpecError
from orchestrator.spec import expand, load_sweep

WRONG = [
    *(-1, 0, 1, 7, 25, 2**31, 2**64, 10**400),
    *(-1.0, 0.0, 1e-320, 1e-45, 1e-10, 0.5, 1.5, 1e6, 1e18, 3.4e38, 1e39, 1e300),
    *(math.nan, math.inf, -math.inf, True, None, "", "bn", [], {}),
    *([0, 0], [0.5, 0.2], [1e-30, 1e30], [3e38, 3e38], [math.nan, math.nan]),
]
SMALL = {
    "dataset.name": "arrays",
    "epochs": 1,
    "batch_size": 8,
    **{f"{part}.{width}": 16 for part in ("projector", "predictor") for width in ("hidden", "out")},
    "init.affine_images": 8,
    "loss.queue_size": 16,
}
ALL_ON = {
    **{f"augment.{name}_p": 1.0 for name in ("crop", "jitter", "blur", "solarize")},
    "optimizer.name": "lars",
    "optimizer.schedule": "cosine",
    "optimizer.weight_decay": 1e-4,
    "encoder.norm": "gn",
    "projector.norm": "gn",
    "projector.weight_standardization": "biased",
    "projector.gn_groups": 4,
}
BASES = [{}, ALL_ON, {"method": "moco"}, {"method": "simclr"}, {"method": "random"}]
HUGE = ("hidden", "out", "queue_size")  # what they need depends on the machine


def write(path, images=24, side=12, **arrays):
    """Write random images of three classes; `arrays` replace those of their names."""
    x = np.random.default_rng(0).integers(0, 256, (images, side, side), dtype=np.uint8)
    y = np.arange(images) % 3
    kept = {"x_train": x, "y_train": y, "x_test": x[:8], "y_test": y[:8], **arrays}
    np.savez(path, **{name: array for name, array in kept.items() if array is not None})
    return str(path)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write(tmp_path_factory.mktemp("images") / "grey.npz")


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(BASES),
    st.sampled_from([key for key in keys() if key != "dataset.path"]),
    st.sampled_from(WRONG),
)
def test_a_value_is_refused_when_it_is_planned_or_trains(
    images, tmp_path_factory, base, key, value
):
    overrides = {**SMALL, **base, "dataset.path": images, key: value}
    try:
        config = resolve("digits-tiny", overrides)
        check_fit(config, data_facts(config.dataset))
    except ConfigError as error:
        assert error.key and len(str(error)) < 400 and "\n" not in str(error)
        return
    if key.endswith(HUGE):
        return
    from conftest import Silent

    options = Options(device="cpu", threads=1, max_steps=2, protocols=())
    result = train(config, tmp_path_factory.mktemp("run"), options, Silent())
    assert result.outcome in ("ok", "cut", "diverged")


REFUSED = {
    "encoder.gn_groups": {"encoder.norm": "gn", "encoder.gn_groups": 7},
    "optimizer.warmup_epochs": {"optimizer.warmup_epochs": 99},
    "augment.crop_area": {"augment.crop_p": 1, "augment.crop_area": [0, 0]},
    "optimizer.lr": {"optimizer.lr": 1e300},
    "optimizer.lambda_predictor": {"optimizer.lambda_predictor": 3e38},
    "optimizer.early_factor": {"optimizer.early_factor": 3e38},
    "optimizer.decay_projector": {
        "optimizer.weight_decay": 1e20,
        "optimizer.decay_projector": 1e20,
    },
    "projector.out": {"projector.out": 1, "predictor.out": 1},
    "loss.normalize": {
        "loss.normalize": "batch",
        "batch_size": 2,
        **{f"{part}.norm": "ln" for part in ("projector", "predictor")},
    },
    "projector.gn_groups": {"projector.norm": "gn", "projector.gn_groups": 256},
    "predictor.hidden": {"predictor.norm": "ln", "predictor.hidden": 1},
    "projector.hidden": {
        f"{part}.{width}": 10**7
        for part in ("projector", "predictor")
        for width in ("hidden", "out")
    },
    "schedule_epochs": {"schedule_epochs": 10**9, "optimizer.schedule": "cosine"},
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_cannot_train_names_its_key(key):
    with pytest.raises(ConfigError) as error:
        resolve("digits-tiny", REFUSED[key])
    assert error.value.key == key and str(error.value).startswith(key)


def test_a_rate_of_another_optimizer_is_refused():
    with pytest.raises(ConfigError, match="optimizer.lr: 1.5 under optimizer.name 'adamw'"):
        resolve("digits-tiny", {"optimizer.name": "adamw"})
    resolve("digits-tiny", {"optimizer.name": "adamw", "optimizer.lr": 1e-3})
    resolve("digits-tiny", {"method": "random", "optimizer.name": "adamw"})


@pytest.mark.parametrize("policy", ["ema", "eval"])
def test_averages_that_follow_nothing_are_refused(policy):
    settings = {"batch_norm.target": policy, "target.start": "draw"}
    resolve("digits-tiny", {**settings, "target.tau_base": 0.999})
    with pytest.raises(ConfigError, match="never leave mean 0 and variance 1"):
        resolve("digits-tiny", {**settings, "target.tau_base": 1})


def test_numbers_without_a_direction_do_where_the_loss_needs_none():
    narrow = {"projector.out": 1, "predictor.out": 1}
    resolve("digits-tiny", {**narrow, "loss.normalize": "none"})
    for refused in ({"method": "moco"}, {"method": "simclr"}, {"loss.normalize": "layer"}):
        with pytest.raises(ConfigError, match="signs alone"):
            resolve("digits-tiny", {**narrow, **refused})


def test_a_warmup_by_epoch_needs_a_second_epoch():
    settings = {"epochs": 1, "optimizer.warmup_epochs": 0.5}
    resolve("digits-tiny", settings)
    with pytest.raises(ConfigError, match="rate of the first epoch is 0"):
        resolve("digits-tiny", {**settings, "schedule_by": "epoch"})
    resolve("digits-tiny", {**settings, "schedule_by": "epoch", "epochs": 2})


def test_a_single_step_of_warmup_trains_nothing():
    config = resolve("digits-tiny", {"epochs": 1, "optimizer.warmup_epochs": 1})
    check_fit(config, DataFacts(2 * config.batch_size, 1))
    with pytest.raises(ConfigError, match="learning rate is 0"):
        check_fit(config, DataFacts(config.batch_size, 1))


ZEROS = np.zeros(24, np.int64)
BAD_ARRAYS = {
    "holds no y_test": {"y_test": None},
    "x_train is float32": {"x_train": np.zeros((24, 12, 12), np.float32)},
    "it must be integers": {"y_train": np.arange(23)},
    "no label but -1": {"y_train": ZEROS - 1},
    "label -2": {"y_train": ZEROS - 2},
    "label 7, which y_train does not": {"y_test": np.full(8, 7)},
    "all of class 0": {"y_train": ZEROS, "y_test": ZEROS[:8]},
    "needs 8 x 8": {"x_train": np.zeros((24, 4, 4), np.uint8)},
}


@pytest.mark.parametrize("text", BAD_ARRAYS)
def test_arrays_that_cannot_serve_are_refused_from_their_headers(tmp_path, text):
    path = write(tmp_path / "bad.npz", **BAD_ARRAYS[text])
    dataset = resolve("digits-tiny", {"dataset.name": "arrays", "dataset.path": path}).dataset
    with pytest.raises(DataError, match=text):
        data_facts(dataset)


@pytest.mark.parametrize("arch", ["tiny", "resnet18"])
@pytest.mark.parametrize("stem", ["3x3", "3x3_stride2", "7x7_pool"])
def test_instance_norm_over_one_pixel_is_refused_when_it_is_planned(arch, stem):
    """Where the plan refuses it, a forward pass does, too."""
    from byol_core.networks.encoder import Encoder

    settings = {"encoder.arch": arch, "encoder.stem": stem, "encoder.norm": "in"}
    config = resolve("digits-tiny", settings)
    encoder = Encoder(config.encoder, 1, config.batch_norm)
    refused = []
    for check in (
        lambda: check_fit(config, data_facts(config.dataset)),
        lambda: encoder(torch.rand(2, 1, 16, 16)),
    ):
        try:
            check()
            refused.append(False)
        except ConfigError as error:
            assert error.key == "encoder.norm" and "one pixel" in str(error)
            refused.append(True)
    few = (arch == "resnet18" and stem != "3x3") or stem == "7x7_pool"
    assert refused == [few, few]


def test_a_limit_that_leaves_one_class_is_refused(tmp_path):
    path = write(tmp_path / "sorted.npz", y_train=np.repeat([0, 1, 2], 8))
    overrides = {"dataset.name": "arrays", "dataset.path": path, "dataset.limit": 8}
    with pytest.raises(ConfigError, match="dataset.limit: the first 8 training images"):
        data_facts(resolve("digits-tiny", overrides).dataset)


def test_labels_of_images_to_train_on_alone_have_a_class_too(images, monkeypatch, tmp_path, silent):
    overrides = {**SMALL, "dataset.path": images, "loss.label_weight": 1.0}
    config = resolve("digits-tiny", overrides)
    dataset = load(config.dataset)
    further = Split(dataset.pretrain.images, dataset.pretrain.labels + 50)
    dataset = replace(dataset, pretrain=further)
    monkeypatch.setattr("byol_core.train.run.load", lambda *_: dataset)
    options = Options(device="cpu", threads=1, max_steps=1, protocols=())
    assert train(config, tmp_path / "run", options, silent()).outcome == "cut"


BAD_SPECS = {
    "baseline: no variant has": ("baseline: byol", "baseline: {target.tau_base: 0.123}"),
    "exclude: leaves nothing of the baseline": (
        "tables:",
        "exclude: [{when: {projector.norm: bn}, because: no}]\ntables:",
    ),
    "preset 'nope' does not exist": ("tables:", "profiles: {p: {base: {preset: nope}}}\ntables:"),
    "did you mean 'optimizer.lr'": (
        "tables:",
        "profiles: {p: {base: {optimizer.lrr: 1}}}\ntables:",
    ),
    "int too large": ("tables:", "derive: {schedule_epochs: '(10**64)**64'}\ntables:"),
}


@pytest.mark.parametrize("text", BAD_SPECS)
def test_a_spec_that_leads_nowhere_is_refused_with_its_line(spec_file, text):
    with pytest.raises(SpecError, match=r"tiny\.yaml:\d+: ") as error:
        expand(load_sweep(spec_file(BAD_SPECS[text])))
    assert text in str(error.value)


def test_what_a_formula_sets_need_not_fit_before(spec_file):
    change = ("batch_size: 64}", "batch_size: 64, projector.out: 32}")
    derived = ("tables:", "derive: {predictor.out: projector.out}\ntables:")
    variants = expand(load_sweep(spec_file(change, derived)))
    assert {variant.config.predictor.out for variant in variants} == {32}


def test_an_encoder_whose_features_overflow_has_diverged(images, tmp_path, silent):
    overrides = {**SMALL, "dataset.path": images, "method": "random", "augment.noise_std": 3.4e38}
    options = Options(device="cpu", threads=1, protocols=("probe",))
    result = train(resolve("digits-tiny", overrides), tmp_path / "run", options, silent())
    assert result.outcome == "diverged"


def test_photos_of_classes_that_cannot_be_judged_are_refused(tmp_path):
    settings_of = {"dataset.name": "folder", "dataset.path": str(tmp_path)}
    still = {"augment.rotate_rad": 0, "augment.shift": 0, "augment.scale": [1, 1]}
    dataset = resolve("digits-tiny", {**settings_of, **still}).dataset
    for name in ("train/cat/1.png", "val/cat/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="all of class 'cat'"):
        data_facts(dataset)
    (tmp_path / "val/dog").mkdir()
    (tmp_path / "val/dog/1.png").touch()
    with pytest.raises(DataError, match="holds class 'dog'"):
        data_facts(dataset)


def test_a_config_that_would_be_refused_now_is_still_read(root):
    run = next(iter(root.runs()))
    file = run.path / "run.json"
    description = json.loads(file.read_text())
    description["config"]["optimizer"]["warmup_epochs"] = 99.0
    file.write_text(json.dumps(description))
    assert run.config().optimizer.warmup_epochs == 99
