"""Refuses settings of the networks that each are in range and together cannot train."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from byol_core.config.architectures import ARCHS
from byol_core.config.errors import ConfigError

HEADS = ("projector", "predictor")

_FEWEST_VALUES = 3
"""That a norm needs: it makes one value 0, and two −1 and 1, with no gradient but for its ε."""


def _norms_see_three_values(in_effect: Mapping[str, Any]) -> None:
    """Refuse a head's norm over one or two values, through which nothing or a sign gets."""
    for part, width_key, width in _normalized_widths(in_effect):
        groups = in_effect[f"{part}.gn_groups"]
        if groups is not None and width % groups:
            raise ConfigError(
                f"{part}.gn_groups",
                f"{part}.gn_groups: {groups} does not divide {width_key} {width}",
            )
        if groups is not None and width // groups < _FEWEST_VALUES:
            raise ConfigError(
                f"{part}.gn_groups",
                f"{part}.gn_groups: {groups} groups of {width_key} {width} hold "
                f"{_what_is_left(width // groups)}; use fewer groups",
            )
        if in_effect[f"{part}.norm"] == "ln" and width < _FEWEST_VALUES:
            raise ConfigError(
                width_key,
                f"{width_key}: under {part}.norm 'ln' there is {_what_is_left(width)}; "
                f"use {_FEWEST_VALUES} or more",
            )


def _what_is_left(values: int) -> str:
    """Return in words what normalizing one or two values makes of them."""
    if values == 1:
        return "one value each, which becomes 0"
    return "two values each, which become -1 and 1 whatever they are: no gradient gets through"


def _batch_norms_see_three_images(in_effect: Mapping[str, Any]) -> None:
    """Refuse a head's batch norm over two images, of which nothing but a sign is left."""
    normalizes_by_batch = in_effect["batch_norm.source"] == "batch"
    if not normalizes_by_batch or in_effect["batch_norm.frozen_from"] == 0:
        return
    images = images_together(in_effect)
    values = in_effect["batch_norm.group"] or images
    if in_effect["batch_norm.views"] == "joint":
        values *= 2
    if values >= _FEWEST_VALUES:
        return
    key, value = "batch_norm.group", in_effect["batch_norm.group"]
    if not value:
        key, value = _key_of_images(in_effect)
    for part in HEADS:
        if in_effect[f"{part}.norm"] == "bn":
            raise ConfigError(
                key,
                f"{key}: {value} leaves batch norm of the {part} two images of a view, which "
                "become -1 and 1 whatever they are: no gradient gets through; "
                f"let {_FEWEST_VALUES} or more share statistics, or use another {part}.norm",
            )


def images_together(in_effect: Mapping[str, Any]) -> int:
    """Return the images of a view that go through the networks together."""
    images: int = in_effect["batch_size"] // (in_effect["accumulate"] or 1)
    return images


def _key_of_images(in_effect: Mapping[str, Any]) -> tuple[str, int]:
    """Return the key, with its value, that says how many images go through together."""
    key = "accumulate" if (in_effect["accumulate"] or 1) > 1 else "batch_size"
    return key, in_effect[key]


def _normalized_widths(in_effect: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Yield each head with the key and the number of the widths that its norm sees."""
    for part in HEADS:
        if in_effect[f"{part}.norm"] is None:
            continue
        if in_effect[f"{part}.hidden"] is not None:
            yield part, f"{part}.hidden", in_effect[f"{part}.hidden"]
        if in_effect[f"{part}.out_norm"]:
            yield part, f"{part}.out", in_effect[f"{part}.out"]


def _groups_divide_the_channels(in_effect: Mapping[str, Any]) -> None:
    """Refuse a group norm whose groups would not be equal, anywhere in the encoder."""
    groups = in_effect["encoder.gn_groups"]
    if groups is None:
        return
    arch = in_effect["encoder.arch"]
    allowed = ARCHS[arch].group_counts()
    if groups not in allowed:
        raise ConfigError(
            "encoder.gn_groups",
            f"encoder.gn_groups: {groups} does not divide the channels of every layer of "
            f"{arch!r}; allowed: {', '.join(map(str, allowed))}",
        )


def _heads_have_no_instance_norm(in_effect: Mapping[str, Any]) -> None:
    """Refuse instance norm of vectors: each channel has one value, which becomes 0."""
    for part in HEADS:
        key = f"{part}.norm"
        if in_effect[key] == "in":
            raise ConfigError(
                key,
                f"{key}: 'in' normalizes each channel of an image over its pixels, and a head "
                "has no pixels: every value becomes 0; use bn, ln, gn, affine or none",
            )


def _standardized_rows_hold_three_values(in_effect: Mapping[str, Any]) -> None:
    """Refuse weight standardization of rows of one or two weights: what they are has no effect."""
    for part in HEADS:
        form = in_effect[f"{part}.weight_standardization"]
        if form in (None, "none"):
            continue
        for key in _inputs_of_standardized(in_effect, part, form):
            if in_effect[key] is not None and in_effect[key] < _FEWEST_VALUES:
                raise ConfigError(
                    key,
                    f"{key}: {in_effect[key]}: under {part}.weight_standardization {form!r} rows "
                    f"of so few weights have nothing to train; use {_FEWEST_VALUES} or more",
                )


def _inputs_of_standardized(in_effect: Mapping[str, Any], part: str, form: str) -> list[str]:
    """Return the keys of the widths that standardized layers of a head start from.

    The blog's form leaves the last layer as it is.
    """
    depth = in_effect[f"{part}.depth"] or 1
    keys = []
    if part == "predictor" and (form == "biased" or depth > 1):
        keys.append("projector.out")
    if depth > (1 if form == "biased" else 2):
        keys.append(f"{part}.hidden")
    return keys


def _last_norms_have_a_scale(in_effect: Mapping[str, Any]) -> None:
    """Refuse to start γ at 0 where norms have none."""
    if in_effect["init.zero_last_norm"] and in_effect["encoder.norm_affine"] is False:
        raise ConfigError(
            "init.zero_last_norm",
            "init.zero_last_norm: true starts γ at 0, and under encoder.norm_affine false norms "
            "have no γ; set one of the two the other way",
        )


def _collapsed_starts_have_a_direction(in_effect: Mapping[str, Any]) -> None:
    """Refuse a collapsed start where the scale of the projector's last weights does nothing."""
    if not in_effect["init.collapse"]:
        return
    obstacles = {
        "projector.out_bias": (False, "the constant that it leads to is the bias"),
        "projector.out_norm": (True, "the norm undoes the scale of the weights before it"),
        "projector.weight_standardization": ("biased", "it undoes the scale of weights"),
    }
    for key, (value, reason) in obstacles.items():
        if in_effect[key] == value:
            raise ConfigError(
                "init.collapse",
                f"init.collapse: {in_effect['init.collapse']:g} does not go with {key} "
                f"{str(value).lower()}: {reason}; set it to 0, or change {key}",
            )


def _trained_starts_have_a_copy_as_target(in_effect: Mapping[str, Any]) -> None:
    """Refuse a target that is drawn beside an online network that was trained."""
    if in_effect.get("init.weights") is not None and in_effect["target.start"] == "draw":
        raise ConfigError(
            "target.start",
            "target.start: 'draw' does not go with init.weights: the target would be of weights "
            "that were never trained; set it to copy",
        )


def _affine_is_fitted_to_more_than_a_point(in_effect: Mapping[str, Any]) -> None:
    """Refuse a predictor's affine that is fitted to projections without any spread."""
    if in_effect.get("init.weights") is not None:
        return  # it is loaded, and not fitted
    if in_effect["init.collapse"] == 1.0 and in_effect["predictor.norm"] == "affine":
        raise ConfigError(
            "init.collapse",
            "init.collapse: 1 makes all projections one point, to which predictor.norm 'affine' "
            "would be fitted; use less than 1, or another predictor.norm",
        )


def _averages_follow_something(in_effect: Mapping[str, Any]) -> None:
    """Refuse running averages that follow by τ where τ is 1: they stay at mean 0 and variance 1."""
    key = "batch_norm.target"
    if in_effect.get("init.weights") is not None:
        return  # they stay at those that are loaded
    if in_effect[key] in ("ema", "eval") and in_effect["target.tau_base"] == 1.0:
        raise ConfigError(
            key,
            f"{key}: {in_effect[key]!r} has the target's averages follow by target.tau_base, and "
            "at 1 they would never leave mean 0 and variance 1; use 'own'",
        )


def _batch_norm_groups_fit_the_batch(in_effect: Mapping[str, Any]) -> None:
    """Refuse groups of batch norm that are not equal, or hold one image."""
    key = "batch_norm.group"
    group = in_effect[key]
    if not group:
        return
    images = images_together(in_effect)
    of_batch = f"the {images} images of a view that go through the networks together"
    if group < 2:
        raise ConfigError(key, f"{key}: statistics of 1 image are that image; use 2 or more, or 0")
    if images % group:
        raise ConfigError(key, f"{key}: {group} does not divide {of_batch}; use a divisor, or 0")
    if in_effect["batch_norm.source"] not in (None, "batch"):
        source = in_effect["batch_norm.source"]
        raise ConfigError(
            key,
            f"{key}: under batch_norm.source {source!r} no images of a batch share statistics, so "
            "there are no groups; set it to 0",
        )
    if in_effect["batch_norm.shuffle"] and images == group:
        raise ConfigError(
            "batch_norm.shuffle",
            f"batch_norm.shuffle: true needs more than one group, and batch_norm.group {group} is "
            f"all of {of_batch}; use a smaller group",
        )


NETWORK_CHECKS: tuple[Callable[[Mapping[str, Any]], None], ...] = (
    _heads_have_no_instance_norm,
    _norms_see_three_values,
    _groups_divide_the_channels,
    _standardized_rows_hold_three_values,
    _last_norms_have_a_scale,
    _collapsed_starts_have_a_direction,
    _trained_starts_have_a_copy_as_target,
    _affine_is_fitted_to_more_than_a_point,
    _batch_norm_groups_fit_the_batch,
    _batch_norms_see_three_images,
    _averages_follow_something,
)
