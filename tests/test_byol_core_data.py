"""Data sets: the readers on real files."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from byol_core.config import DatasetConfig
from byol_core.datasets.errors import DataError, DataMissingError
from byol_core.datasets.locate import find
from byol_core.datasets.published import data_root
from byol_core.images.load import load


def test_digits_are_scikit_learns_split_once_for_ever():
    images = load(DatasetConfig())
    assert images.pretrain.images.shape == (1400, 1, 16, 16) and len(images.test) == 397
    assert images.pretrain.images.dtype == torch.uint8 and int(images.pretrain.images.max()) == 255
    assert sorted([*images.train.labels.tolist(), *images.test.labels.tolist()]) == sorted(
        load_digits().target.tolist()
    )
    digest = hashlib.sha256(
        images.train.labels.numpy().tobytes() + images.test.labels.numpy().tobytes()
    ).hexdigest()
    assert digest[:16] == "8f61c6ae4453aea8"


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("arrays", "~/photos", "photos' is a folder; photos want dataset.name=folder"),
        ("folder", "~/some.npz", "some.npz' is a file; an .npz wants dataset.name=arrays"),
        ("arrays", "~/none.npz", "none.npz' is missing; check dataset.path"),
        ("arrays", "~nobody-of-this-name/a.npz", "~nobody-of-this-name/a.npz' is missing"),
    ],
)
def test_a_path_of_another_kind_names_the_setting_that_takes_it(
    tmp_path, monkeypatch, name, path, words
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").mkdir()
    (tmp_path / "some.npz").touch()
    with pytest.raises(DataMissingError) as error:
        find(DatasetConfig(name=name, path=path))
    assert words in str(error.value) and (str(tmp_path) in str(error.value) or "nobody" in path)


def test_the_home_folder_is_meant_by_a_tilde_in_the_variable_of_fetched_data(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SWEEP_DATA", "~/data")
    assert data_root() == tmp_path / "data"


def test_real_cifar_pixels_are_read_as_stored(cifar_npz):
    images, stored = load(DatasetConfig(name="arrays", path=str(cifar_npz))), np.load(cifar_npz)
    assert images.pretrain.images.shape == (300, 3, 32, 32) and images.channels == 3
    np.testing.assert_array_equal(
        images.pretrain.images[7].permute(1, 2, 0).numpy(), stored["x_train"][7]
    )
    np.testing.assert_array_equal(images.test.labels.numpy(), stored["y_test"])


def write(path, x=None, y=None):
    x = np.zeros((4, 8, 8, 3), np.uint8) if x is None else x
    y = np.arange(len(x)) if y is None else y
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    return DatasetConfig(name="arrays", path=str(path))


def test_grey_arrays_get_a_channel(tmp_path):
    assert load(write(tmp_path / "a.npz", np.zeros((4, 8, 8), np.uint8))).channels == 1


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (np.zeros((4, 8, 8, 3), np.float32), None, "x_train is float32"),
        (np.zeros((4, 8, 9, 3), np.uint8), None, "must be uint8"),
        (np.zeros((4, 8, 8, 5), np.uint8), None, "must be uint8"),
        (np.zeros((4, 8, 8, 3), np.uint8), np.arange(3), "y_train is int64"),
        (np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4), "y_train is float64"),
    ],
)
def test_arrays_of_another_kind_are_refused_by_name(tmp_path, x, y, text):
    with pytest.raises(DataError, match=text):
        load(write(tmp_path / "bad.npz", x, y))


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match="is no .npz with x_train"):
        load(DatasetConfig(name="arrays", path=str(tmp_path / "text.npz")))


def test_limit_shortens_training_and_leaves_the_test_images(tmp_path):
    images = load(DatasetConfig(limit=100))
    assert (len(images.pretrain), len(images.train), len(images.test)) == (100, 100, 397)


def test_stl10_is_read_through_torchvision(tmp_path, monkeypatch):
    """Small files in STL-10's binary format: column-major pixels, labels from 1, none for the
    unlabeled.
    """
    from torchvision.datasets import STL10

    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    random = np.random.default_rng(0)
    pixels = {
        name: random.integers(0, 256, (n, 3, 96, 96), dtype=np.uint8)
        for name, n in [("train", 4), ("unlabeled", 6), ("test", 5)]
    }
    for name, array in pixels.items():
        (folder / f"{name}_X.bin").write_bytes(array.tobytes())
    for name, n in (("train", 4), ("test", 5)):
        (folder / f"{name}_y.bin").write_bytes(bytes(range(1, n + 1)))
    (folder / "class_names.txt").write_text("\n".join("abcdefghij"))
    monkeypatch.setattr(STL10, "_check_integrity", lambda self: True)
    images = load(DatasetConfig(name="stl10", path=str(tmp_path)))
    assert (len(images.pretrain), len(images.train), len(images.test)) == (10, 4, 5)
    np.testing.assert_array_equal(
        images.train.images[1].numpy(), pixels["train"][1].transpose(0, 2, 1)
    )
    assert (
        images.train.labels.tolist() == [0, 1, 2, 3]
        and images.pretrain.labels.tolist() == [0, 1, 2, 3] + [-1] * 6
    )


def test_damaged_stl10_names_the_way_out(tmp_path):
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for name in ("train_X.bin", "train_y.bin", "unlabeled_X.bin", "test_X.bin", "test_y.bin"):
        (folder / name).write_bytes(b"x")
    with pytest.raises(DataError, match="damaged.*sweep data fetch stl10"):
        load(DatasetConfig(name="stl10", path=str(tmp_path)))


def test_images_are_read_from_a_copy_on_the_node(tmp_path, monkeypatch):
    """Jobs on a node make one copy; it is read instead of the original, and made anew when that has
    changed.
    """
    dataset = write(tmp_path / "a.npz", np.full((4, 8, 8, 3), 7, np.uint8))
    monkeypatch.setenv("SWEEP_DATA_COPY", str(tmp_path / "node"))
    with ThreadPoolExecutor(4) as jobs:
        assert [int(images.pretrain.images.max()) for images in jobs.map(load, [dataset] * 4)] == [
            7
        ] * 4
    (copy,) = (tmp_path / "node").rglob("a.npz")
    times = copy.stat().st_mtime_ns, copy.stat().st_size
    np.savez(copy, **{**np.load(copy), "x_train": np.full((4, 8, 8, 3), 9, np.uint8)})
    os.truncate(copy, times[1])
    os.utime(copy, ns=(times[0], times[0]))
    assert int(load(dataset).pretrain.images.max()) == 9
    write(tmp_path / "a.npz", np.full((5, 8, 8, 3), 3, np.uint8))
    assert int(load(dataset).pretrain.images.max()) == 3
