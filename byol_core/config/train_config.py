"""Declares every setting of a run, with its range.

Unknown keys and wrong types are errors, nothing is guessed. What `sweep keys`, docs/keys.md and an
editor say of a key is its field's `description`. The defaults are the `digits-tiny`
preset: a net that learns in seconds on one core. Lengths are in epochs, angles in radians, sizes in
pixels, probabilities and fractions in [0, 1].
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Norm = Annotated[
    Literal["bn", "ln", "gn", "gn_ws", "affine", "none"],
    Field(
        description="normalization: batch, layer, group norm or none; gn_ws: group norm, and every "
        "weight of the part standardized; affine: a scale and offset per channel that start as "
        "batch norm would act on init.affine_images images and then train without statistics (the "
        "modified init of arXiv 2010.10241)"
    ),
]
Groups = Annotated[Count, Field(description="groups of the group norms gn and gn_ws")]


_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_PAIR = {"type": "array", "minItems": 2, "maxItems": 2}


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
    WithJsonSchema({"anyOf": [_PROBABILITY, {**_PAIR, "items": _PROBABILITY}]}),
]
"""A probability for view 1 and one for view 2, written `[1.0, 0.1]`.

One number means both, and is what equal ones become.
"""


class Section(BaseModel):
    """Is the base of all settings: frozen, strict about types and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DatasetConfig(Section):
    """Selects the images; where they lie (`path`) is no part of what a run is."""

    name: Literal["digits", "arrays", "stl10", "folder"] = Field(
        "digits",
        description="the images: digits of scikit-learn, STL-10, an .npz of arrays, or a folder of "
        "photos, path/train/<class>/*.jpeg and the same below val or test",
    )
    path: str | None = Field(
        None, description="where arrays (a file) or photos (a folder) lie; no part of the run's id"
    )
    limit: int = Field(
        0,
        ge=0,
        description="use the first N training images; 0: all. A folder's order is that of the "
        "sha256 of the names, which mixes the classes",
    )
    side: Annotated[int, Field(ge=8, le=4096)] = Field(
        224, description="side of the views of a folder's photos, in pixels"
    )


class EncoderConfig(Section):
    """Describes the encoder, the ResNet v1 that is kept.

    It has BasicBlocks or, in `resnet50`, Bottlenecks, and then the global average.
    """

    arch: Literal["tiny", "resnet18", "resnet50"] = Field(
        "tiny", description="the residual network; tiny has three stages of one block"
    )
    stem: Literal["3x3", "3x3_stride2", "7x7_pool"] = Field(
        "3x3_stride2",
        description="first convolution; 7x7_pool is ImageNet's, with stride 2 and max-pooling",
    )
    norm: Norm = "bn"
    gn_groups: Groups = 8


class HeadConfig(Section):
    """Describes the projector or the predictor, an MLP: linear → norm → ReLU → linear."""

    hidden: Count = Field(256, description="width of the hidden layer")
    out: Count = Field(
        64, description="width of the output; equal for projector and predictor, which are compared"
    )
    norm: Norm = "bn"
    gn_groups: Groups = 16
    out_bias: bool = Field(True, description="whether the last linear layer has a bias")


class InitConfig(Section):
    """Says how weights and biases start."""

    scheme: Literal["he", "torch", "torchvision", "haiku", "orthogonal"] = Field(
        "he",
        description="first weights. he: normal, variance 2/fan-in; torch: PyTorch's layers' own, "
        "uniform in ±1/√fan-in; torchvision: its ResNets', He normal over fan-out in convolutions "
        "and PyTorch's own in linear layers; haiku: normal truncated at two standard deviations of "
        "1/√fan-in, as in DeepMind's code; orthogonal: orthonormal rows",
    )
    scale: Positive = Field(1.0, description="factor on all first weights")
    biases: Literal["zeros", "torch"] = Field(
        "zeros", description="first biases: zeros, or PyTorch's own, uniform in ±1/√fan-in"
    )
    affine_images: Annotated[int, Field(ge=2)] = Field(
        512, description="training images that norm affine is fitted to before the first step"
    )


class TargetConfig(Section):
    """Describes the target's moving average: ξ ← τ ξ + (1 − τ) θ after each step."""

    tau_base: Fraction = Field(
        0.99,
        description="τ of the moving average; 0: a copy each step, 1: a target that never moves",
    )
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="τ over the run: constant, or a cosine from tau_base up to 1"
    )
    start: Literal["copy", "draw"] = Field(
        "copy",
        description="first target: a copy of the online network, or another draw, as in DeepMind's "
        "code; it matters where τ is 1",
    )


class OptimizerConfig(Section):
    """Describes SGD or LARS with linear warm-up and a constant or cosine learning rate."""

    name: Literal["sgd", "lars"] = Field("sgd", description="the optimizer")
    lr: Positive = Field(
        1.5, description="peak of the learning rate, for the batch size as it is (not lr/256)"
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="momentum of SGD or LARS"
    )
    weight_decay: NotNegative = Field(0.0, description="L2 penalty on the weights; 0: none")
    decay_bias_and_norm: bool = Field(
        False, description="whether biases and the parameters of norms decay too"
    )
    trust_coefficient: Positive = Field(1e-3, description="η of LARS")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="learning rate after the warm-up: constant, or a cosine down to 0"
    )
    warmup_epochs: NotNegative = Field(
        0.0, description="epochs over which the learning rate grows from 0"
    )
    lambda_predictor: NotNegative = Field(
        1.0, description="λ: factor on the learning rate of the predictor, its biases included"
    )
    mu_projector: NotNegative = Field(
        1.0, description="μ: factor on the learning rate of the projector, its biases included"
    )


class ContrastiveConfig(Section):
    """Holds what contrastive methods need."""

    queue_size: Count = Field(1024, description="negatives in MoCo's queue")
    temperature: Positive = Field(0.2, description="temperature of the contrastive loss")


class Augment(Section):
    """Describes the random view of an image.

    Every draw is per image; an operation with probability or strength 0 is off. Order: affine or
    crop, flip, colour jitter (its four parts in random order), grayscale, blur, solarization, gain
    and offset, noise, normalization. What is judged with augmentation is judged with view 1's.
    """

    rotate_rad: NotNegative = Field(0.4, description="rotation, drawn from ± this, in radians")
    scale: tuple[Positive, Positive] = Field(
        (0.6, 1.2),
        strict=False,
        description="range of the factor on the size of what is seen; [1, 1]: none",
    )
    shift: NotNegative = Field(0.25, description="shift, drawn from ± this part of half the side")
    crop_p: Fraction = Field(0.0, description="probability of a crop, resized to the whole view")
    crop_area: tuple[Fraction, Fraction] = Field(
        (0.2, 1.0), strict=False, description="range of a crop's area, as a part of the image"
    )
    crop_ratio: tuple[Positive, Positive] = Field(
        (0.75, 1.3333), strict=False, description="range of a crop's width by its height"
    )
    flip_p: Fraction = Field(0.0, description="probability of a flip, left to right")
    jitter_p: Fraction = Field(0.0, description="probability of colour jitter")
    jitter_brightness: Fraction = Field(0.4, description="brightness × U[1 − this, 1 + this]")
    jitter_contrast: Fraction = Field(0.4, description="contrast × U[1 − this, 1 + this]")
    jitter_saturation: Fraction = Field(0.4, description="saturation × U[1 − this, 1 + this]")
    jitter_hue: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.1, description="hue turned by U[−this, this] of the colour circle"
    )
    grayscale_p: Fraction = Field(0.0, description="probability of grey instead of colour")
    blur_p: PerView = Field((0.0, 0.0), description="probability of a Gaussian blur, per view")
    blur_sigma: tuple[Positive, Positive] = Field(
        (0.1, 2.0), strict=False, description="range of the blur's standard deviation, in pixels"
    )
    solarize_p: PerView = Field(
        (0.0, 0.0), description="probability that pixels ≥ 0.5 are inverted, per view"
    )
    gain: Fraction = Field(0.5, description="pixels × U[1 − gain, 1 + gain]")
    offset: NotNegative = Field(0.2, description="pixels + U[−offset, offset]")
    noise_std: NotNegative = Field(0.05, description="standard deviation of noise on each pixel")
    normalize: Literal["none", "imagenet"] = Field(
        "none", description="whether ImageNet's mean and deviation of each channel are taken out"
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


class TrainConfig(Section):
    """Holds all settings of one run."""

    method: Literal["byol", "moco", "simclr", "random"] = Field(
        "byol",
        description="what is trained. moco: the same networks under the contrastive loss with a "
        "queue; simclr: encoder and projector under the contrastive loss within the batch; random: "
        "an encoder that is never trained",
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**31,
        description="seed of all random numbers; in a spec it stands under seeds:",
    )
    epochs: Count = Field(60, description="how many times the training images are gone through")
    schedule_epochs: int = Field(
        0,
        ge=0,
        description="length that schedules are laid out for where a run stops before it (the blog "
        "ran 10 epochs of schedules over 320); 0: epochs",
    )
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] = Field(
        128, description="images of a step"
    )
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
