"""Builds the heads on an encoder: projector and predictor."""

from torch import nn

from byol_core.config import HeadConfig
from byol_core.networks.norms import StandardizedLinear, make_norm


class MLP(nn.Sequential):
    """Computes linear → norm → ReLU → linear, without norm on the output (BYOL, section 3.3)."""

    def __init__(self, features_in: int, config: HeadConfig) -> None:
        super().__init__()
        linear = StandardizedLinear if config.norm == "gn_ws" else nn.Linear
        self.hidden = linear(features_in, config.hidden)
        self.norm = make_norm(config.norm, config.hidden, config.gn_groups, of_images=False)
        self.relu = nn.ReLU()
        self.out = linear(config.hidden, config.out, bias=config.out_bias)
