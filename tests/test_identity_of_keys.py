"""Properties of a run's identity over settings drawn from the whole space: a key that changes no id
changes no bit of a run, and one that changes the id changes the run.
"""

import pytest
from drawn_configs import configs, pairs_of_configs
from hypothesis import HealthCheck, given, settings
from short_runs import differing, outcome

from byol_core.config import TrainConfig, canonical, essential
from byol_core.config.errors import ConfigError

IMAGES = 1297  # of the digits, to train on


def has_nothing_that_decays(config):
    optimizer = config.optimizer
    factors = (optimizer.decay_encoder, optimizer.decay_projector, optimizer.decay_predictor)
    return 0.0 in factors


def has_no_biases(config):
    """Where norms have no γ and β, and heads no hidden layer and no bias at their end."""
    return not all(part.norm_affine for part in (config.encoder, config.projector))


def stands_still(config):
    """A constant projection has no gradient but that of the layer it comes from."""
    return config.init.collapse == 1 and config.optimizer.mu_projector == 0


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
        differs = differing(outcome(config), outcome(other))
    except ConfigError:
        return  # of what only the images tell, as instance norm over one pixel
    if same_id:
        assert not differs, f"{key} changes no id and {differs[:3]}"
        return
    if not differs and not stands_still(config):
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
