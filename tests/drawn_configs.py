"""Draws settings from the whole space of a run: every key, out of what its schema allows, with sizes
that train in a moment.
"""

from hypothesis import assume
from hypothesis import strategies as st

from byol_core.config import ConfigError, resolve
from byol_core.config.key_facts import key_facts

# Sizes that train in a moment, and pairs, of which a schema gives no values.
SMALL = {
    "seed": [0, 1],
    "epochs": [2],
    "schedule_epochs": [0, 2, 5],
    "batch_size": [16],
    "accumulate": [1, 2],
    "precision": ["fp32"],
    "dataset.name": ["digits"],
    "dataset.path": [None],
    "dataset.limit": [64],
    "dataset.side": [224],
    "encoder.arch": ["tiny"],
    "encoder.tiny_blocks": [1, 2],
    "encoder.gn_groups": [4, 1, 8],
    "projector.depth": [2, 1, 3],
    "projector.hidden": [8, 12],
    "projector.out": [4],
    "projector.gn_groups": [2, 1],
    "predictor.depth": [2, 1, 3],
    "predictor.hidden": [8, 12],
    "predictor.out": [4],
    "predictor.gn_groups": [2, 1],
    "predictor.fit_every": [1, 2],
    "predictor.ridge": [0.0, 0.1],
    "predictor.inner_steps": [0, 1],
    "batch_norm.group": [0, 4, 8, 16],
    "init.weights": [None],
    "init.affine_images": [32, 64, 512],
    "loss.queue_size": [16, 40],
    "loss.label_weight": [0.0, 0.5],
    "optimizer.lr": [0.05, 0.2],
    "optimizer.momentum": [0.0, 0.9],
    "optimizer.beta2": [0.999, 0.9],
    "optimizer.weight_decay": [0.0, 0.01],
    "optimizer.warmup_epochs": [0.0, 0.5],
    "augment.rotate_rad": [0.4, 0.0],
    "augment.scale": [[0.6, 1.2], [1.0, 1.0]],
    "augment.crop_area": [[0.2, 1.0], [0.5, 0.5]],
    "augment.crop_ratio": [[0.75, 1.3333], [1.0, 1.0]],
    "augment.blur_p": [0.0, 0.5, [1.0, 0.1]],
    "augment.blur_sigma": [[0.1, 2.0], [1.0, 1.0]],
    "augment.solarize_p": [0.0, [0.0, 0.2]],
    "augment.normalize": ["none"],
}


def options():
    """Return key → values that it may hold, its default or the smallest first."""
    return {key: SMALL.get(key) or _options_of(facts) for key, facts in key_facts().items()}


def _options_of(facts):
    """Return values that the schema of a key allows: its default first, then others, ends included."""
    if facts.choices:
        named = [{"true": True, "false": False}.get(choice, choice) for choice in facts.choices]
        return sorted(named, key=lambda choice: choice != facts.default)
    if not isinstance(facts.default, int | float):
        return [facts.default]  # such as what names a file or a part of a user's own
    low = facts.schema.get("minimum")
    high = facts.schema.get("maximum")
    others = [end for end in (low, high) if end is not None]
    if low is not None and high is not None:
        others.append((low + high) / 2)
    else:
        others.append(2 * facts.default or 0.5)
    values = [facts.default, *(type(facts.default)(value) for value in others)]
    return list(dict.fromkeys(values))


def drawn_settings(choose):
    """Return settings: every second key is as usual, the others may be anything.

    Args:
        choose: picks one of a list.
    """
    settings = {}
    for key, values in options().items():
        settings[key] = choose([*[values[0]] * (len(values) - 1), *values])
    return settings


def resolved(settings):
    """Return the config of settings, or None where they do not go together."""
    try:
        return resolve("digits-tiny", settings)
    except ConfigError:
        return None


@st.composite
def configs(draw):
    """Draw a config that a plan would take."""
    settings = drawn_settings(lambda values: draw(st.sampled_from(values)))
    config = resolved(settings)
    assume(config is not None)
    return config


@st.composite
def pairs_of_configs(draw):
    """Draw a key and two configs that differ in it alone."""
    settings = drawn_settings(lambda values: draw(st.sampled_from(values)))
    changeable = [key for key, values in options().items() if len(values) > 1]
    key = draw(st.sampled_from(changeable))
    others = [value for value in options()[key] if value != settings[key]]
    other = {**settings, key: draw(st.sampled_from(others))}
    pair = resolved(settings), resolved(other)
    assume(None not in pair)
    return key, *pair
