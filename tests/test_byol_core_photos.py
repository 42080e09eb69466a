"""Photos on the disk: boxes and pixels against torchvision and PIL, decoding ahead, faults, bounded
memory, a run.
"""

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional as tv

from byol_core.augment.crops import draw_crops
from byol_core.augment.views import colour_and_noise
from byol_core.config import DatasetConfig, resolve
from byol_core.datasets.errors import DataError
from byol_core.images import photos as photos_module
from byol_core.images.decode import decode
from byol_core.images.load import load
from byol_core.images.source import Request
from byol_core.streams import stream
from byol_core.train import Options, train
from byol_core.train.checkpoint import load_state
from byol_core.train.requests import view_request
from byol_core.train.step import StepIndex

BICUBIC = transforms.InterpolationMode.BICUBIC
PAPER = resolve("imagenet-r50-300ep", {}).augment
CPU = torch.device("cpu")

# The paper's augmentation on a small net: half a second a step on one core.
SMALL = {
    "dataset.side": 64,
    "encoder.arch": "tiny",
    "encoder.stem": "3x3_stride2",
    "epochs": 3,
    "batch_size": 50,
    "projector.hidden": 128,
    "predictor.hidden": 128,
    "init.affine_images": 100,
    "optimizer.name": "sgd",
    "optimizer.lr": 0.5,
    "optimizer.warmup_epochs": 0,
}


def small(folder, **overrides):
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return resolve("imagenet-r50-300ep", {**SMALL, "dataset.path": str(folder), **dotted})


def of(folder, threads=2, **overrides):
    return load(DatasetConfig(name="folder", path=str(folder), side=64, **overrides), threads)


def request(rows, name="x", views=2):
    return Request(
        torch.as_tensor(rows), PAPER, tuple(stream(0, name, view) for view in range(views))
    )


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (96, 96), (1000, 60), (60, 1000), (9, 7)])
def test_boxes_are_torchvisions_for_the_same_draws(monkeypatch, size):
    """RandomResizedCrop.get_params is fed our draws one by one; narrow photos take its way out."""
    for crop in draw_crops(PAPER, stream(0, "boxes", *size), 50):
        tries = iter(
            [number for pair in zip(crop.area, np.log(crop.ratio), strict=True) for number in pair]
        )
        corner = iter(crop.at[::-1])  # torchvision draws the upper edge first
        fed = SimpleNamespace(
            empty=lambda _: SimpleNamespace(
                uniform_=lambda low, high: torch.tensor(next(tries), dtype=torch.float64)  # noqa: B023
            ),
            randint=lambda _, end, size: torch.tensor([int(next(corner) * end)]),  # noqa: B023
            log=torch.log,
            exp=torch.exp,
            tensor=torch.tensor,
        )
        monkeypatch.setattr(transforms.transforms, "torch", fed)
        image = Image.new("RGB", size)
        top, left, height, width = transforms.RandomResizedCrop.get_params(
            image, [0.08, 1.0], list(PAPER.crop_ratio)
        )
        assert crop.box(*size) == (left, top, left + width, top + height)


def test_crops_have_the_asked_area_ratio_and_mirror_half_of_the_photos():
    crops = draw_crops(PAPER, stream(0, "many"), 4000)
    boxes = np.array([crop.box(500, 375) for crop in crops])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area, ratio = width * height / (500 * 375), width / height
    assert area.min() > 0.075 and area.max() <= 1 and ratio.min() > 0.74 and ratio.max() < 1.35
    assert boxes.min() == 0 and boxes[:, 2].max() == 500 and boxes[:, 3].max() == 375
    assert abs(np.mean([crop.flip for crop in crops]) - 0.5) < 0.03 and all(
        crop.cut for crop in crops
    )


def test_pixels_are_torchvisions_crop_of_the_original_resized_once(photos):
    file = next(iter((photos / "train").rglob("*.jpg")))
    crops = draw_crops(PAPER, stream(0, "pixels"), 20)
    with Image.open(file) as photo:
        for ours, crop in zip(decode(file, crops, 48), crops, strict=True):
            left, top, right, bottom = crop.box(*photo.size)
            theirs = tv.resized_crop(
                photo.convert("RGB"), top, left, bottom - top, right - left, [48, 48], BICUBIC
            )
            np.testing.assert_array_equal(
                ours, np.asarray(tv.hflip(theirs) if crop.flip else theirs).transpose(2, 0, 1)
            )


@pytest.mark.parametrize("size", [(96, 96), (501, 375), (375, 501), (40, 300), (31, 30)])
def test_the_view_of_evaluation_is_torchvisions_resize_and_centre_crop(tmp_path, size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    theirs = transforms.Compose([transforms.Resize(256, BICUBIC), transforms.CenterCrop(224)])(
        Image.fromarray(pixels)
    )
    (ours,) = decode(tmp_path / "a.png", [], 224)
    np.testing.assert_array_equal(ours, np.asarray(theirs).transpose(2, 0, 1))


def test_a_photo_that_is_not_cropped_shows_its_middle(photos):
    file = next(iter((photos / "train").rglob("*.jpg")))
    uncropped = PAPER.model_copy(update={"crop_p": 0.0, "flip_p": 0.0})
    (ours,) = decode(file, draw_crops(uncropped, stream(0, "none"), 1), 64)
    np.testing.assert_array_equal(ours, decode(file, [], 64)[0])


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P"])
def test_every_kind_of_photo_becomes_rgb(tmp_path, mode):
    file = tmp_path / ("a.png" if mode in ("RGBA", "P") else "a.jpg")
    Image.new("RGB", (40, 30), (200, 100, 50)).convert(mode).save(file)
    assert decode(file, [], 16)[0].shape == (3, 16, 16)


def test_a_batch_depends_on_its_request_alone(photos):
    """Not on the number of threads, and not on what was read before it."""
    requests = [lambda i=i: request(range(10 * i, 10 * i + 10), f"batch {i}") for i in range(6)]
    expected = [
        batch.pixels for batch in of(photos, threads=1).train.read(make() for make in requests)
    ]
    together = [
        batch.pixels for batch in of(photos, threads=8).train.read(make() for make in requests)
    ]
    (alone,) = of(photos).train.read([requests[4]()])
    for one, other in zip(expected, together, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(alone.pixels, expected[4], strict=True))
    assert not torch.equal(*expected[0])  # the two views are two crops


def test_each_view_of_each_step_has_crops_of_its_own(photos):
    def drawn(seed, at, view):
        wanted = view_request(small(photos, seed=seed), torch.arange(4), at, views=(1, 2))
        return tuple(draw_crops(PAPER, wanted.crops[view - 1], 4)[2].at)

    places = [
        (0, StepIndex(5, 1, 2), 1),
        (0, StepIndex(5, 1, 2), 2),
        (1, StepIndex(5, 1, 2), 1),
        (0, StepIndex(6, 1, 3), 1),
    ]
    places.append((0, StepIndex(8, 2, 2), 1))
    assert len({drawn(*place) for place in places}) == 5
    assert [drawn(*place) for place in places] == [drawn(*place) for place in places]


def test_a_view_of_a_batch_is_its_crop_toned_on_the_device(photos):
    (batch,) = of(photos).train.read([request([3, 1])])
    ours = batch.view(2, PAPER, stream(0, "tone"), CPU)
    torch.testing.assert_close(
        ours, colour_and_noise(batch.pixels[1].float() / 255, PAPER, stream(0, "tone"), 2)
    )
    assert ours.shape == (2, 3, 64, 64)


def test_the_order_mixes_the_classes_and_limit_keeps_its_start(photos):
    everything, some = of(photos), of(photos, limit=60)
    assert len(everything.train) == len(everything.test) == 300 and len(some.test) == 300
    assert (
        some.train.names == everything.train.names[:60]
        and len(set(some.train.labels.tolist())) == 10
    )
    classes = sorted(path.name for path in (photos / "train").iterdir())
    assert [classes[label] for label in some.train.labels] == [
        name.split("/")[0] for name in some.train.names
    ]


def test_labels_follow_the_training_classes_and_a_class_of_the_test_alone_is_refused(tmp_path):
    def put(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (10, 10)).save(tmp_path / name)

    put(
        "train/b/1.png",
        "train/a/1.JPEG",
        "train/c/deep/1.jpg",
        "test/c/1.jpg",
        "train/a/._1.jpg",
        "train/a/1.jpg.txt.png",
    )
    (tmp_path / "train/a/notes.txt").write_text("no photo")
    images = of(tmp_path)
    assert dict(zip(images.train.names, images.train.labels.tolist(), strict=True)) == {
        "a/1.JPEG": 0,
        "a/1.jpg.txt.png": 0,
        "b/1.png": 1,
        "c/deep/1.jpg": 2,
    }
    assert images.test.labels.tolist() == [2]
    put("test/d/1.jpg")
    with pytest.raises(DataError, match="holds class 'd', of which .* has no photos"):
        of(tmp_path)


def damage(photos, tmp_path, content):
    """Make a folder of links to real photos, with one file replaced."""
    for file in photos.rglob("*.jpg"):
        link = tmp_path / file.relative_to(photos)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    bad = sorted((tmp_path / "train").rglob("*.jpg"))[7]
    good = bad.read_bytes()
    bad.unlink()
    bad.write_bytes(content(good))
    return bad


DAMAGE = {
    "truncated": lambda good: good[: len(good) // 2],
    "empty": lambda good: b"",
    "text": lambda good: b"no photo at all",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_photo_ends_the_run_with_one_error_that_names_it(photos, tmp_path, silent, kind):
    bad = damage(photos, tmp_path / "data", DAMAGE[kind])
    with pytest.raises(DataError) as error:
        train(
            small(tmp_path / "data"), tmp_path / "run", Options(device="cpu", threads=1), silent()
        )
    assert str(bad) in str(error.value) and "replace it by a whole copy, or delete it" in str(
        error.value
    )
    assert not decoders()


def decoders():
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_decoding_runs_ahead_but_never_further_than_it_may(photos, monkeypatch):
    decoded = []
    monkeypatch.setattr(
        photos_module, "decode", lambda *given: decoded.append(given) or decode(*given)
    )
    reading = of(photos).train.read(request(range(10)) for _ in range(20))
    for taken in range(1, 6):
        next(reading)
        deadline = time.monotonic() + 10
        while (
            len(decoded) < 10 * (taken + photos_module.BATCHES_AHEAD)
            and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(decoded) == 10 * (taken + photos_module.BATCHES_AHEAD)
    reading.close()
    assert not decoders()


MEMORY = """
import resource, sys, torch
from byol_core.config import DatasetConfig, resolve
from byol_core.images.load import load
from byol_core.images.source import Request
from byol_core.streams import stream
augment = resolve("imagenet-r50-300ep", {}).augment
photos = load(DatasetConfig(name="folder", path=sys.argv[1], side=224), threads=2).train
def read(batches):
    for i, _ in enumerate(photos.read(Request(torch.arange(20), augment, (stream(i, 1), stream(i, 2))) for i in range(batches))):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(read(8), read(80))
"""


def test_memory_does_not_grow_with_the_number_of_photos(photos):
    """80 batches are 480 MB of pixels; what is held at once is four batches, 24 MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, photos], capture_output=True, text=True, check=True
    )
    few_mb, many_mb = map(float, done.stdout.split())
    assert many_mb - few_mb < 60


def test_a_run_on_photos_learns_and_resumes_exactly(photos, tmp_path, silent):
    options = Options(device="cpu", threads=1, log_every=1, protocols=())
    whole, parts = silent(), [silent(7), silent()]
    train(small(photos), tmp_path / "whole", options, whole)
    for observer in parts:
        train(small(photos), tmp_path / "parts", options, observer)
    assert parts[1].starts == [(7, 18, True)]
    assert parts[0].points + parts[1].points == whole.points
    ours, theirs = (
        load_state(tmp_path / name / "encoder")[0]["online"] for name in ("parts", "whole")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    losses = [metrics["loss"] for _, _, metrics in whole.points]
    assert np.mean(losses[-6:]) < 0.6 * losses[0] and whole.points[-1][2]["std_sqrt_d"] > 0.3


@pytest.mark.parametrize(
    "overrides",
    [{"method": "random"}, {f"{part}__norm": "affine" for part in ("encoder", "projector")}],
)
def test_rows_that_look_at_images_before_training_read_photos_too(
    photos, tmp_path, silent, overrides
):
    config = small(photos, dataset__limit=100, epochs=1, **overrides)
    options = Options(device="cpu", threads=1, protocols=("knn",))
    assert train(config, tmp_path, options, silent()).outcome == "ok"
    assert (tmp_path / "evaluations" / "knn-v2.json").exists()
