"""Gives settings that mean the same one form, so that equal runs get equal names.

A key without effect becomes null (``effect``); of values that coincide one is taken (τ = 0 and
τ = 1 stay what they are under any schedule). No setting uses null for anything else. A key that came
after runs were named is absent while it says what the trainer did before, so that those runs keep
their names.
"""

from collections.abc import Mapping
from typing import Any

from byol_core.config.effect import before, in_effect
from byol_core.config.train_config import TrainConfig

_HEADS = ("encoder", "projector", "predictor")


def canonical(config: TrainConfig, images: int | None = None) -> dict[str, Any]:
    """Return the config as a flat dict, dotted key → JSON value, null where a key has no effect.

    Left out are the location of the data, whose identity is its content, and later keys that change
    nothing.

    Args:
        config: of the run.
        images: how many training images the data set has, without limit; None where that is not
            known: then a limit beyond them stays as it is.
    """
    return canonical_of(flatten(config.model_dump(mode="json")), images)


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
    del flat["dataset.path"]
    return {key: value for key, value in flat.items() if not _is_as_before(key, value)}


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

    _drop_unbiased(flat)

    # There are no more images than there are.
    if images is not None:
        available = min(images, flat["dataset.limit"] or images)
        flat["init.affine_images"] = min(flat["init.affine_images"], available)
        if available == images:
            flat["dataset.limit"] = 0


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
    return key in before() and value == before()[key]
