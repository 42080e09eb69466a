"""Declares the settings of the networks: encoder, heads, batch norm, and how weights start."""

from typing import Annotated, Literal

from pydantic import Field

from byol_core.config.fields import (
    AbsolutePath,
    Count,
    Fraction,
    NotNegative,
    PlugIn,
    Positive,
    Section,
    Since,
    When,
    WhenAny,
)

Norm = Annotated[
    Literal["bn", "ln", "gn", "in", "affine", "none"] | PlugIn,
    Field(
        description="normalization: batch, layer, group or instance norm, or none; affine: a scale "
        "and offset per channel that start as batch norm would act on init.affine_images images "
        "and then train without statistics (the modified init of arXiv 2010.10241); or one of your "
        "own, as package.module:Class"
    ),
]
Groups = Annotated[Count, When(".norm", ("gn",)), Field(description="groups of norm gn")]
NormAffine = Annotated[
    bool,
    When(".norm", ("bn", "ln", "gn", "in")),
    Field(description="whether norms have a scale γ and an offset β to train"),
]
Standardization = Annotated[
    Literal["none", "biased", "unbiased"],
    Field(
        description="weight standardization: each output's weights minus their mean, over their "
        "deviation. biased: √(variance + 1e-5), the mean square; unbiased: over n − 1 plus 1e-5, "
        "the blog's code, which leaves a head's last layer as it is"
    ),
]


class EncoderConfig(Section):
    """Describes the encoder, the ResNet v1 that is kept.

    It has BasicBlocks or, in `resnet50`, Bottlenecks, and then the global average.
    """

    arch: Literal["tiny", "resnet18", "resnet34", "resnet50", "resnet50x2"] = Field(
        "tiny", description="the residual network; tiny has three stages of tiny_blocks blocks"
    )
    tiny_blocks: Annotated[int, When(".arch", ("tiny",)), Field(ge=1, le=16)] = Field(
        1, description="blocks in each of the three stages of arch tiny"
    )
    stem: Literal["3x3", "3x3_stride2", "7x7_pool"] = Field(
        "3x3_stride2",
        description="first convolution; 3x3 is usual for CIFAR; 7x7_pool is ImageNet's, with "
        "stride 2 and max-pooling",
    )
    norm: Norm = "bn"
    gn_groups: Groups = 8
    norm_affine: NormAffine = True
    weight_standardization: Standardization = "none"


class HeadConfig(Section):
    """Describes the projector: linear layers with norm and ReLU between them."""

    depth: Annotated[int, Field(ge=1, le=8)] = Field(2, description="linear layers of the head")
    hidden: Annotated[Count, When(".depth", (2, 3, 4, 5, 6, 7, 8))] = Field(
        256, description="width of the hidden layers"
    )
    out: Count = Field(
        64, description="width of the output; equal for projector and predictor, which are compared"
    )
    norm: Annotated[Norm, WhenAny((When(".depth", (2, 3, 4, 5, 6, 7, 8)), When(".out_norm")))] = (
        "bn"
    )
    gn_groups: Groups = 16
    norm_affine: NormAffine = True
    out_norm: bool = Field(
        False, description="whether the norm follows the last linear layer too, as in SimSiam"
    )
    weight_standardization: Standardization = "none"
    out_bias: bool = Field(True, description="whether the last linear layer has a bias")


class PredictorConfig(HeadConfig):
    """Describes the predictor: as the projector, or one of the kinds that are studied without it."""

    kind: Literal["mlp", "linear", "optimal", "directpred", "none"] | PlugIn = Field(
        "mlp",
        description="the predictor. linear: one matrix; optimal: the matrix that predicts each "
        "batch best, in closed form (BYOL, section 5); directpred: a matrix from the spectrum of "
        "the projections (arXiv 2102.06810); none: the projection itself; or one of your own, as "
        "package.module:Class",
    )
    depth: Annotated[int, When(".kind", ("mlp",)), Field(ge=1, le=8)] = Field(
        2, description="linear layers of the head"
    )
    out: Annotated[Count, When(".kind", ("mlp", "linear"))] = Field(
        64, description="width of the output; equal for projector and predictor, which are compared"
    )
    norm: Annotated[
        Norm,
        When(".kind", ("mlp",)),
        WhenAny((When(".depth", (2, 3, 4, 5, 6, 7, 8)), When(".out_norm"))),
    ] = "bn"
    weight_standardization: Annotated[Standardization, When(".kind", ("mlp", "linear"))] = "none"
    out_bias: Annotated[bool, When(".kind", ("mlp", "linear"))] = Field(
        True, description="whether the last linear layer has a bias"
    )
    out_norm: Annotated[bool, When(".kind", ("mlp",))] = Field(
        False, description="whether the norm follows the last linear layer too, as in SimSiam"
    )
    symmetric: Annotated[bool, When(".kind", ("linear",))] = Field(
        False, description="whether the matrix of kind linear is held symmetric"
    )
    fit_every: Annotated[Count, When(".kind", ("optimal", "directpred"))] = Field(
        1, description="steps between two fits of a predictor that is not trained"
    )
    fit_normalized: Annotated[bool, When(".kind", ("optimal",))] = Field(
        False, description="whether kind optimal is fitted to unit vectors instead of z and z′"
    )
    ridge: Annotated[NotNegative, When(".kind", ("optimal",))] = Field(
        0.0,
        description="penalty on the matrix of kind optimal, relative to the mean of z's squares",
    )
    memory: Annotated[Fraction, When(".kind", ("directpred",))] = Field(
        0.3, description="ρ of directpred: how much of its moving average of z zᵀ a step keeps"
    )
    boost: Annotated[NotNegative, When(".kind", ("directpred",))] = Field(
        0.1, description="ε of directpred: what is added to √s, as a part of the largest eigenvalue"
    )
    inner_steps: Annotated[
        int,
        When(".kind", ("mlp", "linear")),
        WhenAny((When("optimizer.lambda_predictor"), When(".norm", ("bn",)))),
        Field(ge=0, le=1000),
    ] = Field(0, description="steps of the predictor alone, on the batch at hand, before each step")


class BatchNormConfig(Section):
    """Says over what batch norm takes its statistics, wherever a part has norm `bn`."""

    views: Literal["per_view", "joint"] = Field(
        "per_view",
        description="whether each view has statistics of its own, as in the official code, or both "
        "views share theirs",
    )
    group: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0,
        description="images of a view that share statistics (ghost batch norm); 0: all of the "
        "batch, over all devices",
    )
    shuffle: Annotated[bool, When(".group"), When(".target", ("own", "ema"))] = Field(
        False,
        description="whether the target groups the images in another order (MoCo's shuffling)",
    )
    source: Literal["batch", "running", "other_batch"] = Field(
        "batch",
        description="whose statistics normalize while training: of the batch, running averages, or "
        "those of the batch before; the first batch uses its own",
    )
    frozen_from: Annotated[Fraction, When(".source", ("batch",))] = Field(
        1.0,
        description="part of the run after which statistics stand still at their running averages",
    )
    parts: Literal["both", "centre", "scale"] = Field(
        "both", description="which part acts: both, the mean alone or the deviation alone"
    )
    gradient: Annotated[bool, When(".source", ("batch",))] = Field(
        True, description="whether gradients flow through the statistics"
    )
    momentum: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="weight of the newest batch in running averages"
    )
    target: Annotated[Literal["own", "ema", "eval"], When("target.kind", ("ema",))] = Field(
        "own",
        description="the target's running averages. own: of its own batches; ema: they follow the "
        "online network's by τ; eval: the same, and they normalize in place of the batch (EMAN)",
    )


DRAWN = When("init.weights", (None,))
"""Encoder and heads are drawn, and not those of another run."""
ANY_DRAWN = WhenAny((DRAWN, When("loss.label_weight")))
"""A classifier is drawn in any case."""


class InitConfig(Section):
    """Says how weights and biases start."""

    weights: Annotated[AbsolutePath | None, Since(None)] = Field(
        None,
        description="folder networks of a finished run with keep: networks, whose last online "
        "network this run starts from, batch-norm averages included; null: weights are drawn. The "
        "run's id holds the sha256 of the networks, not the path",
    )
    scheme: Annotated[
        Literal["he", "lecun", "torch", "torchvision", "haiku", "orthogonal"], ANY_DRAWN
    ] = Field(
        "he",
        description="first weights. he: normal, variance 2/fan-in; lecun: normal, 1/fan-in; torch: "
        "PyTorch's layers' own, uniform in ±1/√fan-in; torchvision: its ResNets', He normal over "
        "fan-out in convolutions and PyTorch's own in linear layers; haiku: normal truncated at "
        "two standard deviations of 1/√fan-in, as in DeepMind's code; orthogonal: orthonormal rows",
    )
    scale: Annotated[Positive, ANY_DRAWN] = Field(1.0, description="factor on all first weights")
    biases: Annotated[Literal["zeros", "torch"], ANY_DRAWN] = Field(
        "zeros", description="first biases: zeros, or PyTorch's own, uniform in ±1/√fan-in"
    )
    zero_last_norm: Annotated[bool, When("encoder.norm", ("bn", "ln", "gn", "in")), DRAWN] = Field(
        False, description="whether γ of the last norm of each residual block starts at 0, not at 1"
    )
    affine_images: Annotated[
        int,
        WhenAny(
            (
                When("encoder.norm", ("affine",)),
                When("projector.norm", ("affine",)),
                When("predictor.norm", ("affine",)),
            )
        ),
        DRAWN,
        Field(ge=2),
    ] = Field(
        512, description="training images that norm affine is fitted to before the first step"
    )
    collapse: Fraction = Field(
        0.0,
        description="how far the projector starts towards a constant output: its last layer's "
        "weights times 1 − this, beside its bias, which becomes a random unit vector where it is "
        "zero; 1: fully collapsed",
    )
    noise_std: NotNegative = Field(
        0.0,
        description="deviation of noise on every first weight, relative to the layer's root mean "
        "square before init.collapse",
    )
