"""Computes the features that a frozen encoder gives the views of images."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from byol_core.augment.draws import ViewDraws, draw_view
from byol_core.evaluation.labels import Labelled
from byol_core.evaluation.views import Views
from byol_core.images.source import Request
from byol_core.precision import compute_in
from byol_core.streams import Name

BATCH = 256
_PIXELS_ON_GPU = 2**22
"""Numbers of a batch of images on a GPU, at least: small images need larger batches to fill one."""

# The draws of an evaluation do not depend on the run's seed. Both numbers are part of each protocol.
_SEED = 0
_DRAWN_TOGETHER = 256


class NotFiniteError(ArithmeticError):
    """An encoder gives features that are infinite or no numbers, so nothing can be judged."""


def features(
    encoders: Mapping[str, nn.Module], images: Labelled, views: Views, names: tuple[Name, ...]
) -> dict[str, Tensor]:
    """Return the features that each encoder gives each view of each image, computed in float32.

    Every view is made once, for all encoders.

    Args:
        encoders: all on one device; they are left as they are, their modes and buffers too.
        images: which.
        views: which of each image.
        names: of the streams that views are drawn from.

    Returns:
        Of each encoder (draws · N, F) float32: all images in their first draw, then in the second,
        … They lie on the encoders' device where a quarter of its free memory holds them, else on
        the CPU.

    Raises:
        NotFiniteError: a feature is not finite.
    """
    device = device_of(encoders)
    total = views.draws * len(images.rows)
    computed: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for encoder in encoders.values():
            stack.enter_context(frozen(encoder))
        stack.enter_context(compute_in("fp32", device))
        stack.enter_context(torch.inference_mode())

        start = 0
        for batch in images.source.read(_requests(images, views, names, device)):
            pixels = batch.views(device)[0] if views.operations else batch.clean(device)
            stop = start + len(pixels)
            for name, encoder in encoders.items():
                values = encoder(pixels).float()
                if name not in computed:
                    width = values.shape[1]
                    place = _place(device, total * width * len(encoders))
                    computed[name] = torch.empty(total, width, device=place)
                computed[name][start:stop] = values
            start = stop
        if not all(bool(values.isfinite().all()) for values in computed.values()):
            raise NotFiniteError("the encoder's features are not finite")
    return computed


def device_of(encoders: Mapping[str, nn.Module]) -> torch.device:
    """Return the device that encoders compute on."""
    return next(next(iter(encoders.values())).parameters()).device


def _place(device: torch.device, numbers: int) -> torch.device:
    """Return where that many float32 numbers are to lie."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if numbers * 4 > free / 4:
            return torch.device("cpu")
    return device


def _draw(views: Views, names: tuple[Name, ...], n: int, shape: tuple[int, int, int]) -> ViewDraws:
    """Draw a view of each of n images, some at a time, each time from a stream of their own."""
    sizes = [min(_DRAWN_TOGETHER, n - start) for start in range(0, n, _DRAWN_TOGETHER)]
    parts = [
        draw_view(views.augment, _SEED, (*names, number), 1, size, shape)
        for number, size in enumerate(sizes)
    ]
    return ViewDraws({key: torch.cat([part[key] for part in parts]) for key in parts[0]})


def _requests(
    images: Labelled, views: Views, names: tuple[Name, ...], device: torch.device
) -> Iterator[Request]:
    """Ask for all views, batch by batch, with the draws of each.

    Views do not depend on the size of batches: what is drawn is drawn ahead, for all images.
    """
    augment = views.augment
    n = len(images.rows)
    shape = images.source.shape
    size = BATCH
    if device.type == "cuda":
        channels, height, width = shape
        size = max(BATCH, _PIXELS_ON_GPU // (channels * height * width))
    for draw in range(views.draws):
        if views.operations:
            drawn = _draw(views, (*names, draw), n, shape)
        for places in torch.split(torch.arange(n), size):
            of_batch = (drawn.rows(places),) if views.operations else ()
            yield Request(images.rows[places], augment, of_batch)


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
