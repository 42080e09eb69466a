"""Makes the norms that an ablation puts into a network, and layers with standardized weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from byol_core.config.train_config import Norm


class Affine(nn.Module):
    """Applies a scale and an offset per channel, without statistics.

    This is what is left of batch norm in the paper's modified init.
    """

    eps = 1e-5  # batch norm's

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.calibrating = False

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C) or (B, C, H, W) to the same shape.

        While calibrating, γ = 1/σ and β = −μ/σ are first taken from x.
        """
        if self.calibrating:
            self._calibrate(x)
        shape = (1, -1) + (1,) * (x.ndim - 2)
        return x * self.weight.view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _calibrate(self, x: Tensor) -> None:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        inverse_std = torch.rsqrt(x.var(axes, correction=0) + self.eps)
        self.weight.copy_(inverse_std)
        self.bias.copy_(-x.mean(axes) * inverse_std)


class StandardizedConv2d(nn.Conv2d):
    """Is a convolution whose filters are standardized on use (Qiao et al. 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute what nn.Conv2d does."""
        y: Tensor = self._conv_forward(x, standardized(self.weight), self.bias)
        return y


class StandardizedLinear(nn.Linear):
    """Is a linear layer whose rows are standardized on use."""

    def forward(self, x: Tensor) -> Tensor:
        """Compute what nn.Linear does."""
        return F.linear(x, standardized(self.weight), self.bias)


def standardized(weight: Tensor, eps: float = 1e-5) -> Tensor:
    """Return (w − mean)/std over each output's fan-in, with a gradient to w.

    This is the weight standardization of arXiv 2010.10241. The paper's epsilon and gain were not
    seen; here it is the biased variance + 1e-5 and no gain.
    """
    rows = weight.flatten(1)
    variance, mean = torch.var_mean(rows, dim=1, correction=0, keepdim=True)
    return ((rows - mean) * torch.rsqrt(variance + eps)).view_as(weight)


def make_norm(kind: Norm, channels: int, groups: int, of_images: bool) -> nn.Module:
    """Return the norm of a layer; "ln" on images is over (C, H, W), as in arXiv 2010.10241."""
    match kind:
        case "bn":
            return nn.BatchNorm2d(channels) if of_images else nn.BatchNorm1d(channels)
        case "ln":
            return nn.GroupNorm(1, channels) if of_images else nn.LayerNorm(channels)
        case "gn" | "gn_ws":
            return nn.GroupNorm(groups, channels)
        case "affine":
            return Affine(channels)
        case "none":
            return nn.Identity()
