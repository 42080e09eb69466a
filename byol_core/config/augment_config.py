"""Declares the settings of the random views."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from byol_core.config.fields import (
    Fraction,
    NotNegative,
    PerView,
    PlugIn,
    Positive,
    Section,
    Since,
    When,
)

COLOURED = When("dataset.name", ("arrays", "stl10", "cifar10", "cifar100", "folder"))
"""Grey images, as all of digits and Fashion-MNIST are, have neither saturation nor hue."""


class Augment(Section):
    """Describes the random view of an image.

    Every draw is per image; an operation with probability or strength 0 is off. Order: affine or
    crop, flip, colour jitter (its four parts in random order), grayscale, blur, solarization, the
    user's own, gain and offset, noise, normalization.
    """

    rotate_rad: NotNegative = Field(0.4, description="rotation, drawn from ± this, in radians")
    scale: tuple[Positive, Positive] = Field(
        (0.6, 1.2),
        strict=False,
        description="range of the factor on the size of what is seen; [1, 1]: none",
    )
    shift: NotNegative = Field(0.25, description="shift, drawn from ± this part of half the side")
    crop_p: Fraction = Field(0.0, description="probability of a crop, resized to the whole view")
    crop_area: Annotated[tuple[Fraction, Fraction], When(".crop_p")] = Field(
        (0.2, 1.0), strict=False, description="range of a crop's area, as a part of the image"
    )
    crop_ratio: Annotated[tuple[Positive, Positive], When(".crop_p")] = Field(
        (0.75, 1.3333), strict=False, description="range of a crop's width by its height"
    )
    flip_p: Fraction = Field(0.0, description="probability of a flip, left to right")
    jitter_p: Fraction = Field(0.0, description="probability of colour jitter")
    jitter_brightness: Annotated[Fraction, When(".jitter_p")] = Field(
        0.4, description="brightness × U[1 − this, 1 + this]"
    )
    jitter_contrast: Annotated[Fraction, When(".jitter_p")] = Field(
        0.4, description="contrast × U[1 − this, 1 + this]"
    )
    jitter_saturation: Annotated[Fraction, When(".jitter_p"), COLOURED] = Field(
        0.4, description="saturation × U[1 − this, 1 + this]"
    )
    jitter_hue: Annotated[float, When(".jitter_p"), COLOURED, Field(ge=0, le=0.5)] = Field(
        0.1, description="hue turned by U[−this, this] of the colour circle"
    )
    grayscale_p: Annotated[Fraction, COLOURED] = Field(
        0.0, description="probability of grey instead of colour"
    )
    blur_p: PerView = Field((0.0, 0.0), description="probability of a Gaussian blur, per view")
    blur_sigma: Annotated[tuple[Positive, Positive], When(".blur_p")] = Field(
        (0.1, 2.0), strict=False, description="range of the blur's standard deviation, in pixels"
    )
    solarize_p: PerView = Field(
        (0.0, 0.0), description="probability that pixels ≥ 0.5 are inverted, per view"
    )
    extra: Annotated[Literal["none"] | PlugIn, Since("none")] = Field(
        "none", description="an augmentation of your own, as package.module:Class"
    )
    gain: Fraction = Field(0.5, description="pixels × U[1 − gain, 1 + gain]")
    offset: NotNegative = Field(0.2, description="pixels + U[−offset, offset]")
    noise_std: NotNegative = Field(0.05, description="standard deviation of noise on each pixel")
    normalize: Literal["none", "imagenet", "cifar10"] = Field(
        "none",
        description="whose mean and deviation of each channel are taken out, of ImageNet or of "
        "CIFAR-10",
    )

    @property
    def turns(self) -> bool:
        """Tell whether images are turned, scaled or shifted as a whole."""
        return bool(self.rotate_rad or self.shift or self.scale != (1.0, 1.0))

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> "Augment":
        for key in ("scale", "crop_area", "crop_ratio", "blur_sigma"):
            low, high = getattr(self, key)
            if low > high:
                raise ValueError(f"{key}: [{low}, {high}] has its lower end above its upper end")
        return self
