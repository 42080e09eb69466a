"""Is batch norm that knows of views, and the switches by which its leakage is studied.

Both views of a batch go through a network stacked, (V·B, …), views first. Over what the statistics
are taken is a setting (`batch_norm`): each view alone, as in DeepMind's code, which runs a network
once per view; both views together, as where they are concatenated; or groups of images (ghost batch
norm, Hoffer et al. 2017). For the questions of arXiv 2010.10241, whether batch statistics leak
information about the other images, they can also come from the batch before or from running
averages, act in part only, or take no gradient.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from byol_core.config import BatchNormConfig
from byol_core.networks.fused import norm as fused_norm
from byol_core.networks.fused.norm import Averages
from byol_core.networks.roles import Role
from byol_core.networks.stacked_norm import normalize_sets

EPS = 1e-5
_VIEWS = 2
_CHANNELS = 3
"""The axis of channels where sets are taken apart: (V, groups, images, C, …)."""


class BatchNorm(nn.Module):
    """Normalizes each channel of (V·B, C) or (V·B, C, H, W) by statistics over images.

    In evaluation it is a plain batch norm by running averages. Its parameters and buffers are named
    as PyTorch's, so that encoders load by name. In training each set of statistics updates the
    running averages, one after the other, views first: as if the network had run once per set. Of
    such an average, the variance is over n − 1, as PyTorch's.

    Attributes:
        views: V of the next forward pass; the network sets it.
        frozen: whether running averages normalize and stand still, while all else trains.
        tracks: whether its own batches move the running averages.
        is_fused: whether a GPU computes it by kernels of our own (``fused``).
        averaged: sets that are averaged so far, under `averaging`.
        order: in which the images of a view form groups; None: as they come.
    """

    roles: dict[str, Role] = {"weight": "norm", "bias": "norm"}
    running_mean: Tensor
    running_var: Tensor
    seen: Tensor
    other_mean: Tensor
    other_var: Tensor

    def __init__(self, channels: int, config: BatchNormConfig, affine: bool = True) -> None:
        super().__init__()
        self.config = config
        self.views = 1
        self.frozen = False
        self.source = config.source
        self.group = config.group
        self.tracks = True
        self.is_fused = False
        self.averaged: int | None = None
        self.order: Tensor | None = None
        self.inverse_order: Tensor | None = None

        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        if config.source != "batch":
            self.register_buffer("seen", torch.zeros(()))  # 1 after the first batch
        if config.source == "other_batch":
            self.register_buffer("other_mean", torch.zeros(_VIEWS, channels))
            self.register_buffer("other_var", torch.ones(_VIEWS, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (V·B, C) or (V·B, C, H, W) to the same shape."""
        if not self.training or self.frozen or (self.source == "running" and not self.tracks):
            return self._by_running_averages(x)
        if not self._is_plain(x):
            return self._by_sets(x)
        return self.fused(x) if self.fuses(x) else self._plain(x)

    def fuses(self, x: Tensor) -> bool:
        """Tell whether `fused` may take this pass: where there is a faster form of the plain one.

        Under bfloat16 a processor's own batch norm is faster than sums in float32.
        """
        normalizes = self.training and not self.frozen and self._is_plain(x)
        is_stacked = x.device.type == "cpu" and x.dtype != torch.bfloat16
        return normalizes and (self._takes_triton or is_stacked)

    def fused(self, x: Tensor, residual: Tensor | None = None, relu: bool = False) -> Tensor:
        """Normalize, add the residual and apply the ReLU in one go."""
        sets = self.views if self.config.views == "per_view" else 1
        _check_values(x, sets)
        if not self._takes_triton:
            return self._stacked(x, sets, residual, relu)
        averages = None
        if self.tracks:
            averages = Averages(self.running_mean, self.running_var, self.config.momentum)
        return fused_norm.batch_norm(x, residual, self.weight, self.bias, averages, sets, EPS, relu)

    @property
    def _takes_triton(self) -> bool:
        """Tell whether our own kernels compute it; they keep no plain mean over all batches."""
        return self.is_fused and self.averaged is None

    def _is_plain(self, x: Tensor) -> bool:
        """Tell whether batch norm as everyone knows it, once per view or once, does it all."""
        return (
            self.source == "batch"
            and self.config.parts == "both"
            and self.config.gradient
            and self._groups(x) == 1
        )

    def _groups(self, x: Tensor) -> int:
        """Return the groups of images of a view."""
        images = len(x) // self.views
        if not 0 < self.group < images:
            return 1
        if images % self.group:
            raise ValueError(f"batch_norm.group: {self.group} does not divide {images} images")
        return images // self.group

    def _plain(self, x: Tensor) -> Tensor:
        """Normalize by PyTorch's batch norm, one view after the other."""
        sets = self.views if self.config.views == "per_view" else 1
        if sets == 1:
            return self._batch_norm(x)
        return torch.cat([self._batch_norm(view) for view in x.chunk(sets)])

    def _batch_norm(self, x: Tensor) -> Tensor:
        """Normalize one set by its own statistics."""
        mean, var = (self.running_mean, self.running_var) if self.tracks else (None, None)
        return F.batch_norm(x, mean, var, self.weight, self.bias, True, self._next_momentum(), EPS)

    def _stacked(self, x: Tensor, sets: int, residual: Tensor | None, relu: bool) -> Tensor:
        """Normalize all sets at once, channels last: what a processor is fastest at."""
        shape = x.movedim(1, -1).shape
        rows = _rows(x, sets)
        beside = None if residual is None else _rows(residual, sets)
        y, mean, var = normalize_sets(rows, self.weight, self.bias, EPS, beside, relu)
        if self.tracks:
            values = rows.shape[1]
            with torch.no_grad():
                self._average(mean, var * (values / (values - 1)))
        return y.view(shape).movedim(-1, 1).to(x.dtype)

    def _by_sets(self, x: Tensor) -> Tensor:
        """Normalize by any statistics: sets are taken apart, none of them in a loop."""
        # Images that share statistics come to lie side by side: (V, groups, images, C, …).
        groups = self._groups(x)
        is_shuffled = groups > 1
        stacked = x.reshape(self.views, -1, *x.shape[1:])
        if is_shuffled:
            stacked = _reordered(stacked, self.order)
        sets = stacked.reshape(self.views, groups, -1, *x.shape[1:])

        # Each set's statistics.
        exact = at_least_float32(sets)
        over = [0, 2] if self.config.views == "joint" else [2]
        over += range(_CHANNELS + 1, sets.ndim)
        var, mean = torch.var_mean(exact, over, correction=0, keepdim=True)

        # What normalizes them, and what is kept of them.
        y = self._normalized(exact, *self._chosen(mean, var)).to(x.dtype)
        self._remember(mean, var, values=exact.numel() // mean.numel())
        y = y.flatten(1, 2)
        if is_shuffled:
            y = _reordered(y, self.inverse_order)
        return y.flatten(0, 1)

    def _chosen(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the variance that normalize; of the first batch always its own."""
        if self.source == "batch":
            if self.config.gradient:
                return mean, var
            return mean.detach(), var.detach()

        # Statistics of earlier batches are constants: no gradient flows through them.
        earlier_mean, earlier_var = self.running_mean, self.running_var
        if self.source == "other_batch":
            earlier_mean, earlier_var = self.other_mean, self.other_var
        is_first = self.seen == 0
        return (
            torch.where(is_first, mean.detach(), _beside(mean, earlier_mean)),
            torch.where(is_first, var.detach(), _beside(var, earlier_var)),
        )

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor, values: int) -> None:
        """Keep a batch's statistics: for the next batch, and in the running averages."""
        means = mean.detach().reshape(-1, len(self.running_mean))
        variances = var.detach().reshape(-1, len(self.running_mean))
        if self.source == "other_batch":
            self.other_mean[: len(means)].copy_(means)
            self.other_var[: len(means)].copy_(variances)

        # The first batch is the first average, where averages normalize.
        unbiased = variances * (values / (values - 1))
        if self.source == "running":
            is_first = self.seen == 0
            self.running_mean.copy_(torch.where(is_first, means.mean(0), self.running_mean))
            self.running_var.copy_(torch.where(is_first, unbiased.mean(0), self.running_var))
        if self.source != "batch":
            self.seen.fill_(1.0)
        if self.tracks:
            self._average(means, unbiased)

    def _average(self, means: Tensor, variances: Tensor) -> None:
        """Move the running averages by one set after the other."""
        averages = [self.running_mean, self.running_var]
        newest = (means.to(self.running_mean.dtype), variances.to(self.running_var.dtype))
        for of_set in zip(*newest, strict=True):
            torch._foreach_lerp_(averages, list(of_set), self._next_momentum())

    def _next_momentum(self) -> float:
        """Return the weight of the next set in the running averages."""
        if self.averaged is None:
            return self.config.momentum
        self.averaged += 1
        return 1 / self.averaged

    def _by_running_averages(self, x: Tensor) -> Tensor:
        """Normalize as in evaluation."""
        if self.config.parts == "both":
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, EPS
            )
        sets = x[None, None]
        mean = _beside(sets, self.running_mean)
        y = self._normalized(sets, mean, _beside(sets, self.running_var))
        return y[0, 0].to(x.dtype)

    def _normalized(self, sets: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """Centre, scale or both, then apply γ and β: (V, groups, images, C, …) to the same shape."""
        y = sets
        if self.config.parts != "scale":
            y = y - mean
        if self.config.parts != "centre":
            y = y * torch.rsqrt(var + EPS)
        if self.weight is None or self.bias is None:
            return y
        return y * _beside(y, self.weight) + _beside(y, self.bias)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Load also what PyTorch's batch norm has saved, which counts its batches."""
        state.pop(f"{prefix}num_batches_tracked", None)
        super()._load_from_state_dict(state, prefix, *rest)


def _rows(x: Tensor, sets: int) -> Tensor:
    """Return (S·B, C, …) as rows of channels, (S, N, C), in at least float32."""
    return at_least_float32(x.movedim(1, -1)).reshape(sets, -1, x.shape[1])


def _check_values(x: Tensor, sets: int) -> None:
    """Refuse sets of one value a channel, which would all become β."""
    if x.numel() == x.shape[1] * sets:
        raise ValueError(f"batch norm needs more than 1 value per channel; got {list(x.shape)}")


def at_least_float32(x: Tensor) -> Tensor:
    """Return a tensor in which statistics are exact enough, whatever the network computes in."""
    return x if x.dtype == torch.float64 else x.float()


def _beside(sets: Tensor, statistic: Tensor) -> Tensor:
    """Return statistics (C,) or (V, C) in a shape to compute with (V, groups, images, C, …)."""
    shape = [1] * sets.ndim
    shape[_CHANNELS] = statistic.shape[-1]
    if statistic.ndim == 2:
        statistic = statistic[: sets.shape[0]]
        shape[0] = sets.shape[0]
    return statistic.view(shape)


def _reordered(stacked: Tensor, order: Tensor | None) -> Tensor:
    """Return (V, B, …) in another order of images, where there is one."""
    if order is None:
        return stacked
    return stacked.index_select(1, order)
