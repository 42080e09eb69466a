"""The networks of BYOL: a ResNet encoder, and two-layer MLPs as projector and predictor, with any norm in each.

A layer that a norm follows has no bias in convolutions, since the norm's offset does its work; without norm it has one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from byol_core.config import EncoderConfig, HeadConfig, TrainConfig


class Affine(nn.Module):
    """A scale and an offset per channel, without statistics: what is left of batch norm in the paper's modified init."""

    eps = 1e-5  # batch norm's

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.calibrating = False

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) or (B, C, H, W) → the same shape; while calibrating, first take γ = 1/σ and β = −μ/σ from x."""
        if self.calibrating:
            self._calibrate(x)
        shape = (1, -1) + (1,) * (x.ndim - 2)
        return x * self.weight.view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _calibrate(self, x: Tensor) -> None:
        over = [axis for axis in range(x.ndim) if axis != 1]
        inverse_std = torch.rsqrt(x.var(over, correction=0) + self.eps)
        self.weight.copy_(inverse_std)
        self.bias.copy_(-x.mean(over) * inverse_std)


class StandardizedConv2d(nn.Conv2d):
    """A convolution whose filters are standardized on use (Qiao et al. 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        """As nn.Conv2d."""
        y: Tensor = self._conv_forward(x, standardized(self.weight), self.bias)
        return y


class StandardizedLinear(nn.Linear):
    """A linear layer whose rows are standardized on use."""

    def forward(self, x: Tensor) -> Tensor:
        """As nn.Linear."""
        return F.linear(x, standardized(self.weight), self.bias)


def standardized(weight: Tensor, eps: float = 1e-5) -> Tensor:
    """Return (w − mean)/std over each output's fan-in, with a gradient to w (arXiv 2010.10241, weight standardization).

    The paper's epsilon and gain were not seen; here the biased variance + 1e-5 and no gain.
    """
    rows = weight.flatten(1)
    variance, mean = torch.var_mean(rows, dim=1, correction=0, keepdim=True)
    return ((rows - mean) * torch.rsqrt(variance + eps)).view_as(weight)


def _norm(kind: str, channels: int, groups: int, of_images: bool) -> nn.Module:
    """Return the norm of a layer; "ln" on images is over (C, H, W), as in arXiv 2010.10241."""
    make: dict[str, Callable[[], nn.Module]] = {
        "bn": lambda: nn.BatchNorm2d(channels) if of_images else nn.BatchNorm1d(channels),
        "ln": lambda: nn.GroupNorm(1, channels) if of_images else nn.LayerNorm(channels),
        "gn": lambda: nn.GroupNorm(groups, channels),
        "gn_ws": lambda: nn.GroupNorm(groups, channels),
        "affine": lambda: Affine(channels),
        "none": nn.Identity,
    }
    return make[kind]()


class BasicBlock(nn.Module):
    """conv → norm → ReLU → conv → norm, plus the shortcut, → ReLU (ResNet v1)."""

    def __init__(self, channels_in: int, channels: int, stride: int, config: EncoderConfig) -> None:
        super().__init__()
        self.conv1, self.norm1 = _conv_norm(channels_in, channels, 3, stride, config)
        self.conv2, self.norm2 = _conv_norm(channels, channels, 3, 1, config)
        self.shortcut = _shortcut(channels_in, channels, stride, config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) → (B, C, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1×1 → 3×3 → 1×1 convolutions, each with its norm, plus the shortcut, → ReLU (ResNet v1).

    The stride is the 3×3's, as in torchvision and in Haiku, which DeepMind's code uses; He et al. put it into the first 1×1.
    γ of the last norm starts at 1, as in the paper's results (deepmind-research/byol, README), not at 0.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, config: EncoderConfig) -> None:
        super().__init__()
        inner = channels // 4
        self.conv1, self.norm1 = _conv_norm(channels_in, inner, 1, 1, config)
        self.conv2, self.norm2 = _conv_norm(inner, inner, 3, stride, config)
        self.conv3, self.norm3 = _conv_norm(inner, channels, 1, 1, config)
        self.shortcut = _shortcut(channels_in, channels, stride, config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) → (B, C, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(self.norm3(self.conv3(y)) + self.shortcut(x))


@dataclass(frozen=True)
class Arch:
    """The stem's channels, and each stage's channels and number of blocks; stages after the first halve the resolution."""

    stem: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    block: type[BasicBlock] | type[Bottleneck]


ARCHS = {
    "tiny": Arch(16, (16, 32, 64), (1, 1, 1), BasicBlock),
    # He et al. 2015, table 1
    "resnet18": Arch(64, (64, 128, 256, 512), (2, 2, 2, 2), BasicBlock),
    "resnet50": Arch(64, (256, 512, 1024, 2048), (3, 4, 6, 3), Bottleneck),
}


class Encoder(nn.Module):
    """A ResNet v1 without its classifier: images (B, C, H, W) → features (B, `out`)."""

    def __init__(self, config: EncoderConfig, channels_in: int) -> None:
        super().__init__()
        arch = ARCHS[config.arch]
        self.stem = _stem(config, channels_in, arch.stem)
        blocks: list[nn.Module] = []
        width = arch.stem
        for stage, (channels, count) in enumerate(zip(arch.widths, arch.blocks, strict=True)):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(arch.block(width, channels, stride, config))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.out = width

    def forward(self, images: Tensor) -> Tensor:
        """Return the pooled features."""
        features: Tensor = self.blocks(self.stem(images)).mean(dim=(2, 3))
        return features


class MLP(nn.Sequential):
    """linear → norm → ReLU → linear; no norm on the output (BYOL, section 3.3)."""

    def __init__(self, features_in: int, config: HeadConfig) -> None:
        super().__init__()
        linear = StandardizedLinear if config.norm == "gn_ws" else nn.Linear
        self.hidden = linear(features_in, config.hidden)
        self.norm = _norm(config.norm, config.hidden, config.gn_groups, of_images=False)
        self.relu = nn.ReLU()
        self.out = linear(config.hidden, config.out, bias=config.out_bias)


class Target(nn.Module):
    """Encoder and projector: what the moving average follows."""

    def __init__(self, config: TrainConfig, channels_in: int) -> None:
        super().__init__()
        self.encoder = Encoder(config.encoder, channels_in)
        self.projector = MLP(self.encoder.out, config.projector)

    def project(self, view: Tensor) -> Tensor:
        """View (B, C, H, W) → projection (B, D)."""
        projection: Tensor = self.projector(self.encoder(view))
        return projection


class Online(Target):
    """The target's layers and a predictor on top: what the gradient trains."""

    def __init__(self, config: TrainConfig, channels_in: int) -> None:
        super().__init__(config, channels_in)
        self.predictor = MLP(config.projector.out, config.predictor)


def _stem(config: EncoderConfig, channels_in: int, width: int) -> nn.Sequential:
    size, stride = {"3x3": (3, 1), "3x3_stride2": (3, 2), "7x7_pool": (7, 2)}[config.stem]
    stem = nn.Sequential(*_conv_norm(channels_in, width, size, stride, config), nn.ReLU())
    if config.stem == "7x7_pool":
        stem.append(nn.MaxPool2d(3, stride=2, padding=1))
    return stem


def _shortcut(channels_in: int, channels: int, stride: int, config: EncoderConfig) -> nn.Module:
    if stride == 1 and channels_in == channels:
        return nn.Identity()
    return nn.Sequential(*_conv_norm(channels_in, channels, 1, stride, config))


def _conv_norm(channels_in: int, channels: int, size: int, stride: int, config: EncoderConfig) -> tuple[nn.Module, nn.Module]:
    convolution = StandardizedConv2d if config.norm == "gn_ws" else nn.Conv2d
    bias = config.norm == "none"
    conv = convolution(channels_in, channels, size, stride, padding=size // 2, bias=bias)
    return conv, _norm(config.norm, channels, config.gn_groups, of_images=True)
