"""Declares the settings of what is minimized and how: loss, target, optimizer."""

from typing import Annotated, Literal

from pydantic import Field

from byol_core.config.fields import (
    Count,
    Fraction,
    NotNegative,
    Positive,
    Schedule,
    Section,
    When,
    WhenAny,
)


class LossConfig(Section):
    """Describes the loss, whose kind the method names."""

    scale: Positive = Field(
        1.0, description="factor on the loss; the blog's regression loss is half of the paper's"
    )
    symmetric: Annotated[bool, When("method", ("byol", "moco"))] = Field(
        True, description="whether each view predicts the other, or view 1 alone view 2"
    )
    normalize: Annotated[Literal["l2", "layer", "batch", "none"], When("method", ("byol",))] = (
        Field(
            "l2",
            description="how predictions and targets are normalized in the loss; layer and batch have "
            "nothing to train and are divided by √d (BYOL, appendix F.6)",
        )
    )
    beta: Annotated[NotNegative, When("method", ("byol",))] = Field(
        0.0,
        description="β, the weight of negatives: 0 is BYOL, 1 without predictor and target SimCLR "
        "(BYOL, equation 6)",
    )
    temperature: Annotated[
        Positive, WhenAny((When("method", ("moco", "simclr")), When("loss.beta")))
    ] = Field(0.2, description="temperature of the loss's softmax over negatives")
    queue_size: Annotated[Count, When("method", ("moco",))] = Field(
        1024, description="negatives in MoCo's queue"
    )
    queue_keys: Annotated[Literal["both", "first"], When("method", ("moco",))] = Field(
        "both", description="whose keys enter the queue: both views', or the first view's alone"
    )
    label_weight: NotNegative = Field(
        0.0,
        description="weight of a linear classifier's cross-entropy on the labelled images of the "
        "batch, which trains the encoder too (Mean Teacher); 0: labels are not looked at",
    )


class TargetConfig(Section):
    """Describes the target: the network whose projections are predicted."""

    kind: Literal["ema", "online"] = Field(
        "ema",
        description="ema: a network of its own, ξ ← τ ξ + (1 − τ) θ after each step, through which "
        "no gradient flows; online: the online network itself, with gradient",
    )
    tau_base: Annotated[Fraction, When(".kind", ("ema",))] = Field(
        0.99,
        description="τ of the moving average; 0: a copy each step, 1: a target that never moves",
    )
    schedule: Annotated[Schedule, When(".kind", ("ema",))] = Field(
        "constant", description="τ over the run: constant, or a cosine from tau_base up to 1"
    )
    start: Annotated[Literal["copy", "draw"], When(".kind", ("ema",))] = Field(
        "copy",
        description="first target: a copy of the online network, or another draw, as in DeepMind's "
        "code; it matters where τ is 1",
    )
    moves: Annotated[Literal["after", "before"], When(".kind", ("ema",))] = Field(
        "after",
        description="whether the target moves after the optimizer's step, as in the paper, or "
        "before it, as in the blog's code",
    )


class OptimizerConfig(Section):
    """Describes the optimizer, its schedule, and which parameters it treats how."""

    name: Literal["sgd", "lars", "adamw"] = Field("sgd", description="the optimizer")
    lr: Positive = Field(
        1.5, description="peak of the learning rate, for the batch size as it is (not lr/256)"
    )
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="momentum of SGD or LARS; β₁ of AdamW"
    )
    beta2: Annotated[float, When(".name", ("adamw",)), Field(ge=0, lt=1)] = Field(
        0.999, description="β₂ of AdamW"
    )
    weight_decay: NotNegative = Field(
        0.0, description="L2 penalty on the weights, decoupled in AdamW; 0: none"
    )
    decay_bias_and_norm: Annotated[bool, When(".weight_decay")] = Field(
        False, description="whether biases and the parameters of norms decay too"
    )
    decay_encoder: Annotated[NotNegative, When(".weight_decay")] = Field(
        1.0, description="factor on the weight decay of the encoder"
    )
    decay_predictor: Annotated[
        NotNegative, When(".weight_decay"), When("predictor.kind", ("mlp", "linear"))
    ] = Field(1.0, description="factor on the weight decay of the predictor")
    decay_projector: Annotated[NotNegative, When(".weight_decay")] = Field(
        1.0, description="factor on the weight decay of the projector"
    )
    trust_coefficient: Annotated[Positive, When(".name", ("lars",))] = Field(
        1e-3, description="η of LARS"
    )
    lars_form: Annotated[Literal["deepmind", "blog"], When(".name", ("lars",))] = Field(
        "deepmind",
        description="deepmind: η ‖w‖ / ‖g + decay·w‖, momentum without the rate; blog: "
        "η ‖w‖ / (‖g‖ + decay·‖w‖), the rate within the momentum, as in the blog's code",
    )
    lars_scope: Annotated[
        Literal["all", "encoder", "heads", "early", "network"], When(".name", ("lars",))
    ] = Field(
        "all",
        description="which weights LARS adapts, each tensor alone: all, those of the encoder, of "
        "the heads, or of the stem and the first two stages (early); network: all by one common "
        "ratio",
    )
    adapt_bias_and_norm: Annotated[bool, When(".name", ("lars",))] = Field(
        False, description="whether LARS adapts biases and the parameters of norms too"
    )
    early_factor: NotNegative = Field(
        1.0, description="factor on the learning rate of the stem and the first two stages"
    )
    schedule: Schedule = Field(
        "constant", description="learning rate after the warm-up: constant, or a cosine down to 0"
    )
    warmup_epochs: NotNegative = Field(
        0.0, description="epochs over which the learning rate grows from 0"
    )
    lambda_predictor: Annotated[NotNegative, When("predictor.kind", ("mlp", "linear"))] = Field(
        1.0, description="λ: factor on the learning rate of the predictor, its biases included"
    )
    predictor_schedule: Annotated[
        Literal["same", "constant"],
        When(".lambda_predictor"),
        WhenAny((When(".schedule", ("cosine",)), When(".warmup_epochs"))),
    ] = Field(
        "same",
        description="the predictor's learning rate over the run: as the rest's, or constant from "
        "the first step on (SimSiam's)",
    )
    mu_projector: NotNegative = Field(
        1.0, description="μ: factor on the learning rate of the projector, its biases included"
    )
