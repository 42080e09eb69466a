"""Moves the target after the online network: ξ ← τ ξ + (1 − τ) θ (BYOL, equation 1)."""

from typing import Literal

import torch
from torch import Tensor, nn


class MovingAverage:
    """Moves one network's parameters after another's, by a τ that lies on the device.

    Every parameter of the target follows, biases and those of norms too. Statistics of batch norm
    follow where the run says so (`batch_norm.target` ema or eval, as in EMAN, arXiv 2101.08482);
    elsewhere the target's are of its own batches. Counters never follow.

    Args:
        target: the network that moves.
        online: the network that it follows, which has every name that the target has.
        statistics: `batch_norm.target` of the run.
        device: of both networks.
    """

    def __init__(
        self,
        target: nn.Module,
        online: nn.Module,
        statistics: Literal["own", "ema", "eval"],
        device: torch.device,
    ) -> None:
        self._weight = torch.zeros((), dtype=torch.float32, device=device)
        following: dict[str, Tensor] = dict(target.named_parameters())
        leading: dict[str, Tensor] = dict(online.named_parameters())
        if statistics != "own":
            following |= _statistics(target)
            leading |= _statistics(online)
        self._following = list(following.values())
        self._leading = [leading[name] for name in following]

    def set_tau(self, tau: float) -> None:
        """Write τ to the device; `move` reads it there."""
        self._weight.fill_(1 - tau)

    def move(self) -> None:
        """Move the target once."""
        move_average(self._following, self._leading, self._weight)


@torch.no_grad()
def move_average(following: list[Tensor], leading: list[Tensor], one_minus_tau: Tensor) -> None:
    """Set ξ ← ξ + (1 − τ)(θ − ξ) in place, without waiting for the device.

    It takes 1 − τ and not τ, which float32 rounds by more than 1 − τ itself where τ is near 1; and
    ξ = θ stays exactly so. At τ = 0 the result is θ to the bit, at τ = 1 it is ξ.

    Args:
        following: ξ, float32.
        leading: θ, in the same order.
        one_minus_tau: a scalar on their device.
    """
    weights = [one_minus_tau] * len(following)
    torch._foreach_lerp_(following, leading, weights)


def _statistics(network: nn.Module) -> dict[str, Tensor]:
    """Return the running averages of a network's batch norms by name."""
    buffers = dict(network.named_buffers())
    suffixes = ("running_mean", "running_var")
    return {name: buffer for name, buffer in buffers.items() if name.endswith(suffixes)}
