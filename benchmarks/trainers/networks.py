"""Builds each case's encoder in torchvision's classes: what users of other trainers hand them."""

from torch import nn
from torchvision import models
from torchvision.models.resnet import BasicBlock

_TINY = ((16, 1), (32, 2), (64, 2))
"""Width and stride of each stage of arch tiny."""


def plain_encoder(arch: str, stem: str, channels: int) -> tuple[nn.Module, int]:
    """Return an encoder without its classifier, and the width of its features.

    Args:
        arch: as byol_core's `encoder.arch`.
        stem: as `encoder.stem`.
        channels: of the images.
    """
    if arch == "tiny":
        return _tiny(channels), _TINY[-1][0]
    resnet = getattr(models, arch)()
    width = resnet.fc.in_features
    resnet.fc = nn.Identity()
    if stem == "3x3":
        resnet.conv1 = nn.Conv2d(channels, 64, 3, stride=1, padding=1, bias=False)
        resnet.maxpool = nn.Identity()
    return resnet, width


def _tiny(channels: int) -> nn.Module:
    stem = [_conv(channels, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    blocks: list[nn.Module] = []
    width = 16
    for out, stride in _TINY:
        shortcut = None
        if stride > 1:
            shortcut = nn.Sequential(_conv(width, out, 1, stride), nn.BatchNorm2d(out))
        blocks.append(BasicBlock(width, out, stride, shortcut))
        width = out
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _conv(channels_in: int, channels: int, size: int, stride: int) -> nn.Module:
    return nn.Conv2d(channels_in, channels, size, stride, padding=size // 2, bias=False)
