"""Starts the networks of a run, in an order that never changes.

Draw the online network, or load what another run has ended with, copy or draw the target, fit each
network that has data-dependent layers, freeze the target. A target that is drawn has other weights
than the online network, so its layers are fitted to them and not copied.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from byol_core.config import TrainConfig
from byol_core.images.source import Batch
from byol_core.networks.batch_statistics import averaging
from byol_core.networks.byol import Online, Target
from byol_core.networks.init import calibrating, initialize
from byol_core.train.final_networks import load_start


def needs_images(config: TrainConfig) -> bool:
    """Tell whether a part has layers that are fitted to images before the first step.

    Weights that are loaded were trained on images, and are left as they are.
    """
    if config.init.weights is not None:
        return False
    return "affine" in (config.encoder.norm, config.projector.norm, config.predictor.norm)


def start_networks(
    config: TrainConfig,
    channels: int,
    classes: int,
    device: torch.device,
    views: Tensor | None = None,
) -> tuple[Online, Target | None]:
    """Return the online network and, where the target is a network of its own, the target.

    Args:
        config: of the run.
        channels: of the images.
        classes: of the labels, where a classifier is trained too.
        device: where to compute.
        views: (V, B, C, H, W), what data-dependent layers are fitted to.

    Returns:
        Both networks on the device, in training mode; the target takes no gradient.

    Raises:
        ConfigError: the weights to start from do not fit.
        DamagedFileError: they are missing or damaged.
    """
    # Draw the online network, or load it.
    online = Online(config, channels, classes)
    initialize(online, config.init, config.seed, weights=load_start(online, config))
    networks: list[Target] = [online]

    # Copy the target from it, or draw it anew. The official code draws, and notes that it made no
    # significant difference.
    target = None
    if config.trains and config.target.kind == "ema":
        target = Target(config, channels)
        if config.target.start == "draw":
            initialize(target, config.init, config.seed, draw="target")
        else:
            target.load_state_dict(_shared(online, target))
        networks.append(target)

    # Fit what depends on images, to each network's own weights.
    for network in networks:
        network.to(device).train()
        if device.type == "cpu":
            _order_channels_last(network)
        if views is not None:
            fit_to_images(network, views)

    # The target follows by its moving average alone.
    if target is not None:
        target.requires_grad_(False)
    return online, target


@torch.no_grad()
def fit_to_images(network: Target, views: Tensor) -> None:
    """Have every norm `affine` act on both views of these images as batch norm would."""
    with calibrating(network):
        _, projection = network(views)
        if isinstance(network, Online):
            network.predictor(projection)


@torch.no_grad()
def calibrate(network: Target, batches: Iterable[Batch], device: torch.device) -> None:
    """Give an untrained network the batch-norm statistics of both views of these batches."""
    with averaging(network):
        for batch in batches:
            network(batch.views(device))


def _order_channels_last(network: Target) -> None:
    """Have filters lie channels last; a part of the user's own may hold what has no such order."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def _shared(online: Online, target: Target) -> dict[str, Tensor]:
    """Return the part of the online network's state that the target has too."""
    state = online.state_dict()
    return {name: state[name] for name in target.state_dict()}
