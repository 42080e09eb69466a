"""Implements LARS in the two forms that the studies used."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from byol_core.optim.sgd import SGD, Moving

Form = Literal["deepmind", "blog"]


class LARS(SGD):
    """Scales the update of each tensor to the size of its weights (You et al., arXiv 1708.03888).

    With u = g + wd·w, and r = 1 where a group does not adapt or a norm in r is 0:

    * deepmind (deepmind-research/byol, utils/optimizers.py): r = η ‖w‖/‖u‖;
      m ← μ·m + r·u; w ← w − lr·m.
    * blog (untitled-ai/self_supervised, lars.py): r = η ‖w‖/(‖g‖ + wd·‖w‖);
      m ← μ·m + lr·r·u; w ← w − m. There a tensor of zeros has r = 0 and never moves, which is not
      followed; its warm-up counts steps, of which there is one, so it is none.

    Args:
        groups: as of `SGD`, with `name` and `adapt`.
        momentum: μ in [0, 1).
        trust_coefficient: η.
        form: which of the two.
        is_common: all tensors that adapt share one ratio, of the norms over all of them.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        momentum: float,
        trust_coefficient: float,
        form: Form = "deepmind",
        is_common: bool = False,
    ) -> None:
        super().__init__(groups, momentum)
        self.trust_coefficient = trust_coefficient
        self.form = form
        self.is_common = is_common
        self.newest_ratios: dict[str, Tensor] = {}

    def _prepare(self, moving: Sequence[Moving]) -> None:
        """Make updates of all gradients: u ← r·(g + wd·w)."""
        adapted = [part for part in moving if part.group["adapt"]]
        weights = [_norms(part.parameters) for part in adapted]

        # DeepMind's ratio is of the gradient with the decay in it, the blog's of it alone.
        if self.form == "deepmind":
            super()._prepare(moving)
            divisors = [_norms(part.updates) for part in adapted]
        else:
            gradients = [_norms(part.updates) for part in adapted]
            decays = [part.group["weight_decay"] for part in adapted]
            divisors = [g + wd * w for g, wd, w in zip(gradients, decays, weights, strict=True)]
            super()._prepare(moving)

        # Each norm is of one tensor, or all are of all tensors together.
        if self.is_common:
            weights = _common(weights)
            divisors = _common(divisors)

        # What is logged stays on the device until it is read.
        for part, weight, divisor in zip(adapted, weights, divisors, strict=True):
            ratio = trust_ratio(weight, divisor, self.trust_coefficient)
            torch._foreach_mul_(part.updates, list(ratio.unbind()))
            self.newest_ratios[part.group["name"]] = ratio

    def _descend(self, part: Moving) -> None:
        """Move one group; in the blog's form a change of the rate acts on new updates alone."""
        if self.form == "deepmind":
            super()._descend(part)
            return
        torch._foreach_mul_(part.updates, part.group["lr"])
        torch._foreach_sub_(part.parameters, self._accumulate(part))


def trust_ratio(weights: Tensor, updates: Tensor, trust_coefficient: float) -> Tensor:
    """Return η ‖w‖/‖u‖ of each pair of norms, or 1 where either is 0."""
    is_usable = (weights > 0) & (updates > 0)
    return torch.where(is_usable, trust_coefficient * weights / updates, 1.0)


def _norms(tensors: list[Tensor]) -> Tensor:
    return torch.stack(list(torch._foreach_norm(tensors)))


def _common(norms: list[Tensor]) -> list[Tensor]:
    """Replace the norms of single tensors by that of all tensors together."""
    if not norms:
        return []
    total = torch.cat(norms).norm()
    return [total.expand_as(each) for each in norms]
