"""Augmentations against torchvision, image by image."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torchvision.transforms.v2 import functional as tv

from byol_core.augment import colour, geometry, views
from byol_core.config import Augment, resolve
from byol_core.streams import stream

OFF = {
    "rotate_rad": 0.0,
    "scale": (1.0, 1.0),
    "shift": 0.0,
    "gain": 0.0,
    "offset": 0.0,
    "noise_std": 0.0,
}


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).random((8, 3, 20, 20), dtype=np.float32))


def rng(*names):
    return stream(0, "test", *names)


@pytest.mark.parametrize(
    ("ours", "theirs", "low", "high"),
    [
        (colour.adjust_brightness, tv.adjust_brightness, 0.6, 1.4),
        (colour.adjust_contrast, tv.adjust_contrast, 0.6, 1.4),
        (colour.adjust_saturation, tv.adjust_saturation, 0.6, 1.4),
        (colour.adjust_hue, tv.adjust_hue, -0.5, 0.5),
    ],
)
def test_colour_operations_equal_torchvision_with_a_factor_per_image(
    images, ours, theirs, low, high
):
    factors = torch.linspace(low, high, len(images))
    expected = torch.stack(
        [theirs(image, float(factor)) for image, factor in zip(images, factors, strict=True)]
    )
    torch.testing.assert_close(ours(images, factors), expected, atol=2e-5, rtol=0)


def test_hue_leaves_grey_alone(images):
    grey = images.mean(1, keepdim=True).expand_as(images)
    torch.testing.assert_close(colour.adjust_hue(grey, torch.full((8,), 0.3)), grey)


def test_grey_equals_torchvision(images):
    torch.testing.assert_close(colour.grey(images), tv.rgb_to_grayscale(images), atol=1e-4, rtol=0)


def test_blur_equals_torchvision_with_a_sigma_per_image(images):
    sigma = torch.linspace(0.1, 2.0, len(images))
    size = 2 * math.ceil(3 * 2.0) + 1
    expected = torch.stack(
        [
            tv.gaussian_blur(image, [size, size], [float(s)])
            for image, s in zip(images, sigma, strict=True)
        ]
    )
    torch.testing.assert_close(geometry.blur(images, sigma), expected, atol=1e-5, rtol=0)


def test_solarize_equals_torchvision_and_pil(images):
    torch.testing.assert_close(colour.solarize(images), tv.solarize(images, 0.5), atol=0, rtol=0)
    pixels = (images * 255).round().byte()
    for image, ours in zip(
        pixels, (colour.solarize(views.to_float(pixels)) * 255).round().byte(), strict=True
    ):
        theirs = ImageOps.solarize(Image.fromarray(image.permute(1, 2, 0).numpy()), threshold=128)
        np.testing.assert_array_equal(ours.permute(1, 2, 0).numpy(), np.asarray(theirs))


def test_the_papers_kernel_of_23_pixels_is_ours_to_a_grey_level(images):
    """Its tails beyond three standard deviations, which ours leaves out, are worth less than 1/255."""
    photos = F.interpolate(images, size=64)
    for sigma in (0.1, 1.0, 2.0):
        theirs = tv.gaussian_blur(photos, [23, 23], [sigma])
        ours = geometry.blur(photos, torch.full((8,), sigma))
        assert float((ours - theirs).abs().max()) < 1 / 255


def test_views_are_blurred_and_solarized_as_often_as_they_ask():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(2000, 1, 1, 1)
    augment = Augment(**OFF, solarize_p=(0.0, 0.2), blur_p=(1.0, 0.1))
    plain = views.random_view(image, Augment(**OFF), rng())[0]
    sharp = colour.solarize(image[:1])[0]
    first, second = (views.random_view(image, augment, rng("view", view), view) for view in (1, 2))

    def share(views, like):
        return float((views - like).abs().amax((1, 2, 3)).lt(1e-4).float().mean())

    # σ ~ U[.1, 2] below .25 leaves an image as it is: 7 % of those that are blurred
    assert share(first, plain) == pytest.approx(0.075, abs=0.03) and share(first, sharp) == 0.0
    assert share(second, plain) == pytest.approx(0.9 * 0.8 + 0.1 * 0.075 * 0.8, abs=0.03)
    assert share(second, sharp) == pytest.approx(0.9 * 0.2, abs=0.03)


def test_solarization_follows_the_blur():
    """A pixel of .9 whose blur takes it to .45 is not inverted; inverted first, it would be."""
    image = F.pad(torch.full((1, 1, 1, 1), 0.9), (8, 8, 8, 8))
    augment = Augment(**OFF, solarize_p=1.0, blur_p=1.0, blur_sigma=(1.0, 1.0))
    expected = colour.solarize(geometry.blur(image, torch.ones(1)))
    torch.testing.assert_close(
        views.random_view(image, augment, rng()), expected, atol=1e-4, rtol=0
    )
    assert (
        float((expected - geometry.blur(colour.solarize(image), torch.ones(1))).abs().max()) > 0.1
    )


def test_flip_mirrors_exactly(images):
    flipped = views.random_view(images, Augment(**OFF, flip_p=1.0), rng())
    torch.testing.assert_close(flipped, images.flip(-1), atol=1e-5, rtol=0)


def test_with_everything_off_a_view_is_the_image(images):
    torch.testing.assert_close(
        views.random_view(images, Augment(**OFF), rng()), images, atol=1e-5, rtol=0
    )


def test_crop_equals_torchvision_resized_crop(images):
    """A box on pixel borders, enlarged: torchvision's bilinear resize and ours agree away from the
    box's own border.
    """
    theta = torch.tensor([[[0.5, 0.0, -0.1], [0.0, 0.5, 0.3]]]).repeat(8, 1, 1)
    ours = geometry.resample(images, theta)
    top, left = round((0.3 - 0.5 + 1) * 10), round((-0.1 - 0.5 + 1) * 10)
    theirs = tv.resized_crop(images, top, left, 10, 10, [20, 20], antialias=False)
    torch.testing.assert_close(ours[..., 2:-2, 2:-2], theirs[..., 2:-2, 2:-2], atol=1e-5, rtol=0)


def test_crop_boxes_lie_inside_with_the_asked_area_and_ratio():
    augment = Augment(**OFF, crop_p=1.0, crop_area=(0.2, 1.0))
    theta = geometry._crop(augment, rng("crop"), 5000)
    width, height, x, y = theta[:, 0, 0], theta[:, 1, 1], theta[:, 0, 2], theta[:, 1, 2]
    assert bool((x.abs() + width <= 1 + 1e-6).all()) and bool((y.abs() + height <= 1 + 1e-6).all())
    area, ratio = width * height, width / height
    assert float(area.min()) > 0.19 and float(area.max()) <= 1.0
    assert float(ratio.min()) > 0.74 and float(ratio.max()) < 1.34
    assert (
        abs(float(area.mean()) - 0.56) < 0.03
    )  # uniform on [.2, 1], a little less for large boxes that do not fit


def test_every_image_draws_for_itself(images):
    same = images[:1].repeat(8, 1, 1, 1)
    view = views.random_view(same, resolve("stl10-r18-blog", {}).augment, rng("photo"))
    assert len({tuple(image.flatten().tolist()) for image in view}) == 8


def test_a_view_depends_on_its_stream_alone(images):
    augment = resolve("stl10-r18-blog", {}).augment
    first, same, other = (
        views.random_view(images, augment, stream(*key)) for key in [(0, "a"), (0, "a"), (1, "a")]
    )
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_jitter_applies_its_parts_in_an_order_per_image():
    """Contrast before brightness differs from contrast after it; both orders occur, and nothing
    else.
    """
    augment = Augment(
        **OFF,
        jitter_p=1.0,
        jitter_brightness=1.0,
        jitter_contrast=1.0,
        jitter_saturation=0.0,
        jitter_hue=0.0,
    )
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(64, 1, 1, 1)
    jittered = colour.jitter(image, augment, rng("order"))
    factors = rng("order")
    brightness, contrast = colour._factor(factors, 1.0, 64), colour._factor(factors, 1.0, 64)
    first = colour.adjust_contrast(colour.adjust_brightness(image, brightness), contrast)
    last = colour.adjust_brightness(colour.adjust_contrast(image, contrast), brightness)
    is_first = (jittered - first).abs().amax((1, 2, 3)) < 1e-5
    is_last = (jittered - last).abs().amax((1, 2, 3)) < 1e-5
    assert bool((is_first | is_last).all()) and 10 < int(is_first.sum()) < 54


def test_probabilities_are_met():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(2000, 1, 1, 1)
    view = views.random_view(image, Augment(**OFF, grayscale_p=0.2), rng("p"))
    grey_share = float((view.std(1).amax((1, 2)) < 1e-6).float().mean())
    assert abs(grey_share - 0.2) < 0.03


def test_rotation_turns_by_the_drawn_angle():
    """A point at the right edge moves along the circle: compare with torchvision's rotate."""
    image = torch.zeros(1, 1, 33, 33)
    image[0, 0, 16, 28] = 1.0
    augment = Augment(**{**OFF, "rotate_rad": 0.4})
    angle = float(torch.asin(geometry._affine(augment, rng("turn"), 1)[0, 1, 0]))
    ours = geometry.resample(image, geometry._affine(augment, rng("turn"), 1))
    theirs = tv.rotate(image, math.degrees(angle), interpolation=tv.InterpolationMode.BILINEAR)
    assert ours.flatten().argmax() == theirs.flatten().argmax()


def test_normalization_equals_torchvision(images):
    augment = Augment(**OFF, normalize="imagenet")
    expected = tv.normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(views.normalized(images, augment), expected)


def test_grey_images_are_jittered_without_colour():
    view = views.random_view(torch.rand(4, 1, 8, 8), Augment(**OFF, jitter_p=1.0), rng("grey"))
    assert view.shape == (4, 1, 8, 8) and bool(torch.isfinite(view).all())


def test_shift_is_measured_in_half_sides():
    image = F.pad(torch.ones(1, 1, 2, 2), (9, 9, 9, 9))
    theta = torch.tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]])
    moved = geometry.resample(image, theta)
    assert moved[0, 0].sum(0).argmax() in (
        4,
        5,
    )  # 5 pixels to the left: half of half the side of 20
