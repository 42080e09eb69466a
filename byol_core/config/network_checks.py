"""Refuses settings of the networks that each are in range and together cannot train."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from byol_core.config.architectures import ARCHS
from byol_core.config.errors import ConfigError

HEADS = ("projector", "predictor")


def _norms_see_two_values(in_effect: Mapping[str, Any]) -> None:
    """Refuse a head's norm over single values, each of which becomes 0: nothing gets through."""
    for part, width_key, width in _normalized_widths(in_effect):
        groups = in_effect[f"{part}.gn_groups"]
        if groups is not None and width % groups:
            raise ConfigError(
                f"{part}.gn_groups",
                f"{part}.gn_groups: {groups} does not divide {width_key} {width}",
            )
        if groups is not None and groups == width:
            raise ConfigError(
                f"{part}.gn_groups",
                f"{part}.gn_groups: {groups} groups of {width_key} {width} hold one value "
                "each, which becomes 0; use fewer groups",
            )
        if in_effect[f"{part}.norm"] == "ln" and width == 1:
            raise ConfigError(
                width_key,
                f"{width_key}: 1 value becomes 0 under {part}.norm 'ln'; use 2 or more",
            )


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


def _standardized_rows_hold_two_values(in_effect: Mapping[str, Any]) -> None:
    """Refuse weight standardization of rows of one weight, each of which becomes 0."""
    for part in HEADS:
        form = in_effect[f"{part}.weight_standardization"]
        if form not in (None, "none") and in_effect[f"{part}.hidden"] == 1:
            raise ConfigError(
                f"{part}.hidden",
                f"{part}.hidden: under weight_standardization {form!r} a row of 1 weight becomes "
                "0; use 2 or more",
            )


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


def _batch_norm_groups_fit_the_batch(in_effect: Mapping[str, Any]) -> None:
    """Refuse groups of batch norm that are not equal, or hold one image."""
    key = "batch_norm.group"
    group = in_effect[key]
    if not group:
        return
    accumulate = in_effect["accumulate"] or 1
    images = in_effect["batch_size"] // accumulate
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
    _norms_see_two_values,
    _groups_divide_the_channels,
    _standardized_rows_hold_two_values,
    _last_norms_have_a_scale,
    _collapsed_starts_have_a_direction,
    _batch_norm_groups_fit_the_batch,
)
