"""Tells what a data set holds without reading its images: how many, of which channels and classes.

A plan asks for it, so that settings that do not fit the images are refused before any run starts.
Of an .npz the headers and the labels are read, of photos the listing; what is published is known.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from byol_core.config.architectures import ARCHS
from byol_core.config.canonical import canonical
from byol_core.config.errors import ConfigError
from byol_core.config.network_config import EncoderConfig
from byol_core.config.train_config import DatasetConfig, TrainConfig
from byol_core.datasets.errors import DataError
from byol_core.datasets.kinds import Files, kind_of
from byol_core.datasets.locate import find
from byol_core.datasets.npz import UNLABELLED
from byol_core.kept_networks import check_start


@dataclass(frozen=True)
class DataFacts:
    """Holds what can be known of the images that a run trains on; None where it is not known.

    Attributes:
        images: how many, within the limit of the settings.
        channels: 1 (grey) or 3.
        side_px: the longer side of a view.
    """

    images: int | None
    channels: int | None
    side_px: int | None = field(default=None, compare=False)


def data_facts(dataset: DatasetConfig, files: Files | None = None) -> DataFacts:
    """Tell what a data set holds.

    Args:
        dataset: which.
        files: of it, where they were found already.

    Raises:
        DataMissingError: its files are not there.
        DataError: they hold something else than images and labels.
        ConfigError: the limit leaves too few images to judge an encoder by.
        OSError: a file cannot be read.
    """
    files = find(dataset) if files is None else files
    kind = kind_of(dataset.name)
    size = kind.size(files)
    labels = kind.labels(files, dataset.limit)
    if labels is not None:
        check_classes(dataset, labels)
    images = size.images
    if images is not None and dataset.limit:
        images = min(images, dataset.limit)
    side_px = dataset.side if dataset.name == "folder" else size.side_px
    return DataFacts(images, size.channels, side_px)


def check_fit(config: TrainConfig, facts: DataFacts) -> None:
    """Refuse a config that these images cannot serve, or the networks that it starts from.

    Raises:
        ConfigError: it names the key, the value and what is allowed.
    """
    check_start(config, facts.channels)
    batch_size = canonical(config)["batch_size"]
    images = facts.images
    if batch_size is not None and images is not None and batch_size > images:
        raise ConfigError(
            "batch_size",
            f"batch_size: {config.batch_size} is larger than the {images} training images; "
            "make it smaller, or dataset.limit larger",
        )
    normalize = config.augment.normalize
    if normalize != "none" and facts.channels == 1:
        raise ConfigError(
            "augment.normalize",
            f"augment.normalize: {normalize!r} holds means of three colours and these images are "
            "grey; use none",
        )
    if facts.side_px is not None and canonical(config)["encoder.norm"] == "in":
        _check_last_maps(config.encoder, facts.side_px)
    if images is not None and _trains_at_rate_0(config, images):
        raise ConfigError(
            "optimizer.warmup_epochs",
            f"optimizer.warmup_epochs: {config.optimizer.warmup_epochs:g}: the run's only step "
            "would be the first of the warm-up, whose learning rate is 0; "
            "set it to 0, train longer, or make batch_size smaller",
        )


def _check_last_maps(encoder: EncoderConfig, side_px: int) -> None:
    """Refuse instance norm over maps of one pixel, each of which becomes 0.

    Raises:
        ConfigError: the last stage has such maps.
    """
    if ARCHS[encoder.arch].last_map_px(side_px, encoder.stem) < 2:
        raise ConfigError(
            "encoder.norm",
            f"encoder.norm: under 'in' a map of one pixel becomes 0, and of images of {side_px} "
            f"pixels the last stage of {encoder.arch!r} with encoder.stem {encoder.stem!r} has "
            "such maps; use encoder.stem 3x3, a smaller encoder.arch or another norm",
        )


def check_classes(dataset: DatasetConfig, labels: Sequence[Hashable]) -> None:
    """Refuse images of no or a single class, by which no encoder can be judged.

    Raises:
        ConfigError: the limit cuts the others off.
        DataError: there are no others.
    """
    classes = set(labels) - {UNLABELLED}
    if len(classes) >= 2:
        return
    problem = "have no label"
    if classes:
        problem = f"are all of class {classes.pop()!r}"
        if UNLABELLED in labels:
            problem += " or without a label"
    problem += ", and encoders are judged by telling classes apart"
    if dataset.limit:
        raise ConfigError(
            "dataset.limit",
            f"dataset.limit: the first {dataset.limit} training images {problem}; "
            "raise the limit, or mix the images",
        )
    raise DataError(f"{dataset.path!r}: the training images {problem}; add images of another class")


def _trains_at_rate_0(config: TrainConfig, images: int) -> bool:
    """Tell whether a run ends at the first step of its warm-up."""
    steps_per_epoch = images // config.batch_size
    warmup_steps = round(config.optimizer.warmup_epochs * steps_per_epoch)
    is_single_step = config.epochs * steps_per_epoch == 1
    return config.method != "random" and is_single_step and warmup_steps > 0
