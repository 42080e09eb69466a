"""Keeps the whole networks that a run ends with, and loads them as the start of another.

They lie in a folder of the form of a checkpoint's; its manifest also says what the networks were
built from (`byol_core.kept_networks`).
"""

from pathlib import Path

from torch import Tensor

from byol_core.config import ConfigError, TrainConfig
from byol_core.files import DamagedFileError
from byol_core.kept_networks import NETWORKS, described
from byol_core.networks.byol import Online, Target
from byol_core.train.checkpoint import load_state, save_state


def keep_networks(
    folder: Path, config: TrainConfig, channels: int, online: Online, target: Target | None
) -> None:
    """Publish encoder, projector and predictor, and the target's, as `folder`.

    Whole ones that are there stay, damaged ones are replaced. They are kept as they would be on a
    CPU, so that equal weights are equal files.

    Raises:
        OSError: the disk is full or fails; then nothing is published.
    """
    networks: dict[str, Target] = {"online": online}
    if target is not None:
        networks["target"] = target
    states = {
        name: {key: value.cpu() for key, value in network.state_dict().items()}
        for name, network in networks.items()
    }
    save_state(folder, states, {NETWORKS: described(config, channels)})


def load_start(network: Online, config: TrainConfig) -> dict[str, Tensor] | None:
    """Return the weights that an online network is to start from; None where they are drawn.

    A part that has none here, such as predictor `none`, takes none. A run that trains nothing is
    its encoder alone. A classifier is of its own run's labels, and is always drawn.

    Raises:
        ConfigError: a parameter is not there, has another shape, or has no place in the network.
        DamagedFileError: the folder is missing or damaged.
    """
    if config.init.weights is None:
        return None
    folder = Path(config.init.weights)
    loaded = load_state(folder)
    if loaded is None:
        raise DamagedFileError(folder, "it holds no whole networks")

    wanted = network.state_dict()
    parts = ("encoder", "projector", "predictor") if config.trains else ("encoder",)
    names = {name.partition(".")[0] for name in wanted}
    used = names.intersection(parts)
    ours = {name: value for name, value in wanted.items() if name.partition(".")[0] in used}
    kept = {
        name: value for name, value in loaded[0]["online"].items() if name.partition(".")[0] in used
    }
    _check_shapes(folder, ours, kept)
    return kept


def _check_shapes(folder: Path, ours: dict[str, Tensor], kept: dict[str, Tensor]) -> None:
    """Refuse weights of other names or shapes; the first of them is named."""
    for name in {**ours, **kept}:
        shape = list(ours[name].shape) if name in ours else None
        kept_shape = list(kept[name].shape) if name in kept else None
        if shape != kept_shape:
            raise ConfigError(
                "init.weights",
                f"init.weights: {str(folder)!r} does not fit: {name} is {_words(kept_shape)} there "
                f"and {_words(shape)} here; use the settings that it was trained with",
            )


def _words(shape: list[int] | None) -> str:
    return "missing" if shape is None else f"of shape {shape}"
