"""Draws of random views: a stream for each operation, so that variants differ in their axis alone."""

import hashlib
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import torch

from byol_core.augment.draws import ViewDraws, draw_view
from byol_core.config import Augment
from byol_core.streams import happens, stream, uniform

RGB = (3, 6, 5)
GREY = (1, 6, 5)
EVERYTHING = {
    "rotate_rad": 0.4,
    "scale": (0.6, 1.2),
    "shift": 0.25,
    "crop_p": 0.5,
    "crop_area": (0.2, 1.0),
    "crop_ratio": (0.75, 1.3333),
    "flip_p": 0.5,
    "jitter_p": 0.5,
    "jitter_brightness": 0.4,
    "jitter_contrast": 0.4,
    "jitter_saturation": 0.2,
    "jitter_hue": 0.1,
    "grayscale_p": 0.2,
    "blur_p": (0.5, 0.5),
    "blur_sigma": (0.1, 2.0),
    "solarize_p": (0.5, 0.2),
    "extra": "own_draws:Erase",
    "gain": 0.5,
    "offset": 0.2,
    "noise_std": 0.05,
    "normalize": "none",
}
CROP = {"crop", "crop_area", "crop_ratio", "crop_place"}
JITTER_PARTS = {"jitter_brightness", "jitter_contrast", "jitter_saturation", "jitter_hue"}

# Key → other values (off where it can be off), and whose draws they may change.
CHANGES = {
    "rotate_rad": ((0.0, 0.8), {"rotate_rad"}),
    "scale": (((1.0, 1.0), (0.5, 2.0)), {"scale"}),
    "shift": ((0.0, 0.1), {"shift"}),
    "crop_p": ((0.0, 1.0), CROP),
    "crop_area": (((0.08, 1.0), (1.0, 1.0)), {"crop_area"}),
    "crop_ratio": (((1.0, 1.0), (0.5, 2.0)), {"crop_ratio"}),
    "flip_p": ((0.0, 1.0), {"flip"}),
    "jitter_p": ((0.0, 1.0), {"jitter", "jitter_order", *JITTER_PARTS}),
    "jitter_brightness": ((0.0, 1.0), {"jitter_brightness"}),
    "jitter_contrast": ((0.0, 1.0), {"jitter_contrast"}),
    "jitter_saturation": ((0.0, 1.0), {"jitter_saturation"}),
    "jitter_hue": ((0.0, 0.5), {"jitter_hue"}),
    "grayscale_p": ((0.0, 1.0), {"grayscale"}),
    "blur_p": (((0.0, 0.0), (1.0, 0.1)), {"blur", "blur_sigma"}),
    "blur_sigma": (((1.0, 1.0), (0.1, 4.0)), {"blur_sigma"}),
    "solarize_p": (((0.0, 0.0), (1.0, 1.0)), {"solarize"}),
    "extra": (("none", "own_draws:Shade"), {"extra", "extra.happens", "extra.row"}),
    "gain": ((0.0, 1.0), {"gain"}),
    "offset": ((0.0, 1.0), {"offset"}),
    "noise_std": ((0.0, 1.0), {"noise"}),
    "normalize": (("imagenet", "cifar10"), set()),
}

OWN = """
import torch


class Erase:
    def draw(self, rng, n, shape, view):
        happens = torch.from_numpy(rng.random(n) < 0.5)
        return {"happens": happens, "row": torch.from_numpy(rng.integers(0, shape[1], n))}

    def apply(self, images, draws):
        rows = torch.arange(images.shape[2], device=images.device)
        erased = draws["happens"][:, None] & (rows == draws["row"][:, None])
        return images.masked_fill(erased[:, None, :, None], 0)


class Shade:
    def draw(self, rng, n, shape, view):
        return torch.from_numpy(rng.random((n, 1, 1, 1), dtype="float32"))

    def apply(self, images, draws):
        return images * draws
"""


@pytest.fixture(autouse=True)
def own_operations(tmp_path, monkeypatch):
    """Operations of one's own, importable."""
    (tmp_path / "own_draws.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)


def drawn(n=40, seed=0, names=(3, 7), view=1, shape=RGB, **changes):
    return draw_view(Augment(**{**EVERYTHING, **changes}), seed, names, view, n, shape)


def equal(some, others):
    return some.keys() == others.keys() and all(torch.equal(some[k], others[k]) for k in some)


def without(draws, operations):
    return ViewDraws({name: draw for name, draw in draws.items() if name not in operations})


def test_the_table_of_changes_names_every_setting():
    assert CHANGES.keys() == EVERYTHING.keys() == Augment.model_fields.keys()


@pytest.mark.parametrize("view", [1, 2])
@pytest.mark.parametrize("key", CHANGES)
def test_an_operation_that_is_off_or_changed_leaves_the_draws_of_every_other(key, view):
    values, own = CHANGES[key]
    before = without(drawn(view=view), own)
    for value in values:
        after = drawn(view=view, **{key: value})
        assert equal(before, without(after, own))


@pytest.mark.parametrize("key", CHANGES)
def test_what_is_off_draws_nothing_and_what_changes_draws_something_else(key):
    (first, second), own = CHANGES[key]
    is_off = first in (0.0, (0.0, 0.0), "none") or key == "scale"
    if is_off:
        assert not own & drawn(**{key: first}).keys()
    if own:
        assert not equal(drawn(), drawn(**{key: second}))


def test_draws_depend_on_seed_names_and_view_and_on_nothing_else():
    assert equal(drawn(), drawn())
    others = [drawn(seed=1), drawn(names=(3, 8)), drawn(names=(4, 7)), drawn(view=2)]
    for name, draw in drawn().items():
        values = draw.float().flatten().tolist()
        assert all(other[name].float().flatten().tolist() != values for other in others), name


def test_no_two_operations_share_their_numbers():
    draws = drawn(n=4000, grayscale_p=0.5)
    happens = [draw.double() for draw in draws.values() if draw.dtype == torch.bool]
    numbers = [draw.double() for draw in draws.values() if draw.dtype == torch.float32]
    flat = [draw.reshape(4000, -1)[:, 0] for draw in happens + numbers]
    correlation = torch.corrcoef(torch.stack(flat)) - torch.eye(len(flat))
    assert len(flat) == 18 and float(correlation.abs().max()) < 0.07  # 4.4 standard deviations


def test_every_draw_is_of_fixed_shape_and_a_row_for_each_image():
    shapes = {name: tuple(draw.shape) for name, draw in drawn(n=7).items()}
    wide = {
        "shift": (7, 2),
        "crop_area": (7, 10),
        "crop_ratio": (7, 10),
        "crop_place": (7, 2),
        "jitter_order": (7, 4),
        "noise": (7, *RGB),
    }
    assert shapes == {name: wide.get(name, (7,)) for name in shapes} and len(shapes) == 23


@pytest.mark.parametrize("rows", [slice(5, 9), slice(0, 40, 2), torch.tensor([3, 1, 1])])
def test_draws_are_cut_by_rows(rows):
    some = drawn().rows(rows)
    assert some.keys() == drawn().keys()
    assert all(torch.equal(draw, drawn()[name][rows]) for name, draw in some.items())


def test_grey_images_draw_no_colour_and_the_rest_as_if_they_had_colour():
    colour = {"jitter_saturation", "jitter_hue", "grayscale"}
    grey = drawn(shape=GREY)
    assert not colour & grey.keys()
    assert equal(without(grey, {"noise"}), without(drawn(), {*colour, "noise"}))


def test_every_order_of_jitter_is_as_frequent_as_every_other():
    orders = drawn(n=24_000)["jitter_order"].tolist()
    counts = Counter(map(tuple, orders))
    assert counts.keys() == set(permutations(range(4)))
    chi_square = sum((count - 1000) ** 2 / 1000 for count in counts.values())
    assert chi_square < 44.2  # 23 degrees of freedom, p = .005


def test_a_higher_probability_adds_images_and_takes_none_away():
    for key, name in (("flip_p", "flip"), ("grayscale_p", "grayscale"), ("crop_p", "crop")):
        rarely = drawn(n=4000, **{key: 0.3})[name]
        often = drawn(n=4000, **{key: 0.6})[name]
        assert not bool((rarely & ~often).any())
        assert float(rarely.float().mean()) == pytest.approx(0.3, abs=0.03)
        assert float(often.float().mean()) == pytest.approx(0.6, abs=0.03)


def test_a_greater_strength_draws_the_same_numbers_further_apart():
    weak = drawn(jitter_brightness=0.2)["jitter_brightness"] - 1
    strong = drawn(jitter_brightness=0.8)["jitter_brightness"] - 1
    torch.testing.assert_close(4 * weak, strong, atol=1e-6, rtol=0)


def test_probability_1_happens_always():
    assert bool(drawn(n=2000, flip_p=1.0)["flip"].all())


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("rotate_rad", -0.4, 0.4),
        ("scale", 0.6, 1.2),
        ("shift", -0.25, 0.25),
        ("crop_area", 0.2, 1.0),
        ("crop_place", 0.0, 1.0),
        ("jitter_contrast", 0.6, 1.4),
        ("jitter_hue", -0.1, 0.1),
        ("blur_sigma", 0.1, 2.0),
        ("gain", 0.5, 1.5),
        ("offset", -0.2, 0.2),
    ],
)
def test_numbers_are_uniform_in_their_range(name, low, high):
    numbers = (drawn(n=4000)[name].flatten().double() - low) / (high - low)
    assert 0 - 1e-6 <= float(numbers.min()) < 0.01 and 0.99 < float(numbers.max()) <= 1 + 1e-6
    steps = torch.linspace(0, 1, len(numbers), dtype=torch.float64)
    assert float((numbers.sort().values - steps).abs().max()) < 0.03  # Kolmogorov and Smirnov's


def test_ratios_of_crops_are_log_uniform_so_wide_and_high_are_as_frequent():
    ratio = drawn(n=2000, crop_ratio=(0.5, 2.0))["crop_ratio"]
    assert ratio.dtype == torch.float64
    assert float((ratio > 1).double().mean()) == pytest.approx(0.5, abs=0.02)
    assert 0.5 <= float(ratio.min()) < 0.51 and 1.96 < float(ratio.max()) <= 2


def test_views_draw_by_their_own_probabilities():
    first, second = (drawn(n=4000, view=view, blur_p=(1.0, 0.0)) for view in (1, 2))
    assert bool(first["blur"].all()) and not {"blur", "blur_sigma"} & second.keys()


def test_draws_go_to_a_device_as_they_are():
    moved = drawn().to(torch.device("meta"))
    assert moved.keys() == drawn().keys() and all(d.device.type == "meta" for d in moved.values())
    assert equal(drawn().to(torch.device("cpu")), drawn())


@pytest.mark.parametrize("names", [(), ("crop", 1), (3, 0, "crop_area", 2)])
def test_a_stream_is_philox_keyed_by_half_of_the_sha256_of_its_names(names):
    digest = hashlib.sha256(repr((7, *names)).encode()).digest()
    plain = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
    untouched = str(plain.state)
    expected = np.random.Generator(plain).random(9, dtype=np.float32)

    scaled = torch.from_numpy(expected) * (0.7 - -0.2) + -0.2
    assert torch.equal(uniform(stream(7, *names), -0.2, 0.7, 9), scaled)
    assert torch.equal(happens(stream(7, *names), 0.4, 9), torch.from_numpy(expected) < 0.4)
    assert str(stream(7, *names).bit_generator.state) == untouched
