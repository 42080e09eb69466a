"""Builds the encoder, a ResNet v1 with any norm in it.

A convolution that a norm follows has no bias, since the norm's offset does its work; without norm
it has one.
"""

import torch
from torch import Tensor, nn

from byol_core.config import BatchNormConfig, EncoderConfig
from byol_core.config.architectures import ARCHS
from byol_core.networks.norms import activated, conv2d, make_norm
from byol_core.networks.views import over_views


class _Layers:
    """Makes the layers of an encoder, all of one kind.

    Args:
        config: of the encoder.
        batch_norm: over what batch norm takes its statistics.
    """

    def __init__(self, config: EncoderConfig, batch_norm: BatchNormConfig) -> None:
        self.config = config
        self.batch_norm = batch_norm

    def conv_and_norm(
        self, channels_in: int, channels: int, size: int, stride: int
    ) -> tuple[nn.Module, nn.Module]:
        """Return a convolution and what normalizes its output."""
        conv = conv2d(self.config, channels_in, channels, size, stride)
        return conv, make_norm(self.config, self.batch_norm, channels, of_images=True)

    def shortcut(self, channels_in: int, channels: int, stride: int) -> nn.Module:
        """Return what leads past a block: nothing where the shape stays."""
        if stride == 1 and channels_in == channels:
            return nn.Identity()
        return nn.Sequential(*self.conv_and_norm(channels_in, channels, 1, stride))

    def stem(self, channels_in: int, width: int) -> "Stem":
        """Return what comes before the first block."""
        sizes = {"3x3": (3, 1), "3x3_stride2": (3, 2), "7x7_pool": (7, 2)}
        size, stride = sizes[self.config.stem]
        layers = Stem(*self.conv_and_norm(channels_in, width, size, stride))
        if self.config.stem == "7x7_pool":
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
        return layers


class Stem(nn.Sequential):
    """Computes conv → norm → ReLU, and the pooling where there is one."""

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, C, H, W) to the first block's input."""
        conv, norm, *pooling = self
        y = activated(norm, conv(images))
        for pool in pooling:
            y = pool(y)
        return y


class BasicBlock(nn.Module):
    """Computes conv → norm → ReLU → conv → norm, plus the shortcut, → ReLU (ResNet v1)."""

    def __init__(self, channels_in: int, channels: int, stride: int, layers: _Layers) -> None:
        super().__init__()
        self.conv1, self.norm1 = layers.conv_and_norm(channels_in, channels, 3, stride)
        self.conv2, self.norm2 = layers.conv_and_norm(channels, channels, 3, 1)
        self.shortcut = layers.shortcut(channels_in, channels, stride)

    @property
    def last_norm(self) -> nn.Module:
        """Return the norm before the sum with the shortcut."""
        return self.norm2

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C, H / stride, W / stride)."""
        y = activated(self.norm1, self.conv1(x))
        return activated(self.norm2, self.conv2(y), self.shortcut(x))


class Bottleneck(nn.Module):
    """Computes 1×1 → 3×3 → 1×1 convolutions with norms, plus the shortcut, → ReLU (ResNet v1).

    The stride is the 3×3's, as in torchvision and in Haiku, which DeepMind's code uses; He et al.
    put it into the first 1×1. γ of the last norm starts at 1, as in the paper's results
    (deepmind-research/byol, README), unless `init.zero_last_norm`.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, layers: _Layers) -> None:
        super().__init__()
        inner = channels // 4
        self.conv1, self.norm1 = layers.conv_and_norm(channels_in, inner, 1, 1)
        self.conv2, self.norm2 = layers.conv_and_norm(inner, inner, 3, stride)
        self.conv3, self.norm3 = layers.conv_and_norm(inner, channels, 1, 1)
        self.shortcut = layers.shortcut(channels_in, channels, stride)

    @property
    def last_norm(self) -> nn.Module:
        """Return the norm before the sum with the shortcut."""
        return self.norm3

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C, H / stride, W / stride)."""
        y = activated(self.norm1, self.conv1(x))
        y = activated(self.norm2, self.conv2(y))
        return activated(self.norm3, self.conv3(y), self.shortcut(x))


_BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}


class Encoder(nn.Module):
    """Is a ResNet v1 without its classifier: images (B, C, H, W) → features (B, `out`).

    Attributes:
        out: width of the features.
    """

    def __init__(
        self, config: EncoderConfig, channels_in: int, batch_norm: BatchNormConfig
    ) -> None:
        super().__init__()
        arch = ARCHS[config.arch]
        block = _BLOCKS[arch.block]
        layers = _Layers(config, batch_norm)
        repeated = config.tiny_blocks if config.arch == "tiny" else 1
        self.stem = layers.stem(channels_in, arch.stem)

        # The first block of a stage changes width and, but for the first stage, resolution.
        blocks: list[nn.Module] = []
        width = arch.stem
        for stage, (channels, count) in enumerate(zip(arch.widths, arch.blocks, strict=True)):
            for i in range(count * repeated):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(block(width, channels, stride, layers))
                width = channels

        self.blocks = nn.Sequential(*blocks)
        self.out = width

    def forward(self, images: Tensor) -> Tensor:
        """Return the pooled features: (V, B, C, H, W) to (V, B, F), or (B, C, H, W) to (B, F)."""
        return over_views(self, self._features, images, item_axes=3)

    def _features(self, images: Tensor) -> Tensor:
        # A processor convolves and normalizes fastest with channels last.
        if images.device.type == "cpu":
            images = images.clone(memory_format=torch.channels_last)
        features: Tensor = self.blocks(self.stem(images)).mean(dim=(2, 3))
        return features
