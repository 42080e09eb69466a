"""Applying draws, against torchvision and PIL, image by image."""

import colorsys
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.transforms.v2 import functional as tv

from byol_core.augment import choice, colour, geometry, views
from byol_core.augment.crops import crop_boxes
from byol_core.augment.draws import draw_view
from byol_core.augment.views import apply_view
from byol_core.config import Augment
from byol_core.images.memory import Split
from byol_core.images.source import Request

OFF = {
    "rotate_rad": 0.0,
    "scale": (1.0, 1.0),
    "shift": 0.0,
    "gain": 0.0,
    "offset": 0.0,
    "noise_std": 0.0,
}
JITTER = {"jitter_p": 0.8, "jitter_brightness": 0.4, "jitter_contrast": 0.4}
JITTER |= {"jitter_saturation": 0.2, "jitter_hue": 0.1}
PAPER = {
    **OFF,
    **JITTER,
    "crop_p": 1.0,
    "crop_area": (0.08, 1.0),
    "flip_p": 0.5,
    "grayscale_p": 0.2,
    "blur_p": (1.0, 0.1),
    "solarize_p": (0.0, 0.2),
    "normalize": "imagenet",
}

# Every operation, each often enough to meet every other in a batch.
EVERYTHING = {
    **PAPER,
    **{"rotate_rad": 0.4, "scale": (0.6, 1.2), "shift": 0.25, "crop_p": 0.5},
    **{"blur_p": 0.5, "solarize_p": 0.5, "gain": 0.5, "offset": 0.2, "noise_std": 0.05},
    "normalize": "cifar10",
}


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).random((64, 3, 20, 20), dtype=np.float32))


def view_of(images, settings, view=1, name="test"):
    """Return draws, the augmentation and the view."""
    augment = Augment(**settings)
    draws = draw_view(augment, 0, (name,), view, len(images), tuple(images.shape[1:]))
    return draws, augment, apply_view(images, draws, augment)


def jittered_by_torchvision(image, draws, i):
    """Return what torchvision makes of one image, part by part in the order drawn for it."""
    parts = [
        (tv.adjust_brightness, "jitter_brightness"),
        (tv.adjust_contrast, "jitter_contrast"),
        (tv.adjust_saturation, "jitter_saturation"),
        (tv.adjust_hue, "jitter_hue"),
    ]
    for number in draws["jitter_order"][i].tolist():
        adjust, name = parts[number]
        if name in draws and draws["jitter"][i]:
            image = adjust(image, float(draws[name][i]))
    return image


# ---- colour


@pytest.mark.parametrize(
    "strengths",
    [
        (1.0, 0, 0, 0),
        (0, 1.0, 0, 0),
        (0, 0, 1.0, 0),
        (0, 0, 0, 0.5),
        (1.0, 1.0, 0, 0),
        (1.0, 1.0, 1.0, 0),
        (0.4, 0, 0.2, 0.1),
        (0.4, 0.4, 0.2, 0.1),
        (1.0, 1.0, 1.0, 0.5),
    ],
)
def test_jitter_is_torchvisions_parts_in_an_order_per_image(images, strengths):
    names = ("jitter_brightness", "jitter_contrast", "jitter_saturation", "jitter_hue")
    settings = {**OFF, "jitter_p": 0.8, **dict(zip(names, map(float, strengths), strict=True))}
    draws, _, ours = view_of(images, settings)
    theirs = [jittered_by_torchvision(image, draws, i) for i, image in enumerate(images)]
    torch.testing.assert_close(ours, torch.stack(theirs), atol=2e-5, rtol=0)
    assert len(set(map(tuple, draws["jitter_order"].tolist()))) > 15


def test_what_jitter_leaves_alone_stays_bit_for_bit(images):
    draws, _, ours = view_of(images, {**OFF, **JITTER})
    untouched = ~draws["jitter"]
    assert torch.equal(ours[untouched], images[untouched]) and 5 < int(untouched.sum()) < 25


def test_hue_leaves_grey_alone(images):
    grey = images.mean(1, keepdim=True).expand_as(images)
    torch.testing.assert_close(colour.turn_hue(grey, torch.full((64,), 0.3)), grey)


def test_hue_is_that_of_the_plain_formula_at_every_edge_of_the_colour_cube():
    """Two channels equal, grey, black and white: there the formula's cases meet."""
    levels = [0.0, 0.2, 0.5, 0.7, 1.0]
    colours = list(itertools.product(levels, repeat=3))
    turns = [-0.5, -0.4, -1 / 6, 0.0, 0.1, 1 / 6, 0.34, 0.5]
    image = torch.tensor(colours).T.reshape(1, 3, 5, 25)
    turned = colour.turn_hue(image.repeat(8, 1, 1, 1), torch.tensor(turns))
    for turn, ours in zip(turns, turned, strict=True):
        in_hsv = [colorsys.rgb_to_hsv(*each) for each in colours]
        plain = [colorsys.hsv_to_rgb((hue + turn) % 1, full, top) for hue, full, top in in_hsv]
        expected = torch.tensor(plain, dtype=torch.float64).T.reshape(3, 5, 25)
        torch.testing.assert_close(ours.double(), expected, atol=1e-6, rtol=0)
        assert float(ours.min()) >= 0 and float(ours.max()) <= 1


@pytest.mark.parametrize("turn", [-0.5, -1 / 3, 0.0, 1 / 3, 0.5])
def test_a_turn_by_thirds_moves_the_channels_on(images, turn):
    turned = colour.turn_hue(images, torch.full((64,), turn))
    if abs(turn) == 0.5:
        theirs = torch.stack([tv.adjust_hue(image, turn) for image in images])
        torch.testing.assert_close(turned, theirs, atol=2e-5, rtol=0)
    else:
        torch.testing.assert_close(turned, images.roll(round(3 * turn), 1), atol=2e-5, rtol=0)


def test_grey_equals_torchvision_and_pil(images):
    torch.testing.assert_close(colour.grey(images), tv.rgb_to_grayscale(images), atol=1e-4, rtol=0)
    pixels = (images * 255).round().byte()
    ours = colour.grey(views.to_float(pixels)) * 255
    for image, grey in zip(pixels[:8], ours, strict=False):
        theirs = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L"))
        assert np.abs(grey[0].numpy() - theirs).max() <= 1


def test_solarize_equals_torchvision_and_pil(images):
    ours = colour.solarize(images)
    torch.testing.assert_close(ours, tv.solarize(images, 0.5), atol=0, rtol=0)
    pixels = (images * 255).round().byte()
    solarized = (colour.solarize(views.to_float(pixels)) * 255).round().byte()
    for image, ours in zip(pixels, solarized, strict=True):
        theirs = ImageOps.solarize(Image.fromarray(image.permute(1, 2, 0).numpy()), threshold=128)
        np.testing.assert_array_equal(ours.permute(1, 2, 0).numpy(), np.asarray(theirs))


def test_grey_images_are_jittered_in_brightness_and_contrast(images):
    grey = images[:, :1]
    draws, _, ours = view_of(grey, {**OFF, **JITTER})
    theirs = [jittered_by_torchvision(image, draws, i) for i, image in enumerate(grey)]
    torch.testing.assert_close(ours, torch.stack(theirs), atol=2e-5, rtol=0)


# ---- blur


def test_blur_equals_torchvision_with_a_sigma_per_image(images):
    sigma = torch.linspace(0.1, 2.0, len(images))
    size = 2 * math.ceil(3 * 2.0) + 1
    expected = torch.stack(
        [
            tv.gaussian_blur(image, [size, size], [float(s)])
            for image, s in zip(images, sigma, strict=True)
        ]
    )
    torch.testing.assert_close(geometry.blur(images, sigma, 2.0), expected, atol=1e-5, rtol=0)


def test_an_images_blur_does_not_depend_on_its_batch(images):
    """The kernel's reach followed the largest sigma drawn; now it follows the largest possible."""
    sigma = torch.full((64,), 0.7)
    alone = geometry.blur(images, sigma, 2.0)
    sigma[1:] = 2.0
    assert torch.equal(geometry.blur(images, sigma, 2.0)[0], alone[0])


def test_the_papers_kernel_of_23_pixels_is_ours_to_a_grey_level(images):
    """Its tails beyond three standard deviations, which ours leaves out, are worth less than 1/255."""
    photos = F.interpolate(images[:4], size=64)
    for sigma in (0.1, 1.0, 2.0):
        theirs = tv.gaussian_blur(photos, [23, 23], [sigma])
        ours = geometry.blur(photos, torch.full((4,), sigma), 2.0)
        assert float((ours - theirs).abs().max()) < 1 / 255


def test_a_blur_wider_than_the_image_reaches_its_borders():
    image = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    expected = tv.gaussian_blur(image, [7, 7], [5.0])
    torch.testing.assert_close(geometry.blur(image, torch.tensor([5.0]), 5.0), expected)


# ---- geometry


@pytest.mark.parametrize("size", [(20, 20), (16, 24)])
def test_crops_are_torchvisions_up_to_their_borders(size):
    """As if the box were cut out first: what is beside it has no part in it."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(64, 3, *size, generator=generator)
    settings = {**OFF, "crop_p": 1.0, "crop_area": (0.08, 1.0), "flip_p": 0.5}
    draws, augment, ours = view_of(images, settings)
    width, height = (torch.tensor([float(length)]).double() for length in size[::-1])
    boxes = crop_boxes(draws, augment, width, height).int().tolist()
    for i, (left, upper, right, lower) in enumerate(boxes):
        box = upper, left, lower - upper, right - left
        theirs = tv.resized_crop(images[i], *box, list(size), antialias=True)
        if draws["flip"][i]:
            theirs = theirs.flip(-1)
        torch.testing.assert_close(ours[i], theirs, atol=1e-5, rtol=0)
    assert any(box[0] == 0 for box in boxes) and any(box[2] == size[1] for box in boxes)


def test_a_crop_at_the_border_blends_with_no_black():
    white = torch.ones(500, 1, 12, 12)
    _, _, ours = view_of(white, {**OFF, "crop_p": 1.0})
    torch.testing.assert_close(ours, white, atol=1e-5, rtol=0)


def test_what_is_not_cropped_is_turned_or_whole(images):
    draws, _, whole = view_of(images, {**OFF, "crop_p": 0.5})
    kept = ~draws["crop"]
    torch.testing.assert_close(whole[kept], images[kept], atol=1e-5, rtol=0)
    assert not torch.allclose(whole[~kept], images[~kept], atol=0.1)

    # Beside crops there are turns, each as without the other.
    turn = {**OFF, "rotate_rad": 0.4, "shift": 0.2}
    _, _, both = view_of(images, {**turn, "crop_p": 0.5})
    _, _, turned = view_of(images, turn)
    assert torch.equal(both[kept], turned[kept])
    torch.testing.assert_close(both[~kept], whole[~kept], atol=1e-5, rtol=0)


def test_flip_mirrors_exactly(images):
    draws, _, ours = view_of(images, {**OFF, "flip_p": 0.5})
    flipped = draws["flip"]
    assert torch.equal(ours[flipped], images[flipped].flip(-1))
    assert torch.equal(ours[~flipped], images[~flipped]) and 0 < int(flipped.sum()) < 64


@pytest.mark.parametrize("size", [(33, 33), (24, 40)])
def test_turns_and_scales_are_torchvisions(size):
    images = torch.rand(8, 3, *size, generator=torch.Generator().manual_seed(0))
    draws, _, ours = view_of(images, {**OFF, "rotate_rad": 0.4, "scale": (0.6, 1.2)})
    for i, image in enumerate(images):
        theirs = tv.affine(
            image,
            angle=math.degrees(-float(draws["rotate_rad"][i])),
            translate=[0, 0],
            scale=float(draws["scale"][i]),
            shear=[0.0, 0.0],
            interpolation=tv.InterpolationMode.BILINEAR,
        )
        torch.testing.assert_close(ours[i], theirs, atol=1e-4, rtol=0)


def test_a_shift_is_measured_in_half_sides(images):
    """By 0.5 an image of 20 pixels shows what was 5 to the right and below; what comes in is black."""
    augment = Augment(**{**OFF, "shift": 0.5})
    draws = {"shift": torch.tensor([[0.5, 0.5]]).repeat(64, 1)}
    ours = apply_view(images, draws, augment)
    torch.testing.assert_close(ours, F.pad(images[..., 5:, 5:], (0, 5, 0, 5)), atol=1e-5, rtol=0)


# ---- the chain


def theirs_of(image, draws, augment, i):
    """Return torchvision's view of one image: the paper's operations in the paper's order."""
    sizes = torch.tensor([20.0]).double()
    left, upper, right, lower = crop_boxes(draws.rows(slice(i, i + 1)), augment, sizes, sizes)[0]
    box = (int(length) for length in (upper, left, lower - upper, right - left))
    view = tv.resized_crop(image, *box, [20, 20])
    if draws["flip"][i]:
        view = tv.hflip(view)
    view = jittered_by_torchvision(view, draws, i)
    if draws["grayscale"][i]:
        view = tv.rgb_to_grayscale(view, num_output_channels=3)
    if draws["blur"][i]:
        view = tv.gaussian_blur(view, [13, 13], [float(draws["blur_sigma"][i])])
    if draws["solarize"][i]:
        view = tv.solarize(view, 0.5)
    return tv.normalize(view, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def test_the_whole_chain_is_torchvisions_in_the_papers_order(images):
    draws, augment, ours = view_of(images, {**PAPER, "solarize_p": 0.5, "blur_p": 0.5})
    theirs = [theirs_of(image, draws, augment, i) for i, image in enumerate(images)]
    torch.testing.assert_close(ours, torch.stack(theirs), atol=2e-4, rtol=0)


def test_gain_offset_and_noise_come_last_and_pixels_may_leave_the_range(images):
    settings = {**OFF, "gain": 1.0, "offset": 0.5, "noise_std": 0.1}
    draws, _, ours = view_of(images, settings)
    gain, offset = (draws[name].view(-1, 1, 1, 1) for name in ("gain", "offset"))
    torch.testing.assert_close(ours, images * gain + offset + draws["noise"])
    assert float(ours.max()) > 1.2 and float(ours.min()) < -0.2


@pytest.mark.parametrize(
    ("normalize", "mean", "std"),
    [
        ("imagenet", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ("cifar10", [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
    ],
)
def test_normalization_equals_torchvision(images, normalize, mean, std):
    augment = Augment(**OFF, normalize=normalize)
    torch.testing.assert_close(views.normalized(images, augment), tv.normalize(images, mean, std))


def test_with_everything_off_a_view_is_the_image(images):
    draws, _, ours = view_of(images, OFF)
    assert not draws and torch.equal(ours, images)


@pytest.mark.parametrize("settings", [PAPER, EVERYTHING])
@pytest.mark.parametrize("rows", [slice(0, 1), slice(17, 40), slice(1, 64, 3)])
def test_an_image_does_not_depend_on_its_batch_mates(images, settings, rows):
    draws, augment, ours = view_of(images, settings)
    assert torch.equal(apply_view(images[rows], draws.rows(rows), augment), ours[rows])


@pytest.mark.parametrize("settings", [PAPER, EVERYTHING, {**OFF, **JITTER, "jitter_hue": 0.0}])
@pytest.mark.parametrize("count", [1, 64])
def test_computing_the_chosen_images_alone_is_computing_all_and_choosing(
    images, settings, count, monkeypatch
):
    _, _, ours = view_of(images[:count], settings)
    monkeypatch.setattr(choice, "may_read", lambda images: False)
    _, _, as_on_a_gpu = view_of(images[:count], settings)
    assert torch.equal(ours, as_on_a_gpu)


@pytest.mark.parametrize("settings", [PAPER, EVERYTHING])
def test_float64_agrees(images, settings):
    draws, augment, ours = view_of(images, settings)
    exact = apply_view(images.double(), draws, augment)
    assert exact.dtype == torch.float64
    torch.testing.assert_close(ours.double(), exact, atol=1e-4, rtol=0)


def test_every_image_draws_for_itself_and_nothing_is_written_into_the_images(images):
    same = images[:1].repeat(64, 1, 1, 1)
    before = same.clone()
    _, _, ours = view_of(same, PAPER)
    assert len({tuple(image.flatten().tolist()) for image in ours}) == 64
    assert torch.equal(same, before)


def test_views_are_blurred_and_solarized_as_often_as_they_ask():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(2000, 1, 1, 1)
    settings = {**OFF, "solarize_p": (0.0, 0.2), "blur_p": (1.0, 0.1)}
    sharp = tv.solarize(image[:1], 0.5)
    first, second = (view_of(image, settings, view)[2] for view in (1, 2))

    def share(views, like):
        return float((views - like).abs().amax((1, 2, 3)).lt(1e-4).float().mean())

    # σ ~ U[.1, 2] below .25 leaves an image as it is: 7 % of those that are blurred
    assert share(first, image) == pytest.approx(0.075, abs=0.03) and share(first, sharp) == 0.0
    assert share(second, image) == pytest.approx(0.9 * 0.8 + 0.1 * 0.075 * 0.8, abs=0.03)
    assert share(second, sharp) == pytest.approx(0.9 * 0.2, abs=0.03)


# ---- batches of images in memory


def batch_of(split, rows, views=(1, 2), settings=EVERYTHING):
    """Read the batch of some rows in some views."""
    augment = Augment(**settings)
    rows = torch.as_tensor(rows)
    drawn = tuple(draw_view(augment, 0, (0, 3), view, len(rows), split.shape) for view in views)
    (batch,) = split.read([Request(rows, augment, drawn)])
    return batch, augment, drawn


@pytest.fixture
def split(images):
    labels = torch.tensor([3, -1] * 32)
    return Split((images * 255).round().byte(), labels)


def test_a_batch_gives_its_views_stacked_its_labels_and_its_clean_images(split):
    batch, augment, drawn = batch_of(split, [5, 0, 41])
    pixels = views.to_float(split.images[[5, 0, 41]])
    made = batch.views(torch.device("cpu"))
    assert made.shape == (2, 3, 3, 20, 20) and made.dtype == torch.float32
    assert torch.equal(made[0], apply_view(pixels, drawn[0], augment))
    assert torch.equal(made[1], apply_view(pixels, drawn[1], augment))
    assert torch.equal(batch.clean(torch.device("cpu")), views.normalized(pixels, augment))
    assert batch.labels.tolist() == [-1, 3, -1]


def test_images_that_lie_on_a_device_stay_there(split):
    """Rows and draws travel, pixels do not; meta stands for a GPU here."""
    meta = torch.device("meta")
    there = Split(split.images.to(meta), split.labels)
    batch, _, _ = batch_of(there, [5, 0, 41])
    assert batch.pixels.device == meta and batch.labels.tolist() == [-1, 3, -1]
    assert batch.views(meta).shape == (2, 3, 3, 20, 20)


# ---- nothing waits for the device


class OnTheDeviceAlone(TorchDispatchMode):
    """Refuses tensors of the CPU: a copy to the device is a wait, and no graph can capture it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for part in tree_leaves((args, kwargs, result)):
            assert not isinstance(part, torch.Tensor) or part.device.type == "cuda", func
        return result


@pytest.mark.parametrize("settings", [PAPER, EVERYTHING, {**OFF, **JITTER, "jitter_hue": 0.0}])
def test_applying_waits_for_no_device(images, settings):
    """Tensors of a GPU without values: a mask, `.item()` or an `if` on them fails, and copies show."""
    draws, augment, _ = view_of(images, settings)
    with FakeTensorMode():
        there = {
            name: torch.empty(draw.shape, dtype=draw.dtype, device="cuda")
            for name, draw in draws.items()
        }
        pixels = torch.empty(images.shape, device="cuda")
        with OnTheDeviceAlone():
            assert apply_view(pixels, there, augment).shape == images.shape


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: x[x > 0.5],
        lambda x: x.max().item(),
        lambda x: x if x.max() > 1 else -x,
        lambda x: x * x.new_tensor([0.3, 0.6, 0.1]).view(1, 3, 1, 1),
        lambda x: x + torch.arange(20),
    ],
)
def test_the_test_above_finds_what_asks_for_a_number(images, ask):
    refusals = (DataDependentOutputException, DynamicOutputShapeException, AssertionError)
    with FakeTensorMode(), pytest.raises(refusals):
        pixels = torch.empty(images.shape, device="cuda")
        with OnTheDeviceAlone():
            ask(pixels)
