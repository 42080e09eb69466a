"""Says which images a step or the start wants, with the draws of their views."""

from collections.abc import Iterator
from itertools import islice

from torch import Tensor

from byol_core.augment.draws import draw_view
from byol_core.config import TrainConfig
from byol_core.images.load import batches
from byol_core.images.source import Request, Source
from byol_core.streams import Name
from byol_core.train.step import StepIndex

_CALIBRATION_BATCHES = 20


def step_request(config: TrainConfig, source: Source, rows: Tensor, at: StepIndex) -> Request:
    """Ask for these images in both views, as they are drawn at that step."""
    return _request(config, source, rows, (at.epoch, at.batch))


def start_request(config: TrainConfig, source: Source) -> Request:
    """Ask for the images that data-dependent layers are fitted to: the first of epoch 0."""
    n = min(config.init.affine_images, len(source))
    rows = next(batches(len(source), n, config.seed, epoch=0))
    return _request(config, source, rows, ("start",))


def calibration_requests(config: TrainConfig, source: Source) -> Iterator[Request]:
    """Ask for the first batches, from which an untrained encoder gets its statistics."""
    order = batches(len(source), config.batch_size, config.seed, epoch=0)
    for number, rows in enumerate(islice(order, _CALIBRATION_BATCHES)):
        yield _request(config, source, rows, (0, number))


def _request(config: TrainConfig, source: Source, rows: Tensor, names: tuple[Name, ...]) -> Request:
    """Ask for both views of these images; the names tell their draws from others."""
    views = tuple(
        draw_view(config.augment, config.seed, names, view, len(rows), source.shape)
        for view in (1, 2)
    )
    return Request(rows, config.augment, views)
