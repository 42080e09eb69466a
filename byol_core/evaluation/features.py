"""Computes the features that a frozen encoder gives the views of images."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from byol_core.augment.draws import draw_view
from byol_core.evaluation.labels import Labelled
from byol_core.evaluation.views import Views
from byol_core.images.source import Request
from byol_core.precision import compute_in
from byol_core.streams import Name

BATCH = 256

# The draws of an evaluation do not depend on the run's seed.
_SEED = 0


class NotFiniteError(ArithmeticError):
    """An encoder gives features that are infinite or no numbers, so nothing can be judged."""


def features(encoder: nn.Module, images: Labelled, views: Views, names: tuple[Name, ...]) -> Tensor:
    """Return the features of each view of each image, computed in float32.

    Args:
        encoder: it is left as it is, its mode and its buffers too.
        images: which.
        views: which of each image.
        names: of the streams that views are drawn from.

    Returns:
        (draws · N, F) float32 on the CPU: all images in their first draw, then in the second, …

    Raises:
        NotFiniteError: a feature is not finite.
    """
    device = _device_of(encoder)
    parts: list[Tensor] = []
    with frozen(encoder), compute_in("fp32", device), torch.no_grad():
        for batch in images.source.read(_requests(images, views, names)):
            pixels = batch.views(device)[0] if views.operations else batch.clean(device)
            parts.append(encoder(pixels).float().cpu())
    joined = torch.cat(parts)
    if not joined.isfinite().all():
        raise NotFiniteError("the encoder's features are not finite")
    return joined


def _requests(images: Labelled, views: Views, names: tuple[Name, ...]) -> Iterator[Request]:
    """Ask for all views, batch by batch, with the draws of each."""
    augment = views.augment
    for draw in range(views.draws):
        for number, rows in enumerate(torch.split(images.rows, BATCH)):
            if not views.operations:
                yield Request(rows, augment)
                continue
            of_batch = (*names, draw, number)
            drawn = draw_view(augment, _SEED, of_batch, 1, len(rows), images.source.shape)
            yield Request(rows, augment, (drawn,))


@contextmanager
def frozen(encoder: nn.Module) -> Iterator[None]:
    """Hold an encoder in eval mode, where statistics are used and not updated; then undo that."""
    modes = {module: module.training for module in encoder.modules()}
    encoder.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _device_of(encoder: nn.Module) -> torch.device:
    return next(encoder.parameters()).device
