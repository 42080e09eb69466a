"""Runs a network over stacked views: flat through its layers, views first."""

from collections.abc import Callable

from torch import Tensor, nn

from byol_core.networks.batch_norm import batch_norms


def over_views(
    network: nn.Module, forward: Callable[[Tensor], Tensor], x: Tensor, item_axes: int
) -> Tensor:
    """Return what a network makes of all views, of which its batch norms are told.

    Args:
        network: whose batch norms take their statistics per view.
        forward: maps (V·B, …) to (V·B, …).
        x: (V, B, …), or (B, …), which is one view.
        item_axes: axes of an item: 3 of an image, 1 of a vector.
    """
    is_stacked = x.ndim == item_axes + 2
    views = len(x) if is_stacked else 1
    for layer in batch_norms(network):
        layer.views = views
    if not is_stacked:
        return forward(x)
    y = forward(x.flatten(0, 1))
    return y.reshape(*x.shape[:2], *y.shape[1:])
