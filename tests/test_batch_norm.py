"""Batch norm with a view axis against PyTorch's, and each leakage switch against its definition."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from byol_core.config import BatchNormConfig, EncoderConfig, resolve
from byol_core.networks.batch_norm import BatchNorm
from byol_core.networks.batch_statistics import (
    averaging,
    keeping_averages,
    set_frozen,
    set_order,
    set_statistics,
)
from byol_core.networks.byol import Online, Target
from byol_core.networks.init import calibrating, initialize
from byol_core.networks.norms import make_norm
from byol_core.train.start import _order_channels_last

VIEWS, IMAGES, CHANNELS = 2, 12, 5
CLOSE = {"rtol": 2e-6, "atol": 2e-6}


def make(affine=True, **config):
    layer = BatchNorm(CHANNELS, BatchNormConfig(**config), affine)
    layer.views = VIEWS
    if affine:
        random = np.random.default_rng(7)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(random.uniform(0.5, 2, CHANNELS)))
            layer.bias.copy_(torch.from_numpy(random.normal(size=CHANNELS)))
    return layer.train()


def inputs(*spatial, batches=1, dtype=torch.float32):
    """Return batches of two stacked views that differ in mean and deviation."""
    random = np.random.default_rng(1)
    x = random.normal(size=(batches, VIEWS, IMAGES, CHANNELS, *spatial))
    x[:, 1] = 2 * x[:, 1] + 3
    return torch.from_numpy(x).to(dtype).flatten(1, 2)


def torchs(layer, of_images):
    """Return PyTorch's batch norm with the same parameters."""
    own = nn.BatchNorm2d(CHANNELS) if of_images else nn.BatchNorm1d(CHANNELS)
    own.load_state_dict(layer.state_dict() | {"num_batches_tracked": torch.tensor(0)})
    return own.to(layer.running_mean.dtype).train()


def outcome(forward, layer, x):
    """Return the output, every gradient and the running averages of one pass."""
    x = x.clone().requires_grad_()
    y = forward(x)
    layer.zero_grad()
    toward = torch.from_numpy(np.random.default_rng(3).normal(size=y.shape)).to(y.dtype)
    (y * toward).sum().backward()
    gradients = [p.grad for p in layer.parameters()]
    return [y.detach(), x.grad, *gradients, layer.running_mean, layer.running_var]


def assert_equal_outcomes(first, second):
    for ours, theirs in zip(first, second, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("spatial", [(), (3, 4)])
def test_per_view_is_one_pass_of_pytorchs_per_view(spatial):
    ours = make()
    theirs = torchs(ours, bool(spatial))
    (x,) = inputs(*spatial)
    assert_equal_outcomes(
        outcome(ours, ours, x),
        outcome(lambda v: torch.cat([theirs(v[:IMAGES]), theirs(v[IMAGES:])]), theirs, x),
    )


@pytest.mark.parametrize("spatial", [(), (3, 4)])
def test_joint_is_one_pass_of_pytorchs_over_both_views(spatial):
    ours = make(views="joint")
    theirs = torchs(ours, bool(spatial))
    (x,) = inputs(*spatial)
    assert_equal_outcomes(outcome(ours, ours, x), outcome(theirs, theirs, x))


@pytest.mark.parametrize("spatial", [(), (3, 4)])
@pytest.mark.parametrize("views", ["per_view", "joint"])
def test_taking_sets_apart_equals_the_plain_path(spatial, views, monkeypatch):
    """The path that all other settings go agrees with PyTorch's where both exist."""
    general, plain = make(views=views), make(views=views)
    monkeypatch.setattr(general, "_is_plain", lambda x: False)
    (x,) = inputs(*spatial)
    assert_equal_outcomes(outcome(general, general, x), outcome(plain, plain, x))


def test_a_network_equals_separate_passes_of_a_network_with_pytorchs_batch_norm():
    """Both views at once through the whole network, in float64: outputs, gradients and averages."""
    ours, theirs = _networks(torch.float64)
    views, toward = _views_and_direction(torch.float64)
    together = ours.predictor(ours(views)[1])
    apart = torch.stack([theirs.predictor(theirs(view)[1]) for view in views])
    torch.testing.assert_close(together, apart)
    for output in (together, apart):
        (output * toward).mean().backward()
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, msg=name)
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, theirs.get_buffer(name))


def test_a_network_in_float32_is_as_exact_as_pytorchs():
    """Its output errs no more against float64 than 1.5 times that of one pass a view."""
    exact, _ = _networks(torch.float64)
    ours, theirs = _networks(torch.float32)
    views, _ = _views_and_direction(torch.float32)
    expected = exact.predictor(exact(views.double())[1])
    together = ours.predictor(ours(views)[1])
    apart = torch.stack([theirs.predictor(theirs(view)[1]) for view in views])
    own_error = (together - expected).norm()
    their_error = (apart - expected).norm()
    assert own_error < 1.5 * their_error < 1e-5 * expected.norm()


def _networks(dtype):
    """Return a network, and the same with PyTorch's batch norms in it."""
    config = resolve("digits-tiny", {})
    ours = Online(config, 1)
    initialize(ours, config.init, 0)
    theirs = Online(config, 1)
    theirs.load_state_dict(ours.state_dict())
    for parent in list(theirs.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BatchNorm):
                setattr(parent, name, _torchs_for(child, of_images="Conv" in str(parent)))
    return ours.to(dtype), theirs.to(dtype)


def _views_and_direction(dtype):
    views = torch.rand(2, 16, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    toward = torch.rand(2, 16, 64, generator=torch.Generator().manual_seed(1))
    return views.to(dtype), toward.to(dtype)


def _torchs_for(layer, of_images):
    own = (nn.BatchNorm2d if of_images else nn.BatchNorm1d)(len(layer.running_mean))
    own.load_state_dict(layer.state_dict() | {"num_batches_tracked": torch.tensor(0)})
    return own


@pytest.mark.parametrize("views", ["per_view", "joint"])
def test_groups_equal_a_loop_over_them(views):
    ours = make(group=4, views=views)
    theirs = torchs(ours, of_images=True)
    (x,) = inputs(3, 4)

    def by_loop(both):
        stacked = both.unflatten(0, (VIEWS, IMAGES))
        y = torch.empty_like(stacked)
        sets = [slice(0, 1), slice(1, 2)] if views == "per_view" else [slice(0, 2)]
        for of_views in sets:
            for start in range(0, IMAGES, 4):
                chunk = stacked[of_views, start : start + 4]
                normalized = theirs(chunk.flatten(0, 1)).view_as(chunk)
                y[of_views, start : start + 4] = normalized
        return y.flatten(0, 1)

    assert_equal_outcomes(outcome(ours, ours, x), outcome(by_loop, theirs, x))


def test_shuffled_groups_are_the_groups_of_another_order():
    ours, plain = make(group=4), make(group=4)
    (x,) = inputs(3, 4)
    order = np.random.default_rng(5).permutation(IMAGES)
    set_order(ours, order)

    stacked = x.unflatten(0, (VIEWS, IMAGES))
    expected = torch.empty_like(stacked)
    expected[:, order] = plain(stacked[:, order].flatten(0, 1)).view_as(stacked)
    y = ours(x)
    torch.testing.assert_close(y, expected.flatten(0, 1), **CLOSE)
    assert not torch.allclose(y, make(group=4)(x), atol=1e-2)


def test_a_later_order_is_written_in_place():
    network = nn.Sequential(make(group=4), make(group=4))
    set_order(network, np.arange(IMAGES))
    first = network[0].order
    set_order(network, np.arange(IMAGES)[::-1].copy())
    assert network[0].order is network[1].order is first and int(first[0]) == IMAGES - 1


def test_an_order_without_groups_changes_no_bit():
    ours, plain = make(parts="centre"), make(parts="centre")
    set_order(ours, np.random.default_rng(5).permutation(257))
    x = torch.randn(2 * 257, CHANNELS, 3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours(x), plain(x))


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("parts", ["both", "centre", "scale"])
def test_parts_and_gradient_equal_the_formula_in_float64(parts, gradient):
    ours = make(parts=parts, gradient=gradient).double()
    (x,) = inputs(3, 4, dtype=torch.float64)

    def formula(both):
        weight, bias = ours.weight.view(-1, 1, 1), ours.bias.view(-1, 1, 1)
        outputs = []
        for view in both.chunk(2):
            mean = view.mean((0, 2, 3), keepdim=True)
            variance = ((view - mean) ** 2).mean((0, 2, 3), keepdim=True)
            if not gradient:
                mean, variance = mean.detach(), variance.detach()
            centre = mean if parts != "scale" else 0
            scale = (variance + 1e-5) ** 0.5 if parts != "centre" else 1
            outputs.append((view - centre) / scale * weight + bias)
        return torch.cat(outputs)

    by_formula = outcome(formula, ours, x)[:4]
    ours_now = outcome(ours, ours, x)[:4]
    for mine, expected in zip(ours_now, by_formula, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("parts", ["both", "centre", "scale"])
def test_evaluation_uses_running_averages_with_the_same_parts(parts):
    layer = make(parts=parts)
    layer(inputs(3, 4)[0])
    layer.eval()
    x = inputs(3, 4)[0][:3]
    mean = layer.running_mean.view(-1, 1, 1) if parts != "scale" else 0
    scale = (layer.running_var.view(-1, 1, 1) + 1e-5) ** 0.5 if parts != "centre" else 1
    expected = (x - mean) / scale * layer.weight.view(-1, 1, 1) + layer.bias.view(-1, 1, 1)
    torch.testing.assert_close(layer(x), expected, **CLOSE)
    torch.testing.assert_close(layer(x)[:1], layer(x[:1]), **CLOSE)


def test_momentum_weighs_the_newest_batch():
    layer = make(momentum=0.25)
    theirs = torchs(layer, of_images=True)
    theirs.momentum = 0.25
    (x,) = inputs(3, 4)
    layer(x)
    for view in x.chunk(2):
        theirs(view)
    torch.testing.assert_close(layer.running_var, theirs.running_var, **CLOSE)


def test_the_batch_before_normalizes_and_no_image_sees_its_mates():
    layer = make(source="other_batch")
    first, second, third = inputs(3, 4, batches=3)
    torch.testing.assert_close(layer(first), make()(first), **CLOSE)

    # The second batch by the statistics of the first, each view by its own.
    layer(second)
    y = layer(third)
    for number, view in enumerate(third.chunk(2)):
        earlier = second.chunk(2)[number]
        mean = earlier.mean((0, 2, 3)).view(-1, 1, 1)
        variance = earlier.var((0, 2, 3), correction=0).view(-1, 1, 1)
        expected = (view - mean) / (variance + 1e-5) ** 0.5
        expected = expected * layer.weight.view(-1, 1, 1) + layer.bias.view(-1, 1, 1)
        torch.testing.assert_close(y.chunk(2)[number], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("source", ["running", "other_batch"])
@pytest.mark.parametrize("views", ["per_view", "joint"])
def test_after_the_first_batch_no_other_source_leaks(source, views):
    """An image's output and gradient do not change with its mates."""
    layer = make(source=source, views=views)
    first, second = inputs(3, 4, batches=2)
    layer(first)
    state = {name: value.clone() for name, value in layer.state_dict().items()}

    changed = second.clone()
    changed[1:IMAGES] += 100
    rows = []
    for batch in (second, changed):
        layer.load_state_dict(state)
        x = batch.clone().requires_grad_()
        y = layer(x)
        y[0].sum().backward()
        assert not x.grad[1:].any()
        rows.append(y[0].detach())
    assert torch.equal(rows[0], rows[1])


def test_running_averages_normalize_as_they_stand_before_the_batch():
    layer = make(source="running")
    first, second = inputs(3, 4, batches=2)
    torch.testing.assert_close(layer(first), make()(first), **CLOSE)

    # The averages begin at the first batch, not at 0 and 1, which would normalize nothing.
    means = [view.mean((0, 2, 3)) for view in first.chunk(2)]
    variances = [view.var((0, 2, 3)) for view in first.chunk(2)]
    for average, (view1, view2) in ((layer.running_mean, means), (layer.running_var, variances)):
        start = (view1 + view2) / 2
        torch.testing.assert_close(average, start.lerp(view1, 0.1).lerp(view2, 0.1), **CLOSE)

    before = [layer.running_mean.clone(), layer.running_var.clone()]
    y = layer(second)
    mean, variance = (value.view(-1, 1, 1) for value in before)
    expected = (second - mean) / (variance + 1e-5) ** 0.5
    expected = expected * layer.weight.view(-1, 1, 1) + layer.bias.view(-1, 1, 1)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    assert not torch.equal(layer.running_mean, before[0])


@pytest.mark.parametrize("source", ["batch", "running", "other_batch"])
def test_a_layer_goes_on_exactly_from_its_state(source):
    whole, parts = make(source=source), make(source=source)
    batches = inputs(3, 4, batches=3)
    for x in batches[:2]:
        whole(x)
        parts(x)
    resumed = make(source=source)
    resumed.load_state_dict(parts.state_dict())
    assert torch.equal(whole(batches[2]), resumed(batches[2]))
    assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))


def test_frozen_statistics_stand_still_while_the_rest_trains():
    layer = make()
    first, second = inputs(3, 4, batches=2)
    layer(first)
    kept = layer.running_mean.clone()
    set_frozen(layer, True)
    y = layer(second)
    y.sum().backward()
    torch.testing.assert_close(y, layer.eval()(second))
    assert torch.equal(layer.running_mean, kept) and bool(layer.weight.grad.any())

    set_frozen(layer.train(), False)
    layer(second)
    assert not torch.equal(layer.running_mean, kept)


@pytest.mark.parametrize("source", ["batch", "other_batch"])
def test_the_targets_averages_are_its_own_or_what_is_written_into_them(source):
    (x,) = inputs(3, 4)
    for policy in ("own", "ema", "eval"):
        layer = make(source=source)
        set_statistics(layer, policy)
        y = layer(x)
        moved = bool(layer.running_mean.any())
        assert moved is (policy == "own")
        expected = make().eval()(x) if policy == "eval" else make()(x)
        torch.testing.assert_close(y, expected, **CLOSE)


def test_the_target_network_alone_has_the_targets_policy():
    config = resolve("digits-tiny", {"batch_norm.target": "eval"})
    layers = [m for m in Target(config, 1).modules() if isinstance(m, BatchNorm)]
    assert {(m.source, m.tracks) for m in layers} == {("running", False)}
    layers = [m for m in Online(config, 1).modules() if isinstance(m, BatchNorm)]
    assert {(m.source, m.tracks) for m in layers} == {("batch", True)}


def test_averaging_takes_the_plain_mean_of_all_sets():
    layer = make(momentum=0.9, source="other_batch")
    batches = inputs(3, 4, batches=3)
    with averaging(layer):
        for x in batches:
            layer(x)
    sets = batches.unflatten(1, (VIEWS, IMAGES)).flatten(0, 1)
    means = torch.stack([view.mean((0, 2, 3)) for view in sets])
    variances = torch.stack([view.var((0, 2, 3)) for view in sets])
    torch.testing.assert_close(layer.running_mean, means.mean(0), **CLOSE)
    torch.testing.assert_close(layer.running_var, variances.mean(0), **CLOSE)
    assert layer.averaged is None and layer.source == "other_batch"


def test_keeping_averages_leaves_every_buffer_as_it_was():
    layer = make(group=4, source="running")
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    with keeping_averages(layer):
        y = layer(inputs(3, 4)[0][: 2 * 5])
    torch.testing.assert_close(y.mean((0, 2, 3)), layer.bias.detach(), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert layer.tracks and layer.group == 4


def test_without_affine_there_is_nothing_to_train():
    layer = make(affine=False)
    assert not list(layer.parameters())
    (x,) = inputs(3, 4)
    theirs = nn.BatchNorm2d(CHANNELS, affine=False)
    torch.testing.assert_close(layer(x)[:IMAGES], theirs(x[:IMAGES]), **CLOSE)


def test_pytorchs_saved_batch_norm_loads_by_name():
    theirs = nn.BatchNorm2d(CHANNELS)
    theirs(inputs(3, 4)[0])
    layer = make()
    layer.load_state_dict(theirs.state_dict())
    assert torch.equal(layer.running_mean, theirs.running_mean)


@pytest.mark.parametrize("norm", ["bn", "ln", "gn", "in", "affine"])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("parts", ["both", "centre"])
def test_statistics_are_float32_under_bfloat16(norm, affine, parts):
    """A mean of 300 and a deviation of 4 are lost to bfloat16, which steps by 2 there."""
    encoder = EncoderConfig(norm=norm, gn_groups=2, norm_affine=affine)
    layer = make_norm(encoder, BatchNormConfig(parts=parts), 4, of_images=True)
    random = torch.Generator().manual_seed(0)
    x = (300 + 4 * torch.randn(12, 4, 3, 4, generator=random)).bfloat16()
    with calibrating(layer):
        layer(x)
    y = layer(x)
    assert y.dtype == torch.bfloat16
    exact = copy.deepcopy(layer).double()(x.double())
    torch.testing.assert_close(y.double(), exact, rtol=1e-2, atol=1e-2)
    assert all(value.dtype == torch.float32 for value in layer.state_dict().values())


def test_a_part_of_the_users_own_may_hold_weights_of_any_shape():
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Conv3d(1, 1, 2))
    _order_channels_last(network)
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert network[1].weight.is_contiguous()
