"""Properties of a run's identity over settings drawn from the whole space: a key that changes no id
changes no bit of a run, and one that changes the id changes the run.
"""

import pytest
from drawn_configs import configs, pairs_of_configs
from hypothesis import HealthCheck, given, settings
from short_runs import differing, outcome

from byol_core.config import TrainConfig, canonical, essential, resolve
from byol_core.config.errors import ConfigError
from byol_core.train import Options, train

IMAGES = 1297  # of the digits, to train on


def has_nothing_that_decays(config):
    optimizer = config.optimizer
    factors = (optimizer.decay_encoder, optimizer.decay_projector, optimizer.decay_predictor)
    return 0.0 in factors


def has_no_biases(config):
    """Where norms have no γ and β, and heads no hidden layer and no bias at their end."""
    return not all(part.norm_affine for part in (config.encoder, config.projector))


def stands_still(config):
    """Constant projections may have no gradient at all, as where batch norm takes them to zero."""
    return config.init.collapse == 1


def diverges(shown):
    """A run ends at a loss that is not finite, so nothing shows behind it, nor among such numbers."""
    losses = [shown[name] for name in shown if name.endswith(" loss")]
    return not all(abs(loss) < 1e6 for loss in losses)


# Key → why it may change an id and not a run, and under which of two configs.
HONEST = {
    "optimizer.weight_decay": ("all that could decay has a factor 0", has_nothing_that_decays),
    "optimizer.decay_bias_and_norm": (
        "what decays has no biases, or a factor 0",
        lambda config: has_nothing_that_decays(config) or has_no_biases(config),
    ),
    "optimizer.adapt_bias_and_norm": ("there are no biases", has_no_biases),
    "init.biases": ("there are no biases", has_no_biases),
}
MANY = {"suppress_health_check": list(HealthCheck), "deadline": None, "database": None}


def check_key(key, config, other):
    """Hold ids against runs."""
    same_id = canonical(config, IMAGES) == canonical(other, IMAGES)
    try:
        first = outcome(config)
        differs = differing(first, outcome(other))
    except ConfigError:
        return  # of what only the images tell, as instance norm over one pixel
    if same_id:
        assert not differs, f"{key} changes no id and {differs[:3]}"
        return
    if not differs and not stands_still(config) and not diverges(first):
        assert key in HONEST, f"{key} changes the id and nothing else"
        reason, holds = HONEST[key]
        assert holds(config) or holds(other), (
            f"{key} changes the id and nothing else; not: {reason}"
        )


@settings(max_examples=8, derandomize=True, **MANY)
@given(pairs_of_configs())
def test_a_key_changes_the_id_where_it_changes_the_run(pair):
    check_key(*pair)


@pytest.mark.exhaustive
@pytest.mark.timeout(0)
@settings(max_examples=1500, **MANY)
@given(pairs_of_configs())
def test_any_key_changes_the_id_where_it_changes_the_run(pair):
    check_key(*pair)


@settings(max_examples=40, derandomize=True, **MANY)
@given(configs())
def test_what_a_run_is_made_from_has_its_id_and_is_stable(config):
    """What a run records is read back as the same run."""
    read = TrainConfig.model_validate(config.model_dump(mode="json"))
    assert read == config
    assert canonical(read) == canonical(config)
    plain = essential(config)
    assert canonical(plain) == canonical(config)
    assert essential(plain) == plain


COSINE = {"optimizer.schedule": "cosine"}
FROZEN = {"batch_norm.frozen_from": 0.0}
RANDOM = {"method": "random", "encoder.norm": "ln"}
SAME = [
    ({"target.tau_base": 1.0}, {"target.moves": "before"}),
    ({"target.tau_base": 0.0, "target.moves": "before"}, {"target.start": "draw"}),
    ({"augment.crop_p": 1.0}, {"augment.rotate_rad": 0.0}),
    ({"augment.crop_p": 1.0}, {"augment.scale": [1.0, 1.0]}),
    ({}, {"augment.grayscale_p": 0.5}),
    ({"augment.jitter_p": 0.5}, {"augment.jitter_hue": 0.5}),
    ({"augment.jitter_brightness": 0.0, "augment.jitter_contrast": 0.0}, {"augment.jitter_p": 0.5}),
    ({"batch_size": 64}, {"batch_norm.group": 64}),
    ({"batch_size": 64, "accumulate": 2}, {"batch_norm.group": 32}),
    (FROZEN, {"batch_norm.momentum": 0.5}),
    (FROZEN, {"batch_norm.target": "eval"}),
    (FROZEN, {"batch_norm.views": "joint"}),
    ({}, {"optimizer.predictor_schedule": "constant"}),
    (COSINE | {"optimizer.lambda_predictor": 0.0}, {"optimizer.predictor_schedule": "constant"}),
    ({"predictor.kind": "linear", "optimizer.lambda_predictor": 0.0}, {"predictor.depth": 3}),
    ({"predictor.norm": "ln", "optimizer.lambda_predictor": 0.0}, {"predictor.inner_steps": 2}),
    ({"predictor.kind": "none"}, {"predictor.inner_steps": 2}),
    (RANDOM, {"batch_size": 64}),
    (RANDOM, {"augment.noise_std": 0.2}),
    (RANDOM, {"init.biases": "torch"}),
    (RANDOM, {"precision": "bf16"}),
]
OTHER = [
    ({"target.tau_base": 0.5}, {"target.moves": "before"}),
    ({"target.tau_base": 0.0}, {"target.start": "draw"}),
    ({"augment.crop_p": 0.9}, {"augment.rotate_rad": 0.0}),
    ({"dataset.name": "cifar10"}, {"augment.grayscale_p": 0.5}),
    ({"batch_size": 64}, {"batch_norm.group": 32}),
    (FROZEN | {"projector.norm": "affine"}, {"batch_norm.views": "joint"}),
    (COSINE, {"optimizer.predictor_schedule": "constant"}),
    ({"predictor.norm": "bn", "optimizer.lambda_predictor": 0.0}, {"predictor.inner_steps": 2}),
    ({"method": "random"}, {"batch_size": 64}),
    ({"method": "random"}, {"augment.noise_std": 0.2}),
    ({"method": "random", "encoder.norm": "affine"}, {"augment.noise_std": 0.2}),
    ({"method": "random", "encoder.norm": "none"}, {"init.biases": "torch"}),
]


@pytest.mark.parametrize("common, change", SAME)
def test_settings_that_mean_the_same_share_an_id(common, change):
    plain, changed = (canonical(resolve("digits-tiny", common | more)) for more in ({}, change))
    assert plain == changed


@pytest.mark.parametrize("common, change", OTHER)
def test_settings_beside_them_have_ids_of_their_own(common, change):
    plain, changed = (canonical(resolve("digits-tiny", common | more)) for more in ({}, change))
    assert plain != changed


def test_keys_without_effect_may_hold_anything(tmp_path, silent):
    """A random encoder has no heads, and without batch norm no batches."""
    odd = {
        "method": "random",
        "encoder.norm": "ln",
        "projector.norm": "in",
        "projector.out_bias": False,
        "init.collapse": 0.5,
        "batch_norm.group": 7,
        "batch_size": 4096,
        "dataset.limit": 32,
        "predictor.kind": "optimal",
    }
    options = Options(device="cpu", threads=1, protocols=())
    assert train(resolve("digits-tiny", odd), tmp_path, options, silent()).outcome == "ok"
