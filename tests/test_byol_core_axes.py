"""Axes of the studies in whole steps and runs: norm, start, λ, τ and the target, each against its
definition.
"""

import pytest
import torch
from training import CPU, Lab

from byol_core.config import canonical
from byol_core.networks.batch_norm import BatchNorm
from byol_core.networks.norms import Affine
from byol_core.train import Options, train
from byol_core.train.start import start_networks

AFFINE = {f"{part}__norm": "affine" for part in ("encoder", "projector", "predictor")}


# The modified init.


def test_a_copied_target_starts_from_the_fitted_network(tiny):
    lab = Lab(tiny(**AFFINE))
    online = lab.parameters()
    assert all(torch.equal(value, online[name]) for name, value in lab.target.named_parameters())


def test_a_drawn_target_is_fitted_to_its_own_weights(tiny):
    """Its projections have the deviation that an ordinary start has; under another network's γ and β
    they had a fifth of it.
    """
    lab = Lab(tiny(**AFFINE, target__start="draw"))
    with torch.no_grad():
        stds = [float(net(lab.start_views)[1].std()) for net in (lab.online, lab.target)]
    assert stds[1] == pytest.approx(stds[0], rel=0.2)
    fitted = [m for m in lab.target.modules() if isinstance(m, Affine)]
    for layer in fitted:
        assert bool((layer.weight != 1).all())


def test_the_affine_trains_without_decay_or_adaptation(tiny):
    lab = Lab(tiny(**AFFINE, optimizer__name="lars", optimizer__weight_decay=0.1))
    affine = {id(p) for m in lab.online.modules() if isinstance(m, Affine) for p in m.parameters()}
    seen = set()
    for group in lab.trainer.optimizer.param_groups:
        own = affine & {id(p) for p in group["params"]}
        seen |= own
        assert not own or (not group["adapt"] and group["weight_decay"] == 0.0)
    assert seen == affine and all(p.requires_grad for p in lab.online.parameters())


# What stands still, and what follows.


def test_frozen_statistics_stand_still_in_both_networks_while_weights_move(tiny):
    lab = Lab(tiny(batch_norm__frozen_from=0.5))
    lab.steps(4)
    before = {name: value.clone() for name, value in lab.online.named_buffers()}
    of_target = {name: value.clone() for name, value in lab.target.named_buffers()}
    weights = lab.parameters()
    lab.step(4)
    assert all(torch.equal(value, before[name]) for name, value in lab.online.named_buffers())
    assert all(torch.equal(value, of_target[name]) for name, value in lab.target.named_buffers())
    moved = [name for name, value in lab.parameters().items() if not value.equal(weights[name])]
    assert len(moved) > len(weights) / 2


def test_under_another_source_nothing_freezes(tiny):
    labs = [Lab(tiny(batch_norm__source="running", batch_norm__frozen_from=f)) for f in (0.25, 1.0)]
    for lab in labs:
        lab.steps(4)
    assert canonical(labs[0].config) == canonical(labs[1].config)
    assert all(map(torch.equal, *(lab.parameters().values() for lab in labs)))


@pytest.mark.parametrize("policy", ["ema", "eval"])
def test_the_targets_averages_follow_the_online_networks_by_tau(tiny, policy):
    lab = Lab(tiny(batch_norm__target=policy, target__tau_base=0.75))
    lab.step(0)
    for name, own in lab.target.named_buffers():
        online = lab.online.get_buffer(name)
        start = 0.0 if name.endswith("mean") else 1.0
        torch.testing.assert_close(own, 0.75 * start + 0.25 * online, rtol=1e-5, atol=1e-6)


def test_own_averages_are_of_the_targets_batches(tiny):
    lab = Lab(tiny(target__tau_base=1.0, target__start="draw"))
    lab.step(0)
    for name, own in lab.target.named_buffers():
        assert not torch.equal(own, lab.online.get_buffer(name)), name


def test_shuffled_groups_differ_from_step_to_step_and_only_in_the_target(tiny):
    lab = Lab(tiny(batch_norm__group=16, batch_norm__shuffle=True))
    orders = []
    for step in range(2):
        lab.step(step)
        layers = [m for m in lab.target.modules() if isinstance(m, BatchNorm)]
        orders.append(layers[0].order.clone())
    assert sorted(orders[0].tolist()) == list(range(64)) and not torch.equal(*orders)
    assert all(m.order is None for m in lab.online.modules() if isinstance(m, BatchNorm))


RESUMED = {
    "affine": AFFINE,
    "other_batch": {"batch_norm__source": "other_batch", "batch_norm__target": "eval"},
    "shuffled": {
        "batch_norm__group": 16,
        "batch_norm__shuffle": True,
        "batch_norm__frozen_from": 0.75,
    },
}


@pytest.mark.parametrize("axis", RESUMED)
def test_a_run_of_each_axis_resumes_exactly(tmp_path, tiny, silent, axis):
    options = Options(device="cpu", threads=1, log_every=1, protocols=())
    whole = silent()
    parts = [silent(3), silent()]
    train(tiny(**RESUMED[axis]), tmp_path / "whole", options, whole)
    for observer in parts:
        train(tiny(**RESUMED[axis]), tmp_path / "parts", options, observer)
    assert len(whole.points) == 8 and parts[0].points + parts[1].points == whole.points


# λ, τ and the target.


def test_both_networks_are_in_training_mode_at_every_step(tiny):
    """Also where the target normalizes by running averages: that is a setting of its norms."""
    lab = Lab(tiny(batch_norm__target="eval", batch_norm__frozen_from=0.5))
    for step in range(3):
        lab.step(step)
        for network in (lab.online, lab.target):
            assert all(layer.training for layer in network.modules())


@pytest.mark.parametrize("moves", ["before", "after"])
def test_the_target_moves_once_a_step_whatever_the_parts(tiny, moves):
    lab = Lab(tiny(accumulate=4, target__tau_base=0.75, target__moves=moves, target__start="draw"))
    target = lab.parameters("target")
    leading = lab.parameters()
    lab.step(0)
    if moves == "after":
        leading = lab.parameters()
    for name, moved in lab.target.named_parameters():
        torch.testing.assert_close(moved, 0.75 * target[name] + 0.25 * leading[name])


def test_of_parts_the_last_alone_is_measured(tiny):
    lab = Lab(tiny(accumulate=4))
    calls = []
    measure = lab.trainer.measure
    lab.trainer.measure = lambda outputs: calls.append(outputs) or measure(outputs)
    assert lab.step(0).measured is not None and len(calls) == 1


def test_lambda_zero_freezes_the_predictor_alone(tiny):
    lab = Lab(tiny(optimizer__lambda_predictor=0.0, target__tau_base=0.0))
    start = lab.parameters()
    lab.steps(3)
    for name, value in lab.online.named_parameters():
        if value.grad is not None and bool(value.grad.any()):
            assert torch.equal(value, start[name]) == name.startswith("predictor."), name


def test_lambda_scales_the_predictors_first_step(tiny):
    labs = [Lab(tiny()), Lab(tiny(optimizer__lambda_predictor=10.0))]
    start = labs[0].parameters()
    for lab in labs:
        lab.step(0)
    plain, scaled = (lab.parameters() for lab in labs)
    for name in plain:
        factor = 10.0 if name.startswith("predictor.") else 1.0
        torch.testing.assert_close(
            scaled[name] - start[name], factor * (plain[name] - start[name]), rtol=1e-3, atol=1e-5
        )


def test_a_target_of_its_own_draw_differs_everywhere_and_stays_at_tau_one(tiny):
    lab = Lab(tiny(target__tau_base=1.0, target__start="draw"))
    online = lab.parameters()
    drawn = lab.parameters("target")
    assert all(not torch.equal(v, online[n]) for n, v in drawn.items() if v.ndim > 1)
    lab.step(0)
    assert all(torch.equal(value, drawn[n]) for n, value in lab.target.named_parameters())


def test_simclr_has_neither_predictor_nor_target(tmp_path, tiny, silent):
    config = tiny(method="simclr")
    options = Options(device="cpu", threads=1, protocols=())
    assert train(config, tmp_path, options, silent()).outcome == "ok"
    assert set(torch.load(tmp_path / "encoder" / "state.pt", weights_only=True)) == {"online"}

    online, target = start_networks(config, 1, 10, CPU)
    assert target is None and not list(online.predictor.parameters())
    same = tiny(method="simclr", predictor__norm="none", target__tau_base=0.5)
    other = tiny(method="simclr", loss__temperature=0.5)
    assert canonical(config) == canonical(same) != canonical(other)
