"""Makes the norms that an ablation puts into a network, and layers with standardized weights."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from byol_core.config import BatchNormConfig, ConfigError, EncoderConfig, HeadConfig
from byol_core.networks.batch_norm import EPS, BatchNorm, at_least_float32
from byol_core.networks.fused import stem
from byol_core.networks.fused.norm import fits_groups, group_norm
from byol_core.networks.roles import Role
from byol_core.plugins import build_part, is_plug_in

Form = Literal["biased", "unbiased"]


class Affine(nn.Module):
    """Applies a scale and an offset per channel, without statistics.

    This is what is left of batch norm in the paper's modified init.
    """

    roles: dict[str, Role] = {"weight": "norm", "bias": "norm"}

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.calibrating = False

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C) or (B, C, H, W) to the same shape.

        While calibrating, γ = 1/σ and β = −μ/σ are first taken from x, all views of it together.
        """
        if self.calibrating:
            self._calibrate(x)
        shape = (1, -1) + (1,) * (x.ndim - 2)
        return (x * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _calibrate(self, x: Tensor) -> None:
        exact = at_least_float32(x)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        variance, mean = torch.var_mean(exact, axes, correction=0)
        inverse_std = torch.rsqrt(variance + EPS)
        self.weight.copy_(inverse_std)
        self.bias.copy_(-mean * inverse_std)


class GroupNorm(nn.GroupNorm):
    """Is PyTorch's group norm, which a GPU can compute together with what follows it.

    Attributes:
        is_fused: whether it does (``fused``).
    """

    is_fused = False

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return self.fused(x) if self.fuses(x) else super().forward(x)

    def fuses(self, x: Tensor) -> bool:
        """Tell whether `fused` may take this pass."""
        return self.is_fused and x.ndim == 4 and fits_groups(self.num_channels, self.num_groups)

    def fused(self, x: Tensor, residual: Tensor | None = None, relu: bool = False) -> Tensor:
        """Normalize, add the residual and apply the ReLU in one pass on a GPU."""
        return group_norm(x, residual, self.weight, self.bias, self.num_groups, self.eps, relu)


class InstanceNorm(nn.InstanceNorm2d):
    """Normalizes each channel of each image over its pixels."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape.

        Raises:
            ConfigError: maps have one pixel here, which would become 0 whatever it is.
        """
        if x[0, 0].numel() == 1:
            raise ConfigError(
                "encoder.norm",
                "encoder.norm: under 'in' a map of one pixel becomes 0, and the last layers have "
                "such maps for images this small; use encoder.stem 3x3, a smaller encoder.arch, "
                "larger images or another norm",
            )
        return super().forward(at_least_float32(x)).to(x.dtype)


class Conv2d(nn.Conv2d):
    """Is PyTorch's convolution, which a GPU can compute in another form where that is faster.

    Attributes:
        is_fused: whether it does (``fused``).
    """

    is_fused = False

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.is_fused and stem.fits(x, weight):
            return stem.convolve(x, weight, bias)
        y: Tensor = super()._conv_forward(x, weight, bias)
        return y


class StandardizedConv2d(Conv2d):
    """Is a convolution whose filters are standardized on use (arXiv 1903.10520)."""

    form: Form = "biased"

    def forward(self, x: Tensor) -> Tensor:
        """Compute what nn.Conv2d does."""
        y: Tensor = self._conv_forward(x, standardized(self.weight, self.form), self.bias)
        return y


class StandardizedLinear(nn.Linear):
    """Is a linear layer whose rows are standardized on use."""

    form: Form = "biased"

    def forward(self, x: Tensor) -> Tensor:
        """Compute what nn.Linear does."""
        return F.linear(x, standardized(self.weight, self.form), self.bias)


def standardized(weight: Tensor, form: Form = "biased") -> Tensor:
    """Return (w − mean) / deviation over each output's fan-in, with a gradient to w.

    This is the weight standardization of arXiv 2010.10241, whose epsilon was not seen: `biased`
    divides by √(mean square + 1e-5). `unbiased` is the blog's code (untitled-ai/self_supervised,
    ws_resnet.py), which divides by the deviation over n − 1, plus 1e-5. Neither has a gain.
    """
    rows = weight.flatten(1)
    correction = 1 if form == "unbiased" else 0
    variance, mean = torch.var_mean(rows, dim=1, correction=correction, keepdim=True)
    if form == "unbiased":
        return ((rows - mean) / (variance.sqrt() + EPS)).view_as(weight)
    return ((rows - mean) * torch.rsqrt(variance + EPS)).view_as(weight)


def make_norm(
    part: EncoderConfig | HeadConfig, batch_norm: BatchNormConfig, channels: int, of_images: bool
) -> nn.Module:
    """Return the norm of a layer with so many channels.

    Layer norm on images is over (C, H, W), as in arXiv 2010.10241, with γ and β per channel: group
    norm with one group. In heads, group norm with one group is layer norm.

    Args:
        part: of the network, which says which norm it has.
        batch_norm: over what batch norm takes its statistics.
        channels: of what is normalized.
        of_images: whether the norm gets (B, C, H, W), or (B, C).
    """
    affine = part.norm_affine
    match part.norm:
        case "bn":
            return BatchNorm(channels, batch_norm, affine)
        case "gn" if part.gn_groups > 1:
            return GroupNorm(part.gn_groups, channels, eps=EPS, affine=affine)
        case "ln" | "gn" if of_images:
            return GroupNorm(1, channels, eps=EPS, affine=affine)
        case "ln" | "gn":
            return nn.LayerNorm(channels, eps=EPS, elementwise_affine=affine)
        case "in":
            return InstanceNorm(channels, eps=EPS, affine=affine)
        case "affine":
            return Affine(channels)
        case name if is_plug_in(name):
            return build_part(name, nn.Module, channels, of_images)
        case _:
            return nn.Identity()


def activated(norm: nn.Module, x: Tensor, residual: Tensor | None = None) -> Tensor:
    """Return relu(norm(x) + residual), which ends each layer of a ResNet."""
    if isinstance(norm, BatchNorm | GroupNorm) and norm.fuses(x):
        return norm.fused(x, residual, relu=True)
    y: Tensor = norm(x)
    return F.relu(y if residual is None else y + residual)


def conv2d(
    part: EncoderConfig, channels_in: int, channels: int, size: int, stride: int
) -> nn.Conv2d:
    """Return a convolution, standardized where the encoder's are; a bias only without a norm."""
    bias = part.norm == "none"
    if part.weight_standardization == "none":
        return Conv2d(channels_in, channels, size, stride, padding=size // 2, bias=bias)
    layer = StandardizedConv2d(channels_in, channels, size, stride, padding=size // 2, bias=bias)
    layer.form = part.weight_standardization
    return layer


def linear(form: Literal["none"] | Form, features_in: int, out: int, bias: bool) -> nn.Linear:
    """Return a linear layer, standardized where a form is given."""
    if form == "none":
        return nn.Linear(features_in, out, bias)
    layer = StandardizedLinear(features_in, out, bias)
    layer.form = form
    return layer
