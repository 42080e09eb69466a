"""Trains with solo-learn 1.0.2, the release that is on PyPI: its BYOL, transforms and loader.

Its own `solo.methods.BYOL` computes the loss (with the online classifier that it always trains), its
optimizer and its updater move the networks. A plain loop stands for Lightning's, which only adds
to a step.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import repeat
from typing import Any

import torch
from solo.methods.byol import BYOL
from solo.utils.pretrain_dataloader import (
    prepare_dataloader,
    prepare_n_crop_transform,
    prepare_transform,
)
from torch import Tensor

from byol_core.config import resolve
from trainers.cases import Case, settings_of
from trainers.pictures import Numbered, pictures_for, random_pixels, random_views

_ARCHS = {"resnet18", "resnet50"}
_JITTER = {"brightness": 0.4, "contrast": 0.4, "hue": 0.1}
_VIEWS = {
    # Of bash_files/pretrain/cifar/byol.sh, custom and imagenet-100/byol.sh, with the case's blur.
    "cifar": (
        "cifar10",
        [{"saturation": 0.2, "gaussian_prob": 0.0, "solarization_prob": p} for p in (0.0, 0.2)],
    ),
    "blog": ("stl10", [{"saturation": 0.4, "gaussian_prob": 0.5, "min_scale": 0.2}] * 2),
    "imagenet": (
        "imagenet",
        [
            {"saturation": 0.2, "gaussian_prob": 1.0, "solarization_prob": 0.0},
            {"saturation": 0.2, "gaussian_prob": 0.1, "solarization_prob": 0.2},
        ],
    ),
}


class SoloLearn:
    """Is solo-learn's BYOL; arguments are those of `ours.Ours`."""

    def __init__(
        self, case: Case, contestant: str, options: dict[str, Any], device: torch.device
    ) -> None:
        on_gpu = device.type == "cuda"
        config = resolve(case.preset, settings_of(case, contestant, "fp32", on_gpu))
        if config.encoder.arch not in _ARCHS:
            raise ValueError(f"solo-learn has no encoder {config.encoder.arch!r}")
        self.case = case
        self.device = device
        self.workers = options["workers"]
        self.batch = case.batch[on_gpu]
        self.is_bf16 = options["precision"] == "bf16"
        self.version = version("solo-learn")
        self.steps = 0
        self.model = BYOL(
            **_arguments(config.encoder.arch, config.encoder.stem == "3x3", self.batch),
            proj_hidden_dim=config.projector.hidden,
            proj_output_dim=config.projector.out,
            pred_hidden_dim=config.predictor.hidden,
        )
        self.model.to(device).train()
        self.model.log_dict = lambda *_, **__: None  # nothing is logged outside Lightning
        self.optimizer = self.model.configure_optimizers()

    def parameters(self) -> int:
        """Return how many numbers the gradient trains."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    @contextmanager
    def turn(self, mode: str) -> Iterator[Callable[[], Tensor]]:
        """Yield a function that takes the next step, in a mode or `plain`, and returns its loss."""
        if mode != "used":
            views = random_views(self.batch, self.case.channels, self.case.side, self.device)
            labels = torch.zeros(self.batch, dtype=torch.long)
            arriving: Iterator[Any] = repeat((None, list(views.unbind(0)), labels))
        else:
            arriving = iter(self._loader())
        yield lambda: self._step(next(arriving))

    def _step(self, batch: Any) -> Tensor:
        """Take a step in Lightning's order: loss, gradient, optimizer, then the moving average."""
        number, views, labels = batch
        views = [view.to(self.device, non_blocking=True) for view in views]
        moved = (number, views, labels.to(self.device, non_blocking=True))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_bf16):
            loss: Tensor = self.model.training_step(moved, self.steps)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        for pair in self.model.momentum_pairs:
            self.model.momentum_updater.update(*pair)
        self.steps += 1
        self.model.momentum_updater.update_tau(self.steps, 1_000_000)
        return loss.detach()

    def _loader(self) -> Any:
        number = pictures_for(self.batch, self.case.side)
        pixels = random_pixels(number, self.case.channels, self.case.side)
        kind, views = _VIEWS[self.case.views]
        made = [
            prepare_transform(kind, crop_size=self.case.side, **_JITTER, **view) for view in views
        ]
        transform = prepare_n_crop_transform(made, num_crops_per_aug=[1] * len(made))
        return prepare_dataloader(Numbered(pixels, transform), self.batch, self.workers)


def _arguments(arch: str, is_cifar: bool, batch: int) -> dict[str, Any]:
    """Return what solo-learn's BYOL wants, as its scripts set it; what changes no cost is plain."""
    return {
        "encoder": arch,
        "num_classes": 10,
        "backbone_args": {"cifar": is_cifar, "zero_init_residual": False},
        "max_epochs": 1000,
        "batch_size": batch,
        "optimizer": "sgd",
        "lars": True,
        "grad_clip_lars": True,
        "eta_lars": 0.02,
        "lr": 1.0,
        "weight_decay": 1e-5,
        "classifier_lr": 0.1,
        "exclude_bias_n_norm": True,
        "accumulate_grad_batches": 1,
        "extra_optimizer_args": {"momentum": 0.9},
        "scheduler": "none",
        "min_lr": 0.0,
        "warmup_start_lr": 0.0,
        "warmup_epochs": 0,
        "num_large_crops": 2,
        "num_small_crops": 0,
        "base_tau_momentum": 0.99,
        "final_tau_momentum": 1.0,
        "momentum_classifier": False,
    }
