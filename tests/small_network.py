"""A network of vectors with the names and roles of the online network, and steps that train it."""

import torch
from torch import nn

from byol_core.config import resolve
from byol_core.optim.groups import make_optimizer, set_rates

CPU = torch.device("cpu")
OPTIMIZERS = {
    "sgd": {"optimizer.name": "sgd", "optimizer.momentum": 0.9},
    "plain sgd": {"optimizer.name": "sgd", "optimizer.momentum": 0.0},
    "lars": {"optimizer.name": "lars", "optimizer.momentum": 0.9},
    "lars blog": {
        "optimizer.name": "lars",
        "optimizer.momentum": 0.9,
        "optimizer.lars_form": "blog",
    },
    "lars network": {
        "optimizer.name": "lars",
        "optimizer.momentum": 0.9,
        "optimizer.lars_scope": "network",
    },
    "adamw": {"optimizer.name": "adamw", "optimizer.momentum": 0.9, "optimizer.lr": 1e-2},
}


class Gained(nn.Linear):
    """A layer whose gain has the shape of a weight, and a matrix that nothing trains."""

    roles = {"gain": "gain", "closed_form": "fixed"}

    def __init__(self, features):
        super().__init__(features, features)
        self.gain = nn.Parameter(torch.ones(features, 1))
        self.closed_form = nn.Parameter(torch.eye(features), requires_grad=False)

    def forward(self, x):
        return super().forward(x @ self.closed_form) * self.gain.flatten()


class Blocks(nn.Module):
    """An encoder of vectors with the names of the real one: a stem and three blocks."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm((5,)))
        self.blocks = nn.Sequential(nn.Linear(5, 5), Gained(5), nn.Linear(5, 4))

    def forward(self, x):
        return self.blocks(self.stem(x))


class Network(nn.Module):
    """Stands for the online network of arch tiny: what an optimizer sees of it is names and roles."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = Blocks()
        self.projector = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3, bias=True))
        self.predictor = nn.Sequential(nn.Linear(3, 3), nn.GroupNorm(1, 3))
        self.classifier = nn.Linear(4, 2)

    def forward(self, x):
        features = self.encoder(x)
        return self.predictor(self.projector(features)), self.classifier(features)


def loss_of(network, x):
    """Return a loss that stays bounded at every rate and reaches every parameter."""
    prediction, logits = network(x)
    return prediction.sin().sum() + logits.cos().sum()


def descend(network, optimizer, steps, start=0):
    """Take steps whose gradients depend on the number of the step alone."""
    for step in range(start, start + steps):
        set_rates(optimizer, 0.1 / (step + 1), 0.1)
        x = torch.randn(8, 6, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad(set_to_none=True)
        loss_of(network, x).backward()
        optimizer.step()


def made(network=None, **overrides):
    """Return a network and the optimizer over it, at rate 0.1; overrides are of the optimizer."""
    network = network or Network()
    settings = {f"optimizer.{key}": value for key, value in {"lr": 0.1, **overrides}.items()}
    optimizer = make_optimizer(network, resolve("digits-tiny", settings), CPU)
    set_rates(optimizer, 0.1, 0.1)
    return network, optimizer
