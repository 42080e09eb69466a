"""Builds BYOL's two networks: the target, and the online network with a predictor on top."""

from typing import Literal

import torch
from torch import Tensor, nn

from byol_core.config import TrainConfig
from byol_core.networks.batch_statistics import set_statistics
from byol_core.networks.encoder import Encoder
from byol_core.networks.heads import MLP
from byol_core.networks.predictors import make_predictor


class Target(nn.Module):
    """Holds encoder and projector: what follows the online network as a moving average.

    Args:
        config: of the run.
        channels_in: of the images.
        statistics: whose running averages batch norm keeps; None: what `batch_norm.target` says.
    """

    def __init__(
        self,
        config: TrainConfig,
        channels_in: int,
        statistics: Literal["own", "ema", "eval"] | None = None,
    ) -> None:
        super().__init__()
        # A part of the user's own may draw its first weights from PyTorch's generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.encoder = Encoder(config.encoder, channels_in, config.batch_norm)
            self.projector = MLP(self.encoder.out, config.projector, config.batch_norm)
        set_statistics(self, statistics or config.batch_norm.target)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return features y = f(v), (V, B, F), and projections z = g(y), (V, B, D).

        Args:
            views: (V, B, C, H, W), or images (B, C, H, W), which give (B, F) and (B, D).
        """
        features = self.encoder(views)
        return features, self.projector(features)


class Online(Target):
    """Holds the target's layers and a predictor on top: what the gradient trains.

    Where `loss.label_weight` is above 0, `classifier` maps features to classes (Mean Teacher).

    Args:
        config: of the run.
        channels_in: of the images.
        classes: of the labels, where a classifier is trained too.
    """

    def __init__(self, config: TrainConfig, channels_in: int, classes: int = 0) -> None:
        super().__init__(config, channels_in, statistics="own")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.predictor = make_predictor(config)
        if config.loss.label_weight:
            self.classifier = nn.Linear(self.encoder.out, classes)
