"""Whole steps of the trainer against a float64 computation of the papers' formulas, for every
objective, norm and optimizer.
"""

import pytest
import torch
from reference_steps import Reference, all_pairs, with_news
from training import CPU, Lab

from byol_core.config import resolve

TINY = {
    "dataset.limit": 96,
    "epochs": 2,
    "batch_size": 16,
    "encoder.gn_groups": 4,
    "projector.hidden": 12,
    "projector.out": 4,
    "projector.gn_groups": 3,
    "predictor.hidden": 12,
    "predictor.out": 4,
    "predictor.gn_groups": 3,
    "loss.queue_size": 40,
    "init.affine_images": 32,
    "init.biases": "torch",
    "target.tau_base": 0.9,
    "optimizer.lr": 0.02,
}
OBJECTIVES = {
    "byol": {},
    "one-sided": {"loss.symmetric": False},
    "layer": {"loss.normalize": "layer"},
    "batch": {"loss.normalize": "batch"},
    "unnormalized": {"loss.normalize": "none", "loss.scale": 0.1},
    "negatives": {"loss.beta": 0.3, "loss.temperature": 0.3},
    "negatives, one-sided": {"loss.beta": 1.0, "loss.symmetric": False},
    "moco": {"method": "moco"},
    "moco of the blog": {
        "method": "moco",
        "loss.queue_keys": "first",
        "predictor.kind": "none",
        "loss.scale": 0.5,
    },
    "moco of its own keys": {"method": "moco", "target.kind": "online"},
    "simclr": {"method": "simclr"},
    "simclr with a target": {
        "method": "simclr",
        "predictor.kind": "mlp",
        "target.kind": "ema",
    },
    "online target": {"target.kind": "online"},
    "no predictor": {"predictor.kind": "none"},
    "linear": {"predictor.kind": "linear"},
    "symmetric": {
        "predictor.kind": "linear",
        "predictor.symmetric": True,
        "predictor.weight_standardization": "none",
    },
    "optimal": {"predictor.kind": "optimal", "predictor.ridge": 0.01, "predictor.fit_every": 2},
    "optimal of unit vectors": {"predictor.kind": "optimal", "predictor.fit_normalized": True},
    "directpred": {"predictor.kind": "directpred", "predictor.fit_every": 2},
    "labels": {"loss.label_weight": 0.5, "seed": 1},
}
PARTS = ("encoder", "projector", "predictor")


def of_parts(key, value):
    return {f"{part}.{key}": value for part in PARTS}


NORMS = {
    "bn": {},
    "bn joint": {"batch_norm.views": "joint"},
    "bn in groups": {"batch_norm.group": 4},
    "bn that centres": {"batch_norm.parts": "centre", "batch_norm.views": "joint"},
    "bn that scales": {"batch_norm.parts": "scale"},
    "bn by constants": {"batch_norm.gradient": False},
    "bn of the batch before": {"batch_norm.source": "other_batch"},
    "bn of averages": {"batch_norm.source": "running"},
    "bn without γ": of_parts("norm_affine", False),
    "ln": of_parts("norm", "ln"),
    "gn": of_parts("norm", "gn"),
    "gn, standardized": of_parts("norm", "gn") | of_parts("weight_standardization", "biased"),
    "in, standardized as in the blog": {"encoder.norm": "in"}
    | of_parts("weight_standardization", "unbiased"),
    "affine": of_parts("norm", "affine"),
    "none": of_parts("norm", "none"),
    "deep, norm on the output": {"projector.depth": 3, "projector.out_norm": True},
}
OPTIMIZERS = {
    "sgd": {"optimizer.momentum": 0.9, "optimizer.weight_decay": 1e-2},
    "plain sgd": {"optimizer.lr": 0.05},
    "lars": {
        "optimizer.name": "lars",
        "optimizer.lr": 0.1,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 1e-2,
        "optimizer.trust_coefficient": 0.02,
    },
    "lars of the blog": {
        "optimizer.name": "lars",
        "optimizer.lr": 0.1,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 1e-2,
        "optimizer.trust_coefficient": 0.02,
        "optimizer.lars_form": "blog",
        "optimizer.decay_bias_and_norm": True,
        "optimizer.adapt_bias_and_norm": True,
    },
    "lars of the whole network": {
        "optimizer.name": "lars",
        "optimizer.lr": 0.1,
        "optimizer.trust_coefficient": 0.02,
        "optimizer.lars_scope": "network",
    },
    "lars of the early stages": {
        "optimizer.name": "lars",
        "optimizer.lr": 0.05,
        "optimizer.lars_scope": "early",
    },
    "adamw": {
        "optimizer.name": "adamw",
        "optimizer.lr": 1e-3,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 0.1,
    },
}
EXTRAS = {
    "nothing": {},
    "two parts": {"accumulate": 2},
    "target moves before": {"target.moves": "before"},
    "target is a copy": {"target.tau_base": 0.0},
    "target of another draw": {"target.start": "draw", "target.tau_base": 1.0},
    "schedules": {
        "optimizer.schedule": "cosine",
        "optimizer.warmup_epochs": 0.5,
        "target.schedule": "cosine",
        "optimizer.predictor_schedule": "constant",
    },
    "factors": {
        "optimizer.lambda_predictor": 3.0,
        "optimizer.mu_projector": 0.5,
        "optimizer.early_factor": 2.0,
        "optimizer.decay_predictor": 0.0,
        "optimizer.decay_encoder": 2.0,
    },
    "a predictor that stands still": {"optimizer.lambda_predictor": 0.0},
    "steps of the predictor": {"predictor.inner_steps": 2},
}
AXES = {"objective": OBJECTIVES, "norm": NORMS, "optimizer": OPTIMIZERS, "extra": EXTRAS}


def config_of(objective, norm, optimizer, extra):
    settings = TINY | NORMS[norm] | OPTIMIZERS[optimizer] | OBJECTIVES[objective] | EXTRAS[extra]
    return resolve("digits-tiny", settings)


class Doubled:
    """Holds a batch whose views are float64 and smaller, and of which a third has no labels."""

    def __init__(self, batch):
        self.batch = batch
        self.labels = batch.labels.clone()
        self.labels[::3] = -1

    def views(self, device):
        return self.batch.views(device)[..., 2:14, 2:14].double()


class Single(Doubled):
    """Holds the same in float32."""

    def views(self, device):
        return super().views(device).float()


def in_float64(lab):
    """Have the networks compute in float64, so that nothing grows out of roundings at ReLUs; the
    loss stays float32.
    """
    for network in (lab.online, lab.target):
        if network is not None:
            network.double()
    if lab.config.loss.label_weight:
        lab.online.classifier.float()
    return lab


def assert_same_update(got, expected, start, share, noise):
    """Compare each tensor's update, by a share of its length and a little of the whole update's."""
    whole = sum(float((expected[name] - start[name]).square().sum()) for name in start) ** 0.5
    for name, before in start.items():
        wanted = (expected[name] - before)[~noise[name]]
        error = float(((got[name].double() - before)[~noise[name]] - wanted).norm())
        assert error <= share * float(wanted.norm()) + 1e-2 * share * whole, (name, error)


def null_gradients(reference):
    """Tell which numbers have no gradient but for rounding, as biases that a norm follows.

    AdamW and an adaptive rate make whole steps of it.
    """
    optimizer = reference.config.optimizer
    gradients = reference.newest_gradients
    if optimizer.name == "adamw":
        largest = max(float(g.abs().max()) for g in gradients.values())
        return {name: g.abs() < 1e-5 * largest for name, g in gradients.items()}
    lengths = {name: float(g.norm()) for name, g in gradients.items()}
    limit = 1e-6 * max(lengths.values()) if optimizer.adapt_bias_and_norm else 0.0
    return {name: torch.full_like(g, lengths[name] < limit) > 0 for name, g in gradients.items()}


def run_beside(lab, steps):
    """Take steps with a trainer and the reference, and compare losses and updates."""
    reference = Reference(lab)
    start = dict(reference.theta)
    start_of_target = dict(reference.xi or {})
    noise = {name: torch.zeros_like(value) > 0 for name, value in start.items()}
    for step in range(steps):
        batch = Doubled(lab.batch(step))
        loss = reference.step(batch.views(CPU), batch.labels)
        got = lab.trainer.step(batch, lab.at(step), measures=False)
        assert float(got.loss) == pytest.approx(loss, rel=1e-4), step
        for name, null in null_gradients(reference).items():
            noise[name] |= null

    # AdamW divides by a gradient's size, however small that is.
    share = 1e-3 if lab.config.optimizer.name == "adamw" else 1e-4

    # The loss is float32, and divides by the small deviations of few images: its roundings grow.
    if lab.config.loss.normalize == "batch":
        share *= 10

    # Four images' deviations are small too: noise of 1e-8 in the images flips a ReLU, and moves the
    # update of the stem by 1e-3.
    if lab.config.batch_norm.group:
        share *= 40
    assert_same_update(lab.parameters(), reference.theta, start, share, noise)
    if lab.target is not None:
        moved = lab.parameters("target")
        assert_same_update(moved, reference.xi, start_of_target, share, noise)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=[] if is_new else [pytest.mark.exhaustive])
        for row, is_new in with_news(all_pairs(AXES))
    ],
    ids=lambda row: ", ".join(row.values()),
)
def test_three_steps_equal_the_papers_formulas_in_float64(row):
    """Every value runs always, every pair of values with `make crash-test`."""
    run_beside(in_float64(Lab(config_of(**row))), steps=3)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_step_in_float32_is_that_of_float64_but_for_rounding(objective):
    """As users run it; of one step, since roundings grow at ReLUs from step to step."""
    lab = Lab(config_of(objective, "bn", "sgd", "nothing"))
    reference = Reference(lab)
    start = dict(reference.theta)
    batch = Doubled(lab.batch(0))
    reference.step(batch.views(CPU), batch.labels)
    lab.trainer.step(Single(lab.batch(0)), lab.at(0), measures=False)
    nothing = {name: torch.zeros_like(value) > 0 for name, value in start.items()}
    assert_same_update(lab.parameters(), reference.theta, start, 1e-4, nothing)


# What must be equal without any reference.


def gradients_of(lab, batch):
    """Take a step, and return the gradients that the optimizer was handed."""
    handed = {}

    def keep(*_):
        for name, parameter in lab.online.named_parameters():
            handed[name] = parameter.grad.clone()

    lab.trainer.optimizer.register_step_pre_hook(keep)
    lab.trainer.step(batch, lab.at(0), measures=False)
    return handed


class Half(Doubled):
    """Holds one half of a batch."""

    def __init__(self, batch, number):
        super().__init__(batch)
        self.labels = self.labels.chunk(2)[number]
        self.number = number

    def views(self, device):
        return super().views(device).chunk(2, dim=1)[self.number]


@pytest.mark.parametrize("norm", ["bn", "bn joint", "ln"])
def test_two_parts_have_the_mean_of_the_halves_gradients(norm):
    """Each half with statistics of its own."""
    whole = in_float64(Lab(config_of("byol", norm, "sgd", "two parts")))
    of_parts = gradients_of(whole, Doubled(whole.batch(0)))
    halves = []
    for number in range(2):
        lab = in_float64(Lab(config_of("byol", norm, "sgd", "nothing")))
        halves.append(gradients_of(lab, Half(lab.batch(0), number)))
    for name, gradient in of_parts.items():
        mean = (halves[0][name] + halves[1][name]) / 2
        torch.testing.assert_close(gradient, mean, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["none", "optimal", "directpred"])
def test_a_predictor_without_gradient_takes_no_steps_of_its_own(kind):
    """Under such a kind the key has no effect, so it may hold anything."""
    settings = TINY | {"predictor.kind": kind}
    labs = [
        Lab(resolve("digits-tiny", settings | {"predictor.inner_steps": steps})) for steps in (0, 3)
    ]
    for lab in labs:
        lab.step()
    plain, other = (lab.parameters() for lab in labs)
    assert all(torch.equal(value, other[name]) for name, value in plain.items())


def test_images_without_a_label_add_nothing_to_the_loss():
    """Label −1 is no class: the mean is over the labelled images of both views."""
    trainer = Lab(resolve("digits-tiny", TINY | {"loss.label_weight": 1.0})).trainer
    features = torch.randn(2, 6, trainer.online.encoder.out)
    some = torch.tensor([3, -1, 0, -1, 9, -1])
    labelled = some >= 0
    of_some = trainer._label_loss(features, some)
    of_those = trainer._label_loss(features[:, labelled], some[labelled])
    torch.testing.assert_close(of_some, of_those)

    of_none = trainer._label_loss(features, torch.full((6,), -1))
    of_none.backward()
    assert float(of_none.detach()) == 0
    assert not any(bool(p.grad.any()) for p in trainer.online.classifier.parameters())
