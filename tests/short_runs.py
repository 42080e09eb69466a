"""Runs a few steps, and returns all that a longer run would show of its settings."""

import torch
from training import CPU, Lab, images_of

from byol_core.config import essential
from byol_core.images.source import Request
from byol_core.metrics.accumulate import read_point
from byol_core.train.requests import calibration_requests, start_request
from byol_core.train.start import calibrate, needs_images, start_networks

STEPS = 6  # of eight: into the second epoch, and past what freezes in the middle


def outcome(config, steps=STEPS):
    """Return name → tensor or number: what steps change, what is logged, what is kept in the end."""
    config = essential(config)
    if not config.trains:
        return _untrained(config)
    lab = Lab(config)
    shown = {}
    for step in range(steps):
        result = lab.step(step, measures=step in (0, steps - 1))
        point = read_point(result.loss, result.measured)
        point |= {f"ratio {stage}": float(r) for stage, r in result.local_rates.items()}
        point |= {
            "lr": lab.trainer.schedules.rate(step),
            "tau": lab.trainer.schedules.tau(step) if lab.target is not None else None,
        }
        shown |= {f"step {step} {name}": value for name, value in point.items()}
    state = lab.trainer.state()

    # Settings are among the optimizer's groups; what comes of them is in its state.
    del state["optimizer"]["param_groups"]
    shown |= flat("state", state) | _features("online", lab.online.encoder, lab.dataset, config)
    if lab.target is not None:
        shown |= _features("target", lab.target.encoder, lab.dataset, config)
    return shown


def _untrained(config):
    """Return the encoder of a run that trains nothing, with its statistics."""
    dataset = images_of(config.dataset)
    views = None
    if needs_images(config):
        (batch,) = dataset.pretrain.read([start_request(config, dataset.pretrain)])
        views = batch.views(CPU)
    online, _ = start_networks(config, dataset.channels, 10, CPU, views)
    requests = calibration_requests(config, dataset.pretrain)
    calibrate(online, dataset.pretrain.read(requests), CPU)
    state = flat("encoder", online.encoder.state_dict())
    return state | _features("online", online.encoder, dataset, config)


@torch.no_grad()
def _features(name, encoder, dataset, config):
    """Return what an encoder makes of images as they are, as it is judged."""
    (batch,) = dataset.test.read([Request(torch.arange(8), config.augment)])
    return {f"{name} features": encoder.eval()(batch.clean(CPU))}


def flat(name, value):
    """Return nested dictionaries and lists as one dictionary."""
    items = None
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    if items is None:
        return {name: value}
    leaves = {}
    for key, inner in items:
        leaves |= flat(f"{name}.{key}", inner)
    return leaves


def differing(first, second):
    """Return the names under which two outcomes are not equal to the bit."""
    return [
        name
        for name in sorted(first.keys() | second.keys())
        if name not in first or name not in second or not _same(first[name], second[name])
    ]


def _same(a, b):
    if isinstance(a, torch.Tensor):
        return a.shape == b.shape and bool(torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0)))
    return a == b or (a != a and b != b)
