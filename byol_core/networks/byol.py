"""Builds BYOL's two networks: the target, and the online network with a predictor on top."""

from torch import Tensor, nn

from byol_core.config import TrainConfig
from byol_core.networks.encoder import Encoder
from byol_core.networks.heads import MLP


class Target(nn.Module):
    """Holds encoder and projector: what follows the online network as a moving average."""

    def __init__(self, config: TrainConfig, channels_in: int) -> None:
        super().__init__()
        self.encoder = Encoder(config.encoder, channels_in)
        self.projector = MLP(self.encoder.out, config.projector)

    def project(self, view: Tensor) -> Tensor:
        """Return the projections (B, D) of a view (B, C, H, W)."""
        projection: Tensor = self.projector(self.encoder(view))
        return projection


class Online(Target):
    """Holds the target's layers and a predictor on top: what the gradient trains."""

    def __init__(self, config: TrainConfig, channels_in: int) -> None:
        super().__init__(config, channels_in)
        self.predictor = MLP(config.projector.out, config.predictor)
