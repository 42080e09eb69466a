"""Tells what a data set holds without reading its images: how many, of which channels and classes.

A plan asks for it, so that settings that do not fit the images are refused before any run starts.
Of an .npz the headers and the labels are read, of photos the listing.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from byol_core.config.errors import ConfigError
from byol_core.config.train_config import DatasetConfig, TrainConfig
from byol_core.datasets.errors import DataError
from byol_core.datasets.locate import Files, find
from byol_core.datasets.npz import channels_of, kinds_in, labels_in
from byol_core.datasets.photo_folder import PhotoFolder, class_of, classes_of, mixed

DIGITS_TRAIN = 1400
_STL10_TRAIN = 105_000
_STL10_LABELS = 1  # the place of train_y.bin among its files


@dataclass(frozen=True)
class DataFacts:
    """Holds what can be known of the images that a run trains on.

    Attributes:
        images: how many, within the limit of the settings.
        channels: 1 (grey) or 3.
    """

    images: int
    channels: int


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
    if isinstance(files, PhotoFolder):
        images, channels, labels = _of_photos(files, dataset.limit)
    elif dataset.name == "arrays":
        _, shape = kinds_in(files[0])["x_train"]
        images, channels = shape[0], channels_of(shape)
        labels = labels_in(files[0])["train"].tolist()
    elif dataset.name == "stl10":
        images, channels = _STL10_TRAIN, 3
        labels = files[_STL10_LABELS].read_bytes()
    else:
        images, channels = DIGITS_TRAIN, 1
        labels = range(10)  # its first images are of different classes

    # Of unlabelled images a limit may leave more than of labelled ones.
    limit = dataset.limit or images
    _check_classes(dataset, labels[:limit])
    return DataFacts(min(images, limit), channels)


def check_fit(config: TrainConfig, facts: DataFacts) -> None:
    """Refuse a config that these images cannot serve.

    Raises:
        ConfigError: it names the key, the value and what is allowed.
    """
    if config.batch_size > facts.images:
        raise ConfigError(
            "batch_size",
            f"batch_size: {config.batch_size} is larger than the {facts.images} training images; "
            "make it smaller, or dataset.limit larger",
        )
    if config.augment.normalize == "imagenet" and facts.channels != 3:
        raise ConfigError(
            "augment.normalize",
            "augment.normalize: 'imagenet' holds means of three colours and these images are grey; "
            "use none",
        )
    if _trains_at_rate_0(config, facts.images // config.batch_size):
        raise ConfigError(
            "optimizer.warmup_epochs",
            f"optimizer.warmup_epochs: {config.optimizer.warmup_epochs:g}: the run's only step "
            "would be the first of the warm-up, whose learning rate is 0; "
            "set it to 0, train longer, or make batch_size smaller",
        )


def _of_photos(listing: PhotoFolder, limit: int) -> tuple[int, int, Sequence[Hashable]]:
    """Return how many training photos there are, their channels, and their classes in order."""
    classes_of(listing)
    photos = listing.train.photos
    if limit:
        photos = tuple(mixed(photos))
    return len(photos), 3, [class_of(photo) for photo in photos]


def _check_classes(dataset: DatasetConfig, labels: Sequence[Hashable]) -> None:
    """Refuse images of a single class, between which no protocol can tell.

    Raises:
        ConfigError: the limit cuts the others off.
        DataError: there are no others.
    """
    if len(set(labels)) >= 2:
        return
    problem = f"are all of class {labels[0]!r}, and encoders are judged by telling classes apart"
    if dataset.limit:
        raise ConfigError(
            "dataset.limit",
            f"dataset.limit: the first {dataset.limit} training images {problem}; "
            "raise the limit, or mix the images",
        )
    raise DataError(f"{dataset.path!r}: the training images {problem}; add images of another class")


def _trains_at_rate_0(config: TrainConfig, steps_per_epoch: int) -> bool:
    """Tell whether a run ends at the first step of its warm-up."""
    warmup_steps = round(config.optimizer.warmup_epochs * steps_per_epoch)
    is_single_step = config.epochs * steps_per_epoch == 1
    return config.method != "random" and is_single_step and warmup_steps > 0
