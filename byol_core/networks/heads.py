"""Builds the heads on an encoder: projector and predictor."""

from itertools import pairwise

from torch import Tensor, nn

from byol_core.config import BatchNormConfig, HeadConfig
from byol_core.networks.norms import linear, make_norm
from byol_core.networks.views import over_views


class MLP(nn.Sequential):
    """Computes linear → norm → ReLU, `depth` − 1 times, then linear (BYOL, section 3.3).

    The output has no norm unless `out_norm` (SimSiam's projector; SimCLR's). The blog's form of
    weight standardization leaves the last linear layer as it is (untitled-ai/self_supervised).

    Args:
        features_in: width of the input.
        config: of the projector or the predictor.
        batch_norm: over what batch norm takes its statistics.
    """

    def __init__(self, features_in: int, config: HeadConfig, batch_norm: BatchNormConfig) -> None:
        super().__init__()
        form = config.weight_standardization

        # The first hidden layer's names have no number, as when there was only that.
        widths = [features_in] + [config.hidden] * (config.depth - 1)
        for number, (width_in, width) in enumerate(pairwise(widths), start=1):
            suffix = "" if number == 1 else str(number)
            self.add_module(f"hidden{suffix}", linear(form, width_in, width, bias=True))
            self.add_module(f"norm{suffix}", make_norm(config, batch_norm, width, of_images=False))
            self.add_module(f"relu{suffix}", nn.ReLU())

        last_form = "none" if form == "unbiased" else form
        self.out = linear(last_form, widths[-1], config.out, config.out_bias)
        if config.out_norm:
            self.out_norm = make_norm(config, batch_norm, config.out, of_images=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (V, B, F) to (V, B, out), or (B, F) to (B, out)."""
        return over_views(self, super().forward, x, item_axes=1)
