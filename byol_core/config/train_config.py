"""Declares every setting of a run, with its range.

Unknown keys and wrong types are errors, nothing is guessed. The defaults are the `digits-tiny`
preset: a net that learns in seconds on one core. Lengths are in epochs, angles in radians, sizes in
pixels, probabilities and fractions in [0, 1].
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

Norm = Literal["bn", "ln", "gn", "gn_ws", "affine", "none"]
"""How a part is normalized.

`gn_ws`: group norm, and every weight of the part standardized; `affine`: a scale and offset per
channel that start as batch norm would act on `init.affine_images` images and then train without
statistics (the "modified init." of arXiv 2010.10241).
"""
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]


def _for_both(value: Any) -> Any:
    """Return a pair as it is, and any other value twice."""
    if isinstance(value, list | tuple):
        return value
    return value, value


def _shortest(pair: tuple[float, float]) -> float | list[float]:
    """Return one number for an equal pair."""
    if pair[0] == pair[1]:
        return pair[0]
    return list(pair)


PerView = Annotated[
    tuple[Fraction, Fraction],
    Field(strict=False),
    BeforeValidator(_for_both),
    PlainSerializer(_shortest, when_used="json"),
]
"""A probability for view 1 and one for view 2, written `[1.0, 0.1]`.

One number means both, and is what equal ones become.
"""


class Section(BaseModel):
    """Is the base of all settings: frozen, strict about types and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DatasetConfig(Section):
    """Selects the images; where they lie (`path`) is no part of what a run is.

    `folder` is photos on the disk, `path`/train/<class>/*.jpeg and the same below val or test,
    decoded as they are needed; its order, and so what `limit` keeps, is that of the sha256 of the
    names, which mixes the classes.
    """

    name: Literal["digits", "arrays", "stl10", "folder"] = "digits"
    path: str | None = None
    limit: int = Field(0, ge=0, description="use the first N training images; 0 = all")
    side: Annotated[int, Field(ge=8, le=4096)] = Field(
        224, description="of the views of `folder`, in pixels"
    )


class EncoderConfig(Section):
    """Describes the encoder, the ResNet v1 that is kept.

    It has BasicBlocks or, in `resnet50`, Bottlenecks, and then the global average.
    """

    arch: Literal["tiny", "resnet18", "resnet50"] = "tiny"
    stem: Literal["3x3", "3x3_stride2", "7x7_pool"] = "3x3_stride2"
    norm: Norm = "bn"
    gn_groups: Count = 8


class HeadConfig(Section):
    """Describes the projector or the predictor, an MLP: linear → norm → ReLU → linear."""

    hidden: Count = 256
    out: Count = 64
    norm: Norm = "bn"
    gn_groups: Count = 16
    out_bias: bool = True


class InitConfig(Section):
    """Says how weights and biases start.

    `he`: normal, variance 2/fan-in. `torch`: PyTorch's layers' own, uniform in ±1/√fan-in.
    `torchvision`: its ResNets', He normal over fan-out in convolutions and PyTorch's own in linear
    layers. `haiku`: normal truncated at two standard deviations of 1/√fan-in, what DeepMind's code
    uses. `orthogonal`: rows orthonormal.
    """

    scheme: Literal["he", "torch", "torchvision", "haiku", "orthogonal"] = "he"
    scale: Positive = Field(1.0, description="factor on all weights")
    biases: Literal["zeros", "torch"] = "zeros"
    affine_images: Annotated[int, Field(ge=2)] = 512


class TargetConfig(Section):
    """Describes the target's moving average: ξ ← τ ξ + (1 − τ) θ after each step.

    `start`: as a copy of the online network, or as another draw, as in DeepMind's code; it matters
    where τ = 1.
    """

    tau_base: Fraction = 0.99
    schedule: Literal["constant", "cosine"] = "constant"
    start: Literal["copy", "draw"] = "copy"


class OptimizerConfig(Section):
    """Describes SGD or LARS with linear warm-up and a constant or cosine learning rate.

    The peak of the rate is `lr`, not lr/256. λ and μ multiply the learning rate of the predictor's
    and the projector's parameters, biases included.
    """

    name: Literal["sgd", "lars"] = "sgd"
    lr: Positive = 1.5
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: NotNegative = 0.0
    decay_bias_and_norm: bool = False
    trust_coefficient: Positive = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: NotNegative = 0.0
    lambda_predictor: NotNegative = 1.0
    mu_projector: NotNegative = 1.0


class ContrastiveConfig(Section):
    """Holds what contrastive methods need: the temperature, and the size of MoCo's queue."""

    queue_size: Count = 1024
    temperature: Positive = 0.2


class Augment(Section):
    """Describes the random view of an image.

    Every draw is per image; an operation with probability or strength 0 is off. Order: affine or
    crop, flip, colour jitter (its four parts in random order), grayscale, blur, solarization, gain
    and offset, noise, normalization. What is judged with augmentation is judged with view 1's.
    """

    rotate_rad: NotNegative = 0.4
    scale: tuple[Positive, Positive] = Field((0.6, 1.2), strict=False)
    shift: NotNegative = Field(0.25, description="of half the image side")
    crop_p: Fraction = 0.0
    crop_area: tuple[Fraction, Fraction] = Field((0.2, 1.0), strict=False)
    crop_ratio: tuple[Positive, Positive] = Field((0.75, 1.3333), strict=False)
    flip_p: Fraction = 0.0
    jitter_p: Fraction = 0.0
    jitter_brightness: Fraction = 0.4
    jitter_contrast: Fraction = 0.4
    jitter_saturation: Fraction = 0.4
    jitter_hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    grayscale_p: Fraction = 0.0
    blur_p: PerView = (0.0, 0.0)
    blur_sigma: tuple[Positive, Positive] = Field((0.1, 2.0), strict=False)
    solarize_p: PerView = Field((0.0, 0.0), description="pixels ≥ 0.5 inverted")
    gain: Fraction = Field(0.5, description="pixels × U[1 − gain, 1 + gain]")
    offset: NotNegative = Field(0.2, description="pixels + U[−offset, offset]")
    noise_std: NotNegative = 0.05
    normalize: Literal["none", "imagenet"] = "none"

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


class TrainConfig(Section):
    """Holds all settings of one run.

    `method`: `byol`; `moco`, the same networks under the contrastive loss with a queue; `simclr`,
    encoder and projector under the contrastive loss within the batch; `random`, an encoder that is
    never trained. `schedule_epochs` is the length that schedules are laid out for where a run stops
    before it (the blog ran 10 epochs of schedules over 320); 0 means `epochs`.
    """

    method: Literal["byol", "moco", "simclr", "random"] = "byol"
    seed: int = Field(0, ge=0, lt=2**31)
    epochs: Count = 60
    schedule_epochs: int = Field(0, ge=0)
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] = 128
    loss_scale: Positive = Field(
        1.0, description="factor on the loss; the blog's loss is half of the paper's"
    )
    dataset: DatasetConfig = DatasetConfig()
    encoder: EncoderConfig = EncoderConfig()
    projector: HeadConfig = HeadConfig()
    predictor: HeadConfig = HeadConfig()
    init: InitConfig = InitConfig()
    target: TargetConfig = TargetConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    contrastive: ContrastiveConfig = ContrastiveConfig()
    augment: Augment = Augment()

    @model_validator(mode="after")
    def _parts_fit(self) -> "TrainConfig":
        if self.predictor.out != self.projector.out:
            raise ValueError(
                f"predictor.out: {self.predictor.out} differs from projector.out "
                f"{self.projector.out}; the prediction is compared with a projection, "
                "so set both to one value"
            )
        if self.schedule_epochs and self.schedule_epochs < self.epochs:
            raise ValueError(
                f"schedule_epochs: {self.schedule_epochs} is shorter than epochs {self.epochs}; "
                "use 0 or more epochs"
            )

        # Decoding cuts views out of photos, so whole photos never exist as tensors to turn.
        if self.dataset.name == "folder" and self.augment.turns:
            raise ValueError(
                "augment.rotate_rad: photos of a folder are cropped and flipped while they are "
                "decoded, not turned, scaled or shifted; "
                "set augment.rotate_rad and augment.shift to 0 and augment.scale to [1, 1]"
            )

        for part in ("projector", "predictor"):
            head: HeadConfig = getattr(self, part)
            if head.norm in ("gn", "gn_ws") and head.hidden % head.gn_groups:
                raise ValueError(
                    f"{part}.gn_groups: {head.gn_groups} does not divide "
                    f"{part}.hidden {head.hidden}"
                )
        return self
