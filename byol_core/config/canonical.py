"""Gives settings that mean the same one form, so that equal runs get equal names.

A key without effect becomes null (``effect``); of values that coincide one is taken (τ = 0 and
τ = 1 stay what they are under any schedule). No setting uses null for anything else. A key that came
after runs were named is absent while it says what the trainer did before, so that those runs keep
their names.
"""

from collections.abc import Mapping
from typing import Any

from byol_core.config.augment_config import COLOURED
from byol_core.config.effect import before, in_effect
from byol_core.config.network_config import BatchNormConfig
from byol_core.config.train_config import TrainConfig

_NOT_OF_THE_RUN = ("dataset.path", "compute")
_HEADS = ("encoder", "projector", "predictor")
_USUAL_BATCH_NORM = BatchNormConfig().model_dump(mode="json")
_NOT_TURNED = {"augment.rotate_rad": 0.0, "augment.scale": [1.0, 1.0], "augment.shift": 0.0}


def canonical(
    config: TrainConfig, images: int | None = None, weights: str | None = None
) -> dict[str, Any]:
    """Return the config as a flat dict, dotted key → JSON value, null where a key has no effect.

    Left out are the location of the data, whose identity is its content, how a GPU computes, and
    later keys that change nothing.

    Args:
        config: of the run.
        images: how many training images the data set has, without limit; None where that is not
            known: then a limit beyond them stays as it is.
        weights: sha256 of the networks that the run starts from, which stands for their path; None
            where it starts from none, or that is not known.
    """
    settings = flatten(config.model_dump(mode="json"))
    if weights is not None:
        settings["init.weights"] = weights
    return canonical_of(settings, images)


def canonical_of(settings: Mapping[str, Any], images: int | None = None) -> dict[str, Any]:
    """Return the canonical form of flat settings that hold every key; as `canonical`."""
    flat = {key: _plain(value) for key, value in settings.items()}
    _unite(flat, images)
    effective = in_effect(flat)
    for key in flat:
        if key not in effective:
            flat[key] = None

    # Schedules that are not there have no length.
    if "cosine" not in (flat["optimizer.schedule"], flat["target.schedule"]):
        flat["schedule_epochs"] = None
        flat["schedule_by"] = _schedule_by(flat)
    for key in _NOT_OF_THE_RUN:
        del flat[key]
    return {key: value for key, value in flat.items() if not _is_as_before(key, value)}


def essential(config: TrainConfig) -> TrainConfig:
    """Return the config with the default for each key without effect, and one of equal values.

    It is what a run is made from. So a key without effect may hold anything, and runs with equal
    names are equal to the bit.
    """
    flat = flatten(config.model_dump(mode="json"))
    defaults = flatten(TrainConfig().model_dump(mode="json"))
    settings = {**before(), **canonical(config)}
    for key, value in settings.items():
        flat[key] = defaults[key] if value is None else value
    return TrainConfig.model_validate(_nested(flat))


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `flatten` was given, of settings."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        section, _, leaf = key.rpartition(".")
        branch = tree.setdefault(section, {}) if section else tree
        branch[leaf] = value
    return tree


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _plain(value: Any) -> Any:
    """Return 0.0 for −0.0, which means the same, also within a pair."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value == 0:
        return 0.0
    return value


def _unite(flat: dict[str, Any], images: int | None) -> None:
    """Write one value for those that coincide."""
    # τ = 0 and τ = 1 do not change, and schedules last as long as the run unless something is said.
    if flat["target.tau_base"] in (0.0, 1.0):
        flat["target.schedule"] = "constant"
    if flat["schedule_epochs"] == 0:
        flat["schedule_epochs"] = flat["epochs"]

    # Group norm with one group is layer norm.
    for part in _HEADS:
        if flat[f"{part}.norm"] == "gn" and flat[f"{part}.gn_groups"] == 1:
            flat[f"{part}.norm"] = "ln"

    # Without a norm none follows the last layer; where averages normalize, `eval` says it again.
    for part in ("projector", "predictor"):
        if flat[f"{part}.norm"] == "none":
            flat[f"{part}.out_norm"] = False
    if flat["batch_norm.source"] == "running" and flat["batch_norm.target"] == "eval":
        flat["batch_norm.target"] = "ema"

    _drop_unbiased(flat)
    _drop_of_target(flat)
    _drop_of_frozen_statistics(flat)

    # Factors of 1 change nothing.
    strengths = ["brightness", "contrast"]
    if COLOURED.holds(flat["dataset.name"]):
        strengths += ["saturation", "hue"]
    if all(flat[f"augment.jitter_{strength}"] == 0 for strength in strengths):
        flat["augment.jitter_p"] = 0.0

    # What is always cropped is never turned; a group of all images is no group.
    if flat["augment.crop_p"] == 1.0:
        flat.update(_NOT_TURNED)
    parts = flat["accumulate"] if flat["method"] != "random" else 1
    if flat["batch_norm.group"] * parts == flat["batch_size"] and not _shuffles(flat):
        flat["batch_norm.group"] = 0

    # There are no more images than there are.
    if images is not None:
        available = min(images, flat["dataset.limit"] or images)
        flat["init.affine_images"] = min(flat["init.affine_images"], available)
        if available == images:
            flat["dataset.limit"] = 0


def _shuffles(flat: Mapping[str, Any]) -> bool:
    """Tell whether a target that has groups would shuffle them, which one group refuses."""
    if flat["method"] == "random" or flat["target.kind"] != "ema":
        return False
    return bool(flat["batch_norm.shuffle"]) and flat["batch_norm.target"] != "eval"


def _drop_of_target(flat: dict[str, Any]) -> None:
    """Write the usual value for what a target at τ = 0 or τ = 1 does not show."""
    if flat["target.tau_base"] == 1.0:
        flat["target.moves"] = "after"

    # It is a copy before it is looked at for the first time.
    if flat["target.tau_base"] == 0.0 and flat["target.moves"] == "before":
        flat["target.start"] = "copy"


def _drop_of_frozen_statistics(flat: dict[str, Any]) -> None:
    """Write the usual value for what does not show where no batch ever gives statistics.

    Running averages then stay where they begin. A norm `affine` elsewhere is still fitted to images
    that have passed batch norm before it.
    """
    is_frozen = flat["batch_norm.source"] == "batch" and flat["batch_norm.frozen_from"] == 0
    if not is_frozen or flat["method"] == "random":
        return
    for key in ("group", "shuffle", "gradient", "momentum", "target"):
        flat[f"batch_norm.{key}"] = _USUAL_BATCH_NORM[key]
    if "affine" not in [flat[f"{part}.norm"] for part in _HEADS]:
        flat["batch_norm.views"] = _USUAL_BATCH_NORM["views"]


def _drop_unbiased(flat: dict[str, Any]) -> None:
    """Write `none` where a head has the blog's weight standardization and no layer that takes it.

    It leaves the last layer as it is, and there is no other.
    """
    depths = {"projector": flat["projector.depth"]}
    if flat["predictor.kind"] == "linear":
        depths["predictor"] = 1
    elif flat["predictor.kind"] == "mlp":
        depths["predictor"] = flat["predictor.depth"]
    for part, depth in depths.items():
        if depth == 1 and flat[f"{part}.weight_standardization"] == "unbiased":
            flat[f"{part}.weight_standardization"] = "none"


def _schedule_by(flat: Mapping[str, Any]) -> str | None:
    """Return how a warm-up goes on, where nothing else has a schedule."""
    return flat["schedule_by"] if flat["optimizer.warmup_epochs"] else None


def _is_as_before(key: str, value: Any) -> bool:
    """Tell whether a later key changes nothing: it holds what was before it, or has no effect."""
    return key in before() and value in (None, before()[key])
