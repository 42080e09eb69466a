"""Which images, with which augmentation and from which streams, a step or a calibration wants."""

from collections.abc import Iterator
from itertools import islice

from torch import Tensor

from byol_core.config import TrainConfig
from byol_core.images.load import batches
from byol_core.images.source import Request
from byol_core.streams import stream
from byol_core.train.step import StepIndex

_CALIBRATION_BATCHES = 20


def view_request(
    config: TrainConfig, rows: Tensor, at: StepIndex, views: tuple[int, ...]
) -> Request:
    """Ask for these images with the crops of these views, as they are drawn at that step."""
    crops = tuple(stream(config.seed, "crop", view, at.epoch, at.batch) for view in views)
    return Request(rows, config.augment, crops)


def affine_request(config: TrainConfig, n: int) -> Request:
    """Ask for the images that the data-dependent start sees: the first of epoch 0."""
    rows = next(batches(n, min(config.init.affine_images, n), config.seed, epoch=0))
    return Request(rows, config.augment, (stream(config.seed, "crop", "affine"),))


def calibration_requests(config: TrainConfig, n: int) -> Iterator[Request]:
    """Ask for view 1 of the first batches, from which an untrained encoder gets its statistics."""
    order = batches(n, config.batch_size, config.seed, epoch=0)
    for number, rows in enumerate(islice(order, _CALIBRATION_BATCHES)):
        yield view_request(config, rows, StepIndex(number, 0, number), views=(1,))
