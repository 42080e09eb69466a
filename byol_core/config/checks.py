"""Refuses settings that are each in range and together cannot train.

It is asked when a run is planned, never when one is read: what was trained stays readable. A value
that is merely odd, as a rate at which the loss diverges, is let through; a key without effect may
hold anything.
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from byol_core.config.architectures import ARCHS
from byol_core.config.canonical import canonical
from byol_core.config.errors import ConfigError
from byol_core.config.network_checks import HEADS, NETWORK_CHECKS, images_together
from byol_core.config.train_config import TrainConfig

_SMALLEST_BLUR_PX = 0.01
"""Below it the square of a blur's width vanishes beside a pixel's."""
_LARGEST_COUNT = 10_000_000  # as of epochs, steps and widths
_LARGEST_WEIGHTS = 2**38  # a terabyte in float32, which no device holds
_ROWS_PER_DIMENSION = 4
"""With fewer, a matrix that is fitted to a batch explains it whatever the targets are."""
_LARGEST_ADAMW_RATE = 1.0
"""At it each weight moves by about 1 in a step, whatever its gradient: several times its size."""
_FACTORS = {
    "optimizer.lambda_predictor": "optimizer.lr",
    "optimizer.mu_projector": "optimizer.lr",
    "optimizer.early_factor": "optimizer.lr",
    "optimizer.decay_encoder": "optimizer.weight_decay",
    "optimizer.decay_projector": "optimizer.weight_decay",
    "optimizer.decay_predictor": "optimizer.weight_decay",
}
"""Key of a factor → key of what it is a factor on."""


def check_config(config: TrainConfig) -> None:
    """Refuse a config that cannot be trained, whatever the images.

    Raises:
        ConfigError: it names the key, the value and what is allowed.
    """
    in_effect = canonical(config)
    for check in _CHECKS:
        check(in_effect)


def _numbers_exist_in_float32(in_effect: Mapping[str, Any]) -> None:
    """Refuse numbers that the trainer's arithmetic turns into infinity or zero."""
    for key, value in in_effect.items():
        for number in _floats(value):
            if not math.isfinite(_as_float32(number)):
                raise ConfigError(key, f"{key}: {number} is too large; float32 ends at 3.4e+38")
            if number != 0 and _as_float32(number) == 0:
                raise ConfigError(key, f"{key}: {number} is zero in float32; use 0 or above 1e-37")


def _floats(value: Any) -> Iterator[float]:
    """Yield the numbers of a setting that are no integers."""
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, float):
            yield item


def _as_float32(number: float) -> float:
    try:
        (rounded,) = struct.unpack("f", struct.pack("f", number))
    except OverflowError:
        return math.inf
    return float(rounded)


def _products_exist_in_float32(in_effect: Mapping[str, Any]) -> None:
    """Refuse a part's learning rate or decay that is infinite, though both its factors are not."""
    for key, other in _FACTORS.items():
        factor = in_effect[key]
        if factor is not None and math.isinf(_as_float32(factor * in_effect[other])):
            raise ConfigError(
                key,
                f"{key}: {factor:g} times {other} {in_effect[other]:g} is too "
                "large; float32 ends at 3.4e+38",
            )


def _rates_are_of_their_optimizer(in_effect: Mapping[str, Any]) -> None:
    """Refuse AdamW at a rate that is meant for LARS or SGD."""
    rate = in_effect["optimizer.lr"]
    if in_effect["optimizer.name"] == "adamw" and rate > _LARGEST_ADAMW_RATE:
        raise ConfigError(
            "optimizer.lr",
            f"optimizer.lr: {rate:g} under optimizer.name 'adamw' moves every weight by about as "
            "much at each step; use 1 or less, usually 1e-4 to 1e-2 (and optimizer.momentum 0.9)",
        )


def _counts_are_counts(in_effect: Mapping[str, Any]) -> None:
    """Refuse whole numbers that nothing can be counted up to."""
    for key in ("dataset.limit", "schedule_epochs", "init.affine_images"):
        value = in_effect[key]
        if value is not None and value > _LARGEST_COUNT:
            raise ConfigError(key, f"{key}: {value} is above {_LARGEST_COUNT}; make it smaller")


def _is_deep(in_effect: Mapping[str, Any], part: str) -> bool:
    """Tell whether a head has a matrix between two hidden layers."""
    return (in_effect[f"{part}.depth"] or 0) > 2


def _weights_fit_a_device(in_effect: Mapping[str, Any]) -> None:
    """Refuse matrices of which one alone is larger than any memory."""
    features = ARCHS[in_effect["encoder.arch"]].widths[-1]
    inner = {
        part: in_effect[f"{part}.hidden"] if _is_deep(in_effect, part) else 0 for part in HEADS
    }
    sides = {
        "projector.hidden": (features, in_effect["projector.out"], inner["projector"]),
        "predictor.hidden": (in_effect["projector.out"], inner["predictor"]),
        "loss.queue_size": (in_effect["projector.out"],),
    }
    for key, others in sides.items():
        for other in others:
            if in_effect[key] and other and in_effect[key] * other > _LARGEST_WEIGHTS:
                raise ConfigError(
                    key,
                    f"{key}: {in_effect[key]} x {other} numbers are over a terabyte; "
                    "make one of the two smaller",
                )


def _parts_of_a_batch_are_equal(in_effect: Mapping[str, Any]) -> None:
    """Refuse a batch that cannot be cut into as many parts of two images or more."""
    parts = in_effect["accumulate"]
    size = in_effect["batch_size"]
    if parts and (size % parts or size // parts < 2):
        raise ConfigError(
            "accumulate",
            f"accumulate: {parts} does not cut batch_size {size} into equal parts of two images "
            "or more; use a divisor of it",
        )


def _warmup_ends_within_the_run(in_effect: Mapping[str, Any]) -> None:
    """Refuse a warm-up after which nothing is left of the run: its rate is never reached."""
    warmup = in_effect["optimizer.warmup_epochs"]
    epochs = in_effect["epochs"]
    if warmup is not None and epochs is not None and warmup > epochs:
        raise ConfigError(
            "optimizer.warmup_epochs",
            f"optimizer.warmup_epochs: {warmup:g} is longer than the run's epochs: {epochs}; "
            "set it to 0 or less than that, or train longer",
        )

    # By epoch, all steps have the rate of the epoch's first, which a warm-up starts from 0.
    if warmup and epochs == 1 and in_effect["schedule_by"] == "epoch":
        raise ConfigError(
            "optimizer.warmup_epochs",
            f"optimizer.warmup_epochs: {warmup:g} with schedule_by 'epoch': the learning rate of "
            "the first epoch is 0, and there is no other; set it to 0, or schedule_by to 'step'",
        )


def _crops_have_an_area(in_effect: Mapping[str, Any]) -> None:
    """Refuse crops of nothing."""
    area = in_effect["augment.crop_area"]
    if area is not None and area[1] == 0:
        raise ConfigError(
            "augment.crop_area",
            f"augment.crop_area: {list(area)} are crops without a pixel; "
            "the upper end must be above 0, as in [0.2, 1.0]",
        )


def _blurs_have_a_width(in_effect: Mapping[str, Any]) -> None:
    """Refuse a Gaussian so narrow that its weights are 0/0."""
    sigma = in_effect["augment.blur_sigma"]
    if sigma is not None and sigma[0] < _SMALLEST_BLUR_PX:
        raise ConfigError(
            "augment.blur_sigma",
            f"augment.blur_sigma: {list(sigma)} begins below {_SMALLEST_BLUR_PX} pixels; "
            "for no blur set augment.blur_p to 0",
        )


def _optimal_predictors_have_rows(in_effect: Mapping[str, Any]) -> None:
    """Refuse a closed form that fits its batch exactly: the loss is 0, and so is the gradient."""
    if in_effect["predictor.kind"] != "optimal":
        return
    images = images_together(in_effect)
    width = in_effect["projector.out"]
    if 2 * images < _ROWS_PER_DIMENSION * width:
        part = "batch_size" if in_effect["accumulate"] == 1 else "batch_size / accumulate"
        raise ConfigError(
            "predictor.kind",
            f"predictor.kind: 'optimal' is fitted to both views of {part} {images} images; for "
            f"projector.out {width} it needs {_ROWS_PER_DIMENSION * width // 2} images or more, "
            f"or it fits them nearly exactly and no gradient is left; "
            f"use a larger batch, or projector.out {max(2 * images // _ROWS_PER_DIMENSION, 1)}",
        )


def _vectors_have_a_direction(in_effect: Mapping[str, Any]) -> None:
    """Refuse projections so narrow that the loss sees signs alone, which have no gradient."""
    kinds = {"byol": in_effect["loss.normalize"], "moco": "l2", "simclr": "l2"}
    kind = kinds.get(in_effect["method"])
    fewest = {"l2": 2, "layer": 3}.get(str(kind), 1)
    width = in_effect["projector.out"]
    if width is not None and width < fewest:
        raise ConfigError(
            "projector.out",
            f"projector.out: of vectors of {width} the loss sees signs alone, so nothing trains; "
            f"use {fewest} or more",
        )


def _batches_normalize_three_images(in_effect: Mapping[str, Any]) -> None:
    """Refuse a loss that normalizes over two images, of which nothing but signs is left."""
    if in_effect["method"] == "byol" and in_effect["loss.normalize"] == "batch":
        images = images_together(in_effect)
        if images < 3:
            raise ConfigError(
                "loss.normalize",
                f"loss.normalize: 'batch' over {images} images leaves -1 and 1 whatever they are; "
                "let 3 images or more go through together, or use 'l2'",
            )


def _negatives_are_cosines(in_effect: Mapping[str, Any]) -> None:
    """Refuse β with vectors that are not compared by their cosine, as equation 6 does."""
    normalize = in_effect["loss.normalize"]
    if in_effect["loss.beta"] and normalize not in (None, "l2"):
        raise ConfigError(
            "loss.beta",
            f"loss.beta: {in_effect['loss.beta']:g} weighs negatives by their cosine (BYOL, "
            f"equation 6), which loss.normalize {normalize!r} leaves out; set loss.normalize to "
            "'l2' or loss.beta to 0",
        )


def _symmetric_matrices_stay_so(in_effect: Mapping[str, Any]) -> None:
    """Refuse a symmetric predictor whose rows are standardized, each in its own way."""
    form = in_effect["predictor.weight_standardization"]
    if in_effect["predictor.symmetric"] and form not in (None, "none"):
        raise ConfigError(
            "predictor.symmetric",
            f"predictor.symmetric: with predictor.weight_standardization {form!r} each row has a "
            "factor of its own, so the matrix is not symmetric; set one of them to its default",
        )


_CHECKS: tuple[Callable[[Mapping[str, Any]], None], ...] = (
    _counts_are_counts,
    _numbers_exist_in_float32,
    _products_exist_in_float32,
    _rates_are_of_their_optimizer,
    _weights_fit_a_device,
    _parts_of_a_batch_are_equal,
    *NETWORK_CHECKS,
    _optimal_predictors_have_rows,
    _vectors_have_a_direction,
    _batches_normalize_three_images,
    _negatives_are_cosines,
    _symmetric_matrices_stay_so,
    _warmup_ends_within_the_run,
    _crops_have_an_area,
    _blurs_have_a_width,
)
