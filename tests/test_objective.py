"""What a step minimizes: its parts put together, MoCo's ring, and losses of the user's own."""

import sys
from collections import deque

import pytest
import torch
import torch.nn.functional as F
from host_waits import NoHostWaits

from byol_core.config import ConfigError, resolve
from byol_core.losses.contrastive import contrastive_loss, nt_xent, regression_with_negatives
from byol_core.losses.regression import regression_loss
from byol_core.plugins import PlugInError
from byol_core.train.objective import make_objective

CPU = torch.device("cpu")
SMALL = {"projector.out": 8, "predictor.out": 8, "loss.queue_size": 12}
OBJECTIVES = {
    "byol": {},
    "one-sided": {"loss.symmetric": False},
    "layer": {"loss.normalize": "layer"},
    "batch": {"loss.normalize": "batch"},
    "none": {"loss.normalize": "none"},
    "negatives": {"loss.beta": 0.5, "loss.temperature": 0.3},
    "moco": {"method": "moco"},
    "moco, one-sided": {"method": "moco", "loss.symmetric": False, "loss.queue_keys": "first"},
    "simclr": {"method": "simclr", "loss.temperature": 0.5},
}


def objective_of(**overrides):
    return make_objective(resolve("digits-tiny", {**SMALL, **overrides}), CPU)


def batch(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    return torch.randn(2, 5, 8, dtype=dtype), torch.randn(2, 5, 8, dtype=dtype)


def test_byol_adds_both_orders_and_has_a_scale():
    p, t = batch()
    expected = regression_loss(p[0], t[1]).mean() + regression_loss(p[1], t[0]).mean()
    torch.testing.assert_close(objective_of()(p, t), expected)
    torch.testing.assert_close(objective_of(**{"loss.scale": 0.5})(p, t), expected / 2)


def test_one_sided_loss_is_the_first_order_alone():
    p, t = batch()
    p.requires_grad_(True)
    loss = objective_of(**{"loss.symmetric": False})(p, t)
    torch.testing.assert_close(loss, regression_loss(p[0], t[1]).mean())
    loss.backward()
    assert p.grad[0].any() and not p.grad[1].any()


def test_a_quarter_of_byols_loss_is_simsiams_but_for_one_half():
    p, t = batch(dtype=torch.float64)
    there = -F.cosine_similarity(p[0], t[1]).mean()
    back = -F.cosine_similarity(p[1], t[0]).mean()
    torch.testing.assert_close(objective_of(**{"loss.scale": 0.25})(p, t), 1 + (there + back) / 2)


def test_negatives_come_from_both_views():
    p, t = batch()
    there = regression_with_negatives(p[0], t[1], t[0], 0.5, 0.3).mean()
    back = regression_with_negatives(p[1], t[0], t[1], 0.5, 0.3).mean()
    torch.testing.assert_close(objective_of(**OBJECTIVES["negatives"])(p, t), there + back)


def test_simclr_is_the_mean_over_both_views():
    p, t = batch()
    torch.testing.assert_close(
        objective_of(**OBJECTIVES["simclr"])(p, t), nt_xent(p, t, 0.5).mean()
    )


def test_moco_adds_the_cross_entropies_of_both_orders():
    p, t = batch()
    objective = objective_of(method="moco")
    queue = objective.state()["queue"]
    there = contrastive_loss(p[0], t[1], queue, 0.2).mean()
    back = contrastive_loss(p[1], t[0], queue, 0.2).mean()
    torch.testing.assert_close(objective(p, t), there + back)


def test_the_random_encoder_minimizes_nothing():
    assert objective_of(method="random") is None


@pytest.mark.parametrize("overrides", OBJECTIVES.values(), ids=OBJECTIVES)
def test_every_objective_passes_its_gradient_to_predictions_and_to_an_online_target(overrides):
    p, t = batch(dtype=torch.float64)
    p.requires_grad_(True)
    t.requires_grad_(True)
    assert torch.autograd.gradcheck(objective_of(**overrides), (p, t))


@pytest.mark.parametrize("overrides", OBJECTIVES.values(), ids=OBJECTIVES)
def test_every_objective_computes_in_float32_whatever_the_networks_do(overrides):
    p, t = batch()
    low = p.bfloat16(), t.bfloat16()
    objective = objective_of(**overrides)
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(*low)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, objective(low[0].float(), low[1].float()))


@pytest.mark.parametrize("overrides", OBJECTIVES.values(), ids=OBJECTIVES)
def test_no_objective_waits_for_the_device(overrides):
    p, t = batch()
    p.requires_grad_(True)
    objective = objective_of(**overrides)
    with NoHostWaits():
        objective(p, t).backward()
        objective.remember(t)


@pytest.mark.parametrize(("keys", "views"), [("both", 2), ("first", 1)])
def test_the_queue_holds_the_newest_keys(keys, views):
    objective = objective_of(**{"method": "moco", "loss.queue_keys": keys})
    memory = objective.state()["queue"]
    ring = deque([tuple(row.tolist()) for row in memory], maxlen=12)
    for seed in range(7):
        _, t = batch(seed)
        objective.remember(t)
        ring.extend(tuple(row.tolist()) for row in F.normalize(t[:views], dim=-1).flatten(0, 1))

        held = sorted(tuple(row.tolist()) for row in objective.state()["queue"])
        torch.testing.assert_close(torch.tensor(held), torch.tensor(sorted(ring)))
    assert objective.state()["queue"].data_ptr() == memory.data_ptr()  # in place


def test_of_more_keys_than_places_the_last_stay():
    objective = objective_of(**{"method": "moco", "loss.queue_size": 3})
    _, t = batch()
    objective.remember(t)
    torch.testing.assert_close(objective.state()["queue"], F.normalize(t[1, -3:], dim=-1))


def test_the_first_queue_depends_on_the_seed_alone():
    queues = [objective_of(method="moco", seed=seed).state()["queue"] for seed in (0, 0, 1)]
    assert torch.equal(queues[0], queues[1]) and not torch.equal(queues[0], queues[2])
    torch.testing.assert_close(queues[0].norm(dim=1), torch.ones(12))


def test_a_queue_goes_on_from_its_state():
    first = objective_of(method="moco")
    for seed in range(2):
        first.remember(batch(seed)[1])
    state = {name: value.clone() for name, value in first.state().items()}

    second = objective_of(method="moco", seed=5)
    second.load_state(state)
    for objective in (first, second):
        objective.remember(batch(2)[1])
    assert torch.equal(first.state()["queue"], second.state()["queue"])
    assert torch.equal(first(*batch(3)), second(*batch(3)))


OWN_LOSS = '''
import torch

class Huber:
    """Compares unit vectors by Huber's loss, and counts its steps."""

    def __init__(self, config):
        self.steps = torch.zeros(())

    def __call__(self, prediction, target):
        q = torch.nn.functional.normalize(prediction, dim=-1)
        z = torch.nn.functional.normalize(target, dim=-1)
        return torch.nn.functional.huber_loss(q, z.flip(0))

    def remember(self, target):
        self.steps += 1

    def state(self):
        return {"steps": self.steps}

    def load_state(self, state):
        self.steps = state["steps"].clone()

class Bare:
    def __init__(self, config):
        self.width = config.projector.out

    def __call__(self, prediction, target):
        return (prediction - target.flip(0)).abs().sum() / self.width
'''


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_losses_of_a_test.py").write_text(OWN_LOSS)
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_losses_of_a_test"
    sys.modules.pop("own_losses_of_a_test", None)


def test_a_loss_of_the_users_own_is_scaled_and_keeps_its_state(own_module):
    p, t = batch()
    objective = objective_of(**{"method": f"{own_module}:Huber", "loss.scale": 2.0})
    expected = F.huber_loss(F.normalize(p, dim=-1), F.normalize(t, dim=-1).flip(0))
    torch.testing.assert_close(objective(p, t), 2 * expected)

    objective.remember(t)
    resumed = objective_of(method=f"{own_module}:Huber")
    resumed.load_state(objective.state())
    assert float(resumed.state()["steps"]) == 1


def test_a_loss_without_state_needs_none_of_its_methods(own_module):
    p, t = batch()
    objective = objective_of(method=f"{own_module}:Bare")
    objective.remember(t)
    assert objective.state() == {}
    torch.testing.assert_close(objective(p, t), (p - t.flip(0)).abs().sum() / 8)


def test_a_loss_that_does_not_exist_is_refused(own_module):
    with pytest.raises(PlugInError, match="Missing"):
        objective_of(method=f"{own_module}:Missing")


def test_negatives_need_cosines():
    with pytest.raises(ConfigError, match=r"loss\.normalize 'layer'") as refusal:
        resolve("digits-tiny", {"loss.beta": 1.0, "loss.normalize": "layer"})
    assert refusal.value.key == "loss.beta"
    resolve("digits-tiny", {"method": "moco", "loss.beta": 1.0, "loss.normalize": "layer"})
