"""Gives settings that mean the same one form, so that equal runs get equal names.

A key without effect becomes null (`gn_groups` under `bn`); a key whose values coincide takes one of
them (τ = 0 and τ = 1 stay what they are under any schedule). No setting uses null for anything
else. A key that came after runs were named is absent while it says what the trainer did before, so
that those runs keep their names.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from byol_core.config.train_config import TrainConfig

# What shapes a run that never trains: the encoder at its start, and the images it is judged on.
_RANDOM_ENCODER_KEYS = ("method", "seed", "batch_size", "dataset.", "encoder.", "init.", "augment.")

# Keys that came later → the value under which everything is as it was without them.
_LATER: dict[str, Any] = {"dataset.side": None, "augment.solarize_p": 0.0}

# Operations of `augment` that may be off → the keys that then have no effect.
_AUGMENT_SWITCHES = {
    "crop_p": ("crop_area", "crop_ratio"),
    "jitter_p": ("jitter_brightness", "jitter_contrast", "jitter_saturation", "jitter_hue"),
    "blur_p": ("blur_sigma",),
}


def canonical(config: TrainConfig) -> dict[str, Any]:
    """Return the config as a flat dict, dotted key → JSON value, null where a key has no effect.

    Left out are the location of the data, whose identity is its content, and later keys that change
    nothing.
    """
    flat = flatten(config.model_dump(mode="json"))
    del flat["dataset.path"]
    for key in _without_effect(flat):
        flat[key] = None

    # Of values that coincide, one; what follows depends on the keys above.
    if flat["target.tau_base"] in (0.0, 1.0):
        flat["target.schedule"] = "constant"
    if flat["schedule_epochs"] == 0 and flat["epochs"] is not None:
        flat["schedule_epochs"] = flat["epochs"]
    if "cosine" not in (flat["optimizer.schedule"], flat["target.schedule"]):
        flat["schedule_epochs"] = None

    return {key: value for key, value in flat.items() if key not in _LATER or value != _LATER[key]}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _without_effect(flat: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys that change nothing under the values of others."""
    # The caller sets each key to null as it comes, which none of the comparisons below takes for a
    # value.
    yield from _keys_without_method(flat)
    if flat["dataset.name"] != "folder":
        yield "dataset.side"

    norms = {part: flat[f"{part}.norm"] for part in ("encoder", "projector", "predictor")}
    for part, norm in norms.items():
        if norm not in ("gn", "gn_ws"):
            yield f"{part}.gn_groups"
    if "affine" not in norms.values():
        yield "init.affine_images"

    yield from _idle_optimizer_keys(flat)
    yield from _idle_augment_keys(flat)


def _keys_without_method(flat: Mapping[str, Any]) -> Iterator[str]:
    if flat["method"] == "random":
        yield from (key for key in flat if not key.startswith(_RANDOM_ENCODER_KEYS))
    if flat["method"] == "simclr":
        yield from (key for key in flat if key.startswith(("predictor.", "target.")))
        yield "optimizer.lambda_predictor"
    if flat["method"] != "moco":
        yield "contrastive.queue_size"
    if flat["method"] not in ("moco", "simclr"):
        yield "contrastive.temperature"


def _idle_optimizer_keys(flat: Mapping[str, Any]) -> Iterator[str]:
    if flat["optimizer.name"] != "lars":
        yield "optimizer.trust_coefficient"
    if flat["optimizer.weight_decay"] == 0:
        yield "optimizer.decay_bias_and_norm"


def _idle_augment_keys(flat: Mapping[str, Any]) -> Iterator[str]:
    for switch, keys in _AUGMENT_SWITCHES.items():
        if flat[f"augment.{switch}"] == 0:
            yield from (f"augment.{key}" for key in keys)
