"""Declares every setting of a run, with its range.

Unknown keys and wrong types are errors, nothing is guessed. What `sweep keys`, docs/keys.md and an
editor say of a key is its field's `description`; where it has effect is its `When`. The defaults
are the `digits-tiny` preset: a net that learns in seconds on one core. Lengths are in epochs,
angles in radians, sizes in pixels, probabilities and fractions in [0, 1].
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from byol_core.config.augment_config import Augment
from byol_core.config.fields import Count, PlugIn, Section, When
from byol_core.config.network_config import (
    BatchNormConfig,
    EncoderConfig,
    HeadConfig,
    InitConfig,
    PredictorConfig,
)
from byol_core.config.objective_config import LossConfig, OptimizerConfig, TargetConfig

METHOD_DEFAULTS: dict[str, dict[str, dict[str, str]]] = {
    "simclr": {"predictor": {"kind": "none"}, "target": {"kind": "online"}},
}
"""Method → section → keys that are other than elsewhere where nothing is said of them."""


class DatasetConfig(Section):
    """Selects the images; where they lie (`path`) is no part of what a run is."""

    name: (
        Literal["digits", "arrays", "stl10", "cifar10", "cifar100", "fashion_mnist", "folder"]
        | PlugIn
    ) = Field(
        "digits",
        description="the images: digits of scikit-learn, an .npz of arrays, STL-10, CIFAR-10 or "
        "-100, Fashion-MNIST, a folder of photos, path/train/<class>/*.jpeg and the same below val "
        "or test, or a data set of your own, as package.module:Class",
    )
    path: str | None = Field(
        None,
        description="where arrays (a file), photos (a folder) or the files of a data set of your "
        "own lie, or a fetched data set that is not in $SWEEP_DATA; no part of the run's id, which "
        "counts the content",
    )
    limit: int = Field(
        0,
        ge=0,
        description="use the first N training images; 0: all. A folder's order is that of the "
        "sha256 of the names, which mixes the classes",
    )
    side: Annotated[int, When(".name", ("folder",), or_own=False), Field(ge=8, le=4096)] = Field(
        224, description="side of the views of a folder's photos, in pixels"
    )


class TrainConfig(Section):
    """Holds all settings of one run."""

    method: Literal["byol", "moco", "simclr", "random"] | PlugIn = Field(
        "byol",
        description="what is minimized. byol: the distance of prediction and target; moco: the "
        "contrastive loss with a queue; simclr: the contrastive loss within the batch, without "
        "predictor and target network unless their kinds are set; random: an encoder that is never "
        "trained; or a loss of your own, as package.module:Class",
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
    schedule_by: Literal["step", "epoch"] = Field(
        "step", description="whether learning rate and τ change at each step or at each epoch"
    )
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] = Field(
        128, description="images of a step"
    )
    accumulate: Annotated[int, Field(ge=1, le=10_000)] = Field(
        1,
        description="equal parts that a batch goes through the networks in, gradients averaged: "
        "only batch norm and negatives see the smaller batch (BYOL, Table 16)",
    )
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32",
        description="of convolutions and matrix products; losses, statistics of norms, the moving "
        "average, metrics and evaluation stay float32. tf32 needs a GPU, bf16 hardware that has it",
    )
    compute: Literal["auto", "plain", "captured", "compiled"] = Field(
        "auto",
        description="how a GPU takes the steps: plain, kernel by kernel; captured, as a CUDA graph, "
        "channels last, norms fused; compiled, that and augmentation compiled, worth its half "
        "minute where a run takes many; auto: captured where it can be. They differ in the last "
        "bits; which it was is recorded, and no part of the run's id. A processor has the plain "
        "one alone",
    )
    dataset: DatasetConfig = DatasetConfig()
    encoder: EncoderConfig = EncoderConfig()
    projector: HeadConfig = HeadConfig()
    predictor: PredictorConfig = PredictorConfig()
    batch_norm: BatchNormConfig = BatchNormConfig()
    init: InitConfig = InitConfig()
    loss: LossConfig = LossConfig()
    target: TargetConfig = TargetConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: Augment = Augment()

    @model_validator(mode="before")
    @classmethod
    def _fill_in_method(cls, settings: Any) -> Any:
        """Give keys that the method has other defaults for, and that are not set, those."""
        if not isinstance(settings, dict):
            return settings
        filled = dict(settings)
        for section, defaults in METHOD_DEFAULTS.get(str(settings.get("method")), {}).items():
            given = settings.get(section, {})
            if isinstance(given, dict):
                filled[section] = {**defaults, **given}
        return filled

    @property
    def trains(self) -> bool:
        """Tell whether the run trains anything; the random encoder does not."""
        return self.method != "random"

    @model_validator(mode="after")
    def _parts_fit(self) -> "TrainConfig":
        if self.predictor.kind in ("mlp", "linear") and self.predictor.out != self.projector.out:
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
        return self
