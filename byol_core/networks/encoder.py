"""Builds the encoder, a ResNet v1 with any norm in it.

A convolution that a norm follows has no bias, since the norm's offset does its work; without norm
it has one.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from byol_core.config import EncoderConfig
from byol_core.config.architectures import ARCHS
from byol_core.networks.norms import StandardizedConv2d, make_norm


class BasicBlock(nn.Module):
    """Computes conv → norm → ReLU → conv → norm, plus the shortcut, → ReLU (ResNet v1)."""

    def __init__(self, channels_in: int, channels: int, stride: int, config: EncoderConfig) -> None:
        super().__init__()
        self.conv1, self.norm1 = _conv_and_norm(channels_in, channels, 3, stride, config)
        self.conv2, self.norm2 = _conv_and_norm(channels, channels, 3, 1, config)
        self.shortcut = _shortcut(channels_in, channels, stride, config)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """Computes 1×1 → 3×3 → 1×1 convolutions with norms, plus the shortcut, → ReLU (ResNet v1).

    The stride is the 3×3's, as in torchvision and in Haiku, which DeepMind's code uses; He et al.
    put it into the first 1×1. γ of the last norm starts at 1, as in the paper's results
    (deepmind-research/byol, README), not at 0.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, config: EncoderConfig) -> None:
        super().__init__()
        inner = channels // 4
        self.conv1, self.norm1 = _conv_and_norm(channels_in, inner, 1, 1, config)
        self.conv2, self.norm2 = _conv_and_norm(inner, inner, 3, stride, config)
        self.conv3, self.norm3 = _conv_and_norm(inner, channels, 1, 1, config)
        self.shortcut = _shortcut(channels_in, channels, stride, config)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(self.norm3(self.conv3(y)) + self.shortcut(x))


_BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}


class Encoder(nn.Module):
    """Is a ResNet v1 without its classifier: images (B, C, H, W) → features (B, `out`)."""

    def __init__(self, config: EncoderConfig, channels_in: int) -> None:
        super().__init__()
        arch = ARCHS[config.arch]
        block = _BLOCKS[arch.block]
        self.stem = _stem(config, channels_in, arch.stem)

        # The first block of a stage changes width and, but for the first stage, resolution.
        blocks: list[nn.Module] = []
        width = arch.stem
        for stage, (channels, count) in enumerate(zip(arch.widths, arch.blocks, strict=True)):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(block(width, channels, stride, config))
                width = channels

        self.blocks = nn.Sequential(*blocks)
        self.out = width

    def forward(self, images: Tensor) -> Tensor:
        """Return the pooled features."""
        features: Tensor = self.blocks(self.stem(images)).mean(dim=(2, 3))
        return features


def _stem(config: EncoderConfig, channels_in: int, width: int) -> nn.Sequential:
    size, stride = {"3x3": (3, 1), "3x3_stride2": (3, 2), "7x7_pool": (7, 2)}[config.stem]
    stem = nn.Sequential(*_conv_and_norm(channels_in, width, size, stride, config), nn.ReLU())
    if config.stem == "7x7_pool":
        stem.append(nn.MaxPool2d(3, stride=2, padding=1))
    return stem


def _shortcut(channels_in: int, channels: int, stride: int, config: EncoderConfig) -> nn.Module:
    if stride == 1 and channels_in == channels:
        return nn.Identity()
    return nn.Sequential(*_conv_and_norm(channels_in, channels, 1, stride, config))


def _conv_and_norm(
    channels_in: int, channels: int, size: int, stride: int, config: EncoderConfig
) -> tuple[nn.Module, nn.Module]:
    """Return a convolution and what normalizes its output."""
    convolution = StandardizedConv2d if config.norm == "gn_ws" else nn.Conv2d
    bias = config.norm == "none"
    conv = convolution(channels_in, channels, size, stride, padding=size // 2, bias=bias)
    return conv, make_norm(config.norm, channels, config.gn_groups, of_images=True)
