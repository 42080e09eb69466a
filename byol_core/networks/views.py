"""Runs a network over stacked views: flat through its layers, views first."""

from collections.abc import Callable

from torch import Tensor, nn


def over_views(
    network: nn.Module, forward: Callable[[Tensor], Tensor], x: Tensor, item_axes: int
) -> Tensor:
    """Return what a network makes of all views.

    Every layer with an attribute `views` is told their number where it changes: batch norms, which
    take statistics per view, and a norm of the user's own that does so too.

    Args:
        network: that has those layers.
        forward: maps (V·B, …) to (V·B, …).
        x: (V, B, …), or (B, …), which is one view.
        item_axes: axes of an item: 3 of an image, 1 of a vector.
    """
    is_stacked = x.ndim == item_axes + 2
    views = len(x) if is_stacked else 1
    if getattr(network, "stacked", None) != views:
        _tell(network, views)
    if not is_stacked:
        return forward(x)
    y = forward(x.flatten(0, 1))
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _tell(network: nn.Module, views: int) -> None:
    """Tell every layer that asks for it how many views are stacked."""
    for layer in network.modules():
        if hasattr(layer, "views"):
            layer.views = views  # type: ignore[assignment]
    network.stacked = views  # type: ignore[assignment]
