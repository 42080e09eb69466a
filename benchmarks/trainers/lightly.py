"""Trains as lightly's users do: its BYOL example and its CIFAR-10 benchmark, on random pictures.

The step, its order and the loader are those of lightly's examples/pytorch/byol.py (documented in its
tutorial of BYOL); heads, loss, transforms, moving average and schedule are lightly's own classes.
Widths of the heads are the case's, so that both train the same network.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import repeat
from typing import Any

import torch
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.transforms.byol_transform import (
    BYOLTransform,
    BYOLView1Transform,
    BYOLView2Transform,
)
from lightly.transforms.multi_view_transform import MultiViewTransform
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms

from byol_core.config import resolve
from trainers.cases import Case, settings_of
from trainers.networks import plain_encoder
from trainers.pictures import Pictures, pictures_for, random_pixels, random_views


class BYOL(nn.Module):
    """Is the module of lightly's example."""

    def __init__(self, backbone: nn.Module, width: int, hidden: int, out: int, deep: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection_head = BYOLProjectionHead(width, hidden, out)
        self.prediction_head = BYOLPredictionHead(out, deep, out)
        self.backbone_momentum = copy.deepcopy(self.backbone)
        self.projection_head_momentum = copy.deepcopy(self.projection_head)
        deactivate_requires_grad(self.backbone_momentum)
        deactivate_requires_grad(self.projection_head_momentum)

    def forward(self, x: Tensor) -> Tensor:
        """Return the prediction."""
        y = self.backbone(x).flatten(start_dim=1)
        prediction: Tensor = self.prediction_head(self.projection_head(y))
        return prediction

    def forward_momentum(self, x: Tensor) -> Tensor:
        """Return the target's projection."""
        y = self.backbone_momentum(x).flatten(start_dim=1)
        projection: Tensor = self.projection_head_momentum(y)
        return projection.detach()


class Lightly:
    """Is lightly's example; arguments are those of `ours.Ours`."""

    def __init__(
        self, case: Case, contestant: str, options: dict[str, Any], device: torch.device
    ) -> None:
        self.case = case
        self.device = device
        self.workers = options["workers"]
        on_gpu = device.type == "cuda"
        self.batch = case.batch[on_gpu]
        self.is_bf16 = options["precision"] == "bf16"
        self.version = version("lightly")

        config = resolve(case.preset, settings_of(case, contestant, "fp32", on_gpu))
        encoder, width = plain_encoder(config.encoder.arch, config.encoder.stem, case.channels)
        heads = (config.projector.hidden, config.projector.out, config.predictor.hidden)
        self.model = BYOL(encoder, width, *heads).to(device).train()
        self.criterion = NegativeCosineSimilarity()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4
        )
        self.steps = 0

    def parameters(self) -> int:
        """Return how many numbers the gradient trains."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    @contextmanager
    def turn(self, mode: str) -> Iterator[Callable[[], Tensor]]:
        """Yield a function that takes the next step, in a mode or `plain`, and returns its loss."""
        if mode != "used":
            views = random_views(self.batch, self.case.channels, self.case.side, self.device)
            arriving: Iterator[Any] = repeat((views.unbind(0), None))
        else:
            arriving = iter(self._loader())
        yield lambda: self._step(next(arriving))

    def _step(self, batch: Any) -> Tensor:
        """Take the step of lightly's example, in its order."""
        momentum = cosine_schedule(self.steps, 1_000_000, 0.996, 1)
        self.steps += 1
        model = self.model
        update_momentum(model.backbone, model.backbone_momentum, m=momentum)
        update_momentum(model.projection_head, model.projection_head_momentum, m=momentum)
        x0, x1 = batch[0]
        x0 = x0.to(self.device)
        x1 = x1.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_bf16):
            p0 = model(x0)
            z0 = model.forward_momentum(x0)
            p1 = model(x1)
            z1 = model.forward_momentum(x1)
            loss: Tensor = 0.5 * (self.criterion(p0, z1) + self.criterion(p1, z0))
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def _loader(self) -> DataLoader[Any]:
        number = pictures_for(self.batch, self.case.side)
        pixels = random_pixels(number, self.case.channels, self.case.side)
        return DataLoader(
            Pictures(pixels, _transform(self.case)),
            batch_size=self.batch,
            shuffle=True,
            drop_last=True,
            num_workers=self.workers,
        )


def _transform(case: Case) -> Any:
    """Return lightly's views with the operations that the case's preset has."""
    side = case.side
    if case.views == "digits":
        turned = transforms.RandomAffine(23, (0.125, 0.125), (0.8, 1.6))
        lit = transforms.ColorJitter(brightness=0.5)
        view = transforms.Compose([turned, lit, transforms.ToTensor()])
        return MultiViewTransform([view, view])
    if case.views == "cifar":
        first = BYOLView1Transform(input_size=side, gaussian_blur=0.0)
        second = BYOLView2Transform(input_size=side, gaussian_blur=0.0)
        return BYOLTransform(first, second)
    if case.views == "blog":
        blog = {"input_size": side, "cj_sat": 0.4, "min_scale": 0.2, "gaussian_blur": 0.5}
        return BYOLTransform(
            BYOLView1Transform(**blog), BYOLView2Transform(**blog, solarization_prob=0.0)
        )
    first = BYOLView1Transform(input_size=side)
    return BYOLTransform(first, BYOLView2Transform(input_size=side))
