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

from byol_core.augment.crops import crop_boxes
from byol_core.augment.draws import draw_view
from byol_core.augment.views import finish_view, normalized
from byol_core.config import DatasetConfig, resolve
from byol_core.datasets.errors import DataError
from byol_core.images import photos as photos_module
from byol_core.images.decode import decode
from byol_core.images.load import load
from byol_core.images.source import Request
from byol_core.train import Options, train
from byol_core.train.checkpoint import load_state
from byol_core.train.requests import step_request
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


def drawn(n, name="x", view=1, augment=PAPER):
    return draw_view(augment, 0, (name,), view, n, (3, 64, 64))


def request(rows, name="x", views=2):
    rows = torch.as_tensor(rows)
    return Request(rows, PAPER, tuple(drawn(len(rows), name, view) for view in range(1, views + 1)))


def boxes_of(draws, size, augment=PAPER):
    sizes = torch.tensor([size], dtype=torch.float64)
    return crop_boxes(draws, augment, *sizes.unbind(1)).int().tolist()


def decoded(file, draws, side, augment=PAPER):
    """Decode views of one file, each by a row of the draws."""
    rows = [] if draws is None else [draws.rows(slice(i, i + 1)) for i in range(len(draws["crop"]))]
    return [view[0] for view in decode([file], rows, augment, side)]


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (96, 96), (1000, 60), (60, 1000), (9, 7)])
def test_boxes_are_torchvisions_for_the_same_draws(monkeypatch, size):
    """RandomResizedCrop.get_params is fed our draws one by one; narrow photos take its way out."""
    draws = drawn(50, f"boxes {size}")
    for i, box in enumerate(boxes_of(draws, size)):
        pairs = zip(draws["crop_area"][i], draws["crop_ratio"][i].log(), strict=True)
        tries = iter([number for pair in pairs for number in pair])
        corner = iter(draws["crop_place"][i].flip(0))  # torchvision draws the upper edge first
        fed = SimpleNamespace(
            empty=lambda _: SimpleNamespace(uniform_=lambda low, high: next(tries)),  # noqa: B023
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
        assert box == [left, top, left + width, top + height]


def test_crops_have_the_asked_area_ratio_and_mirror_half_of_the_photos():
    draws = drawn(4000)
    boxes = np.array(boxes_of(draws, (500, 375)))
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area, ratio = width * height / (500 * 375), width / height
    assert area.min() > 0.075 and area.max() <= 1 and ratio.min() > 0.74 and ratio.max() < 1.35
    assert boxes.min() == 0 and boxes[:, 2].max() == 500 and boxes[:, 3].max() == 375
    assert abs(float(draws["flip"].float().mean()) - 0.5) < 0.03 and bool(draws["crop"].all())


def test_pixels_are_torchvisions_crop_of_the_original_resized_once(photos):
    file = next(iter((photos / "train").rglob("*.jpg")))
    draws = drawn(20)
    with Image.open(file) as photo:
        boxes = boxes_of(draws, photo.size)
        for i, ours in enumerate(decoded(file, draws, 48)):
            left, top, right, bottom = boxes[i]
            theirs = tv.resized_crop(
                photo.convert("RGB"), top, left, bottom - top, right - left, [48, 48], BICUBIC
            )
            mirrored = tv.hflip(theirs) if draws["flip"][i] else theirs
            np.testing.assert_array_equal(ours, np.asarray(mirrored).transpose(2, 0, 1))


def test_photos_of_different_sizes_in_one_task_are_cut_each_by_its_own_draws(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(5)]
    generator = np.random.default_rng(0)
    for i, file in enumerate(files):
        pixels = generator.integers(0, 256, (30 + 7 * i, 60 - 5 * i, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    half_cropped = PAPER.model_copy(update={"crop_p": 0.5})
    views = [drawn(5, "sizes", view, half_cropped) for view in (1, 2)]
    together = decode(files, views, half_cropped, 16)
    for i, file in enumerate(files):
        rows = [draws.rows(slice(i, i + 1)) for draws in views]
        alone = decode([file], rows, half_cropped, 16)
        np.testing.assert_array_equal(together[:, i : i + 1], alone)


@pytest.mark.parametrize("size", [(96, 96), (501, 375), (375, 501), (40, 300), (31, 30)])
def test_the_view_of_evaluation_is_torchvisions_resize_and_centre_crop(tmp_path, size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    theirs = transforms.Compose([transforms.Resize(256, BICUBIC), transforms.CenterCrop(224)])(
        Image.fromarray(pixels)
    )
    (ours,) = decoded(tmp_path / "a.png", None, 224)
    np.testing.assert_array_equal(ours, np.asarray(theirs).transpose(2, 0, 1))


def test_a_photo_that_is_not_cropped_shows_its_middle(photos):
    file = next(iter((photos / "train").rglob("*.jpg")))
    uncropped = PAPER.model_copy(update={"crop_p": 0.0, "flip_p": 0.0})
    draws = drawn(1, augment=uncropped)
    assert not {"crop", "flip"} & draws.keys()
    ours = decode([file], [draws], uncropped, 64)
    np.testing.assert_array_equal(ours[0, 0], decoded(file, None, 64)[0])


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P"])
def test_every_kind_of_photo_becomes_rgb(tmp_path, mode):
    file = tmp_path / ("a.png" if mode in ("RGBA", "P") else "a.jpg")
    Image.new("RGB", (40, 30), (200, 100, 50)).convert(mode).save(file)
    assert decoded(file, None, 16)[0].shape == (3, 16, 16)


def test_a_batch_depends_on_its_request_alone(photos):
    """Not on the number of threads, and not on what was read before it."""
    requests = [request(range(10 * i, 10 * i + 10), f"batch {i}") for i in range(6)]
    expected = [batch.pixels for batch in of(photos, threads=1).train.read(requests)]
    together = [batch.pixels for batch in of(photos, threads=8).train.read(requests)]
    (alone,) = of(photos).train.read([requests[4]])
    assert all(torch.equal(a, b) for a, b in zip(expected, together, strict=True))
    assert torch.equal(alone.pixels, expected[4])
    assert not torch.equal(*expected[0])  # the two views are two crops


def test_rows_of_a_batch_are_read_as_the_whole_batch_would_be(photos):
    """So devices that share a batch see together what one device would."""
    source, whole = of(photos).train, request(range(40))
    part = Request(
        whole.rows[10:30], PAPER, tuple(view.rows(slice(10, 30)) for view in whole.views)
    )
    of_whole, of_part = source.read([whole, part])
    assert torch.equal(of_part.views(CPU), of_whole.views(CPU)[:, 10:30])
    assert torch.equal(of_part.labels, of_whole.labels[10:30])


def test_each_view_of_each_step_has_crops_of_its_own(photos):
    source = of(photos).train

    def places(seed, at, view):
        wanted = step_request(small(photos, seed=seed), source, torch.arange(4), at)
        return tuple(wanted.views[view - 1]["crop_place"][2].tolist())

    asked = [
        (0, StepIndex(5, 1, 2), 1),
        (0, StepIndex(5, 1, 2), 2),
        (1, StepIndex(5, 1, 2), 1),
        (0, StepIndex(6, 1, 3), 1),
        (0, StepIndex(8, 2, 2), 1),
    ]
    assert len({places(*place) for place in asked}) == 5
    assert [places(*place) for place in asked] == [places(*place) for place in asked]


def test_a_view_of_a_batch_is_its_crop_finished_on_the_device(photos):
    wanted = request([3, 1])
    (batch,) = of(photos).train.read([wanted])
    ours = batch.views(CPU)
    assert ours.shape == (2, 2, 3, 64, 64) and ours.dtype == torch.float32
    for view in (0, 1):
        expected = finish_view(batch.pixels[view].float() / 255, wanted.views[view], PAPER)
        assert torch.equal(ours[view], expected)
    assert torch.equal(batch.labels, of(photos).train.labels[[3, 1]])


def test_a_batch_without_views_shows_the_middle(photos):
    source = of(photos).train
    (batch,) = source.read([Request(torch.tensor([2]), PAPER)])
    middle = torch.from_numpy(decoded(source.folder / source.names[2], None, 64)[0])
    assert torch.equal(batch.clean(CPU), normalized(middle[None].float() / 255, PAPER))


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
        photos_module, "decode", lambda files, *rest: decoded.extend(files) or decode(files, *rest)
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
from byol_core.augment.draws import draw_view
from byol_core.config import DatasetConfig, resolve
from byol_core.images.load import load
from byol_core.images.source import Request
augment = resolve("imagenet-r50-300ep", {}).augment
photos = load(DatasetConfig(name="folder", path=sys.argv[1], side=224), threads=2).train
def request(i):
    views = tuple(draw_view(augment, 0, (i,), view, 20, photos.shape) for view in (1, 2))
    return Request(torch.arange(20), augment, views)
def read(batches):
    for _ in photos.read(map(request, range(batches))):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(read(8), read(80))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_photos(photos):
    """80 batches are 480 MB of pixels; what is held at once is four batches, 24 MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, photos], capture_output=True, text=True, check=True
    )
    few_mb, many_mb = map(float, done.stdout.split())
    assert many_mb - few_mb < 60


@pytest.mark.slow
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
    assert (tmp_path / "evaluations" / "knn-v3.json").exists()
