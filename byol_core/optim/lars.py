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

    def _ratios(self, moving: Sequence[Moving]) -> list[list[Tensor] | None]:
        adapted = [part for part in moving if part.parameters and part.group["adapt"]]
        norms = [self._norms(part) for part in adapted]
        if self.is_common:
            norms = _common(norms)

        # What is logged stays on the device until it is read.
        ratios: dict[int, list[Tensor] | None] = {}
        for part, (weights, updates) in zip(adapted, norms, strict=True):
            ratio = trust_ratio(weights, updates, self.trust_coefficient)
            ratios[id(part)] = list(ratio.unbind())
            self.newest_ratios[part.group["name"]] = ratio
        return [ratios.get(id(part)) for part in moving]

    def _norms(self, part: Moving) -> tuple[Tensor, Tensor]:
        """Return ‖w‖ and what it is divided by, of each tensor."""
        weights = _norms(part.parameters)
        if self.form == "deepmind":
            return weights, _norms(part.updates)
        return weights, _norms(part.gradients) + part.group["weight_decay"] * weights

    def _descend(self, part: Moving, ratios: list[Tensor] | None) -> None:
        momentum = part.group["momentum"]
        if self.form == "deepmind" or not momentum:
            super()._descend(part, ratios)
            return

        # The rate is within the momentum: a change of it acts on new updates alone.
        updates = part.updates
        if ratios is not None:
            updates = list(torch._foreach_mul(updates, ratios))
        updates = list(torch._foreach_mul(updates, part.group["lr"]))
        buffers = self.accumulated(part.parameters, updates, momentum)
        torch._foreach_sub_(part.parameters, buffers)


def trust_ratio(weights: Tensor, updates: Tensor, trust_coefficient: float) -> Tensor:
    """Return η ‖w‖/‖u‖ of each pair of norms, or 1 where either is 0."""
    is_usable = (weights > 0) & (updates > 0)
    return torch.where(is_usable, trust_coefficient * weights / updates, 1.0)


def _norms(tensors: list[Tensor]) -> Tensor:
    return torch.stack(list(torch._foreach_norm(tensors)))


def _common(norms: Sequence[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Replace the norms of each tensor by those of all tensors together."""
    if not norms:
        return []
    weights = torch.cat([weights for weights, _ in norms]).norm()
    updates = torch.cat([updates for _, updates in norms]).norm()
    return [(weights.expand_as(each), updates.expand_as(each)) for each, _ in norms]
