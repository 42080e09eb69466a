"""A trainer on a few real digits, to look at single steps."""

from functools import cache

import torch

from byol_core.images.load import batches, load
from byol_core.train.requests import start_request, step_request
from byol_core.train.start import needs_images, start_networks
from byol_core.train.step import StepIndex, Trainer

CPU = torch.device("cpu")
STEPS_PER_EPOCH = 4


# Nothing writes into images, so labs share them.
images_of = cache(load)


class Lab:
    """Holds the trainer of a config, and reads the batch of any step."""

    def __init__(self, config, device=CPU):
        self.config = config
        self.dataset = images_of(config.dataset)
        self.source = self.dataset.pretrain
        views = None
        if needs_images(config):
            (batch,) = self.source.read([start_request(config, self.source)])
            views = batch.views(device)
        self.start_views = views
        classes = int(self.dataset.train.labels.max()) + 1
        networks = start_networks(config, self.dataset.channels, classes, device, views)
        self.trainer = Trainer(config, *networks, STEPS_PER_EPOCH, device)

    @property
    def online(self):
        return self.trainer.online

    @property
    def target(self):
        return self.trainer.target

    def at(self, step):
        return StepIndex(step, *divmod(step, STEPS_PER_EPOCH))

    def batch(self, step):
        at = self.at(step)
        order = list(batches(len(self.source), self.config.batch_size, self.config.seed, at.epoch))
        rows = order[at.batch % len(order)]
        (batch,) = self.source.read([step_request(self.config, self.source, rows, at)])
        return batch

    def step(self, step=0, measures=True):
        return self.trainer.step(self.batch(step), self.at(step), measures)

    def steps(self, count):
        return [self.step(step) for step in range(count)]

    def parameters(self, network="online"):
        """Copies, by name."""
        return {
            name: value.detach().clone()
            for name, value in getattr(self, network).named_parameters()
        }
