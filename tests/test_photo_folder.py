"""A folder of photos as data: how it must lie, what it is called, and that unchanged photos are not
read again.
"""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from byol_core.config import DatasetConfig
from byol_core.datasets import fingerprint
from byol_core.datasets.errors import DataMissingError
from byol_core.datasets.locate import data_identity
from byol_core.datasets.node_copy import copy_photos_to_node
from byol_core.datasets.photo_folder import list_photos

NAMES = ("train/a/1.jpeg", "train/a/2.JPG", "train/b/1.png", "val/a/1.jpeg", "val/b/9.jpeg")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    for name in NAMES:
        put(folder / name, name)
    return folder


def put(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def identity(folder):
    return data_identity(DatasetConfig(name="folder", path=str(folder))).fingerprint


@pytest.fixture
def read(monkeypatch):
    """The names of the photos whose content is read."""
    names, hashing = [], fingerprint._sha256
    monkeypatch.setattr(
        fingerprint, "_sha256", lambda file: names.append(file.name) or hashing(file)
    )
    return names


def test_the_identity_is_names_and_content_wherever_they_lie(root, tmp_path):
    before = identity(root)
    assert identity(shutil.copytree(root, tmp_path / "copy")) == before
    (tmp_path / "copy" / "val").rename(tmp_path / "copy" / "test")
    assert identity(tmp_path / "copy") == before
    os.utime(root / NAMES[0], (1, 1))
    assert identity(root) == before


CHANGES = {
    "content": lambda root: put(root / "train/a/1.jpeg", "train/a/9.jpeg"),
    "a photo more": lambda root: put(root / "train/a/3.jpeg", "3"),
    "a photo less": lambda root: (root / "train/a/1.jpeg").unlink(),
    "another name": lambda root: (root / "train/a/1.jpeg").rename(root / "train/a/0.jpeg"),
    "another class": lambda root: (root / "train/a/1.jpeg").rename(root / "train/b/2.jpeg"),
    "the other split": lambda root: (root / "train/a/1.jpeg").rename(root / "val/a/2.jpeg"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_set_of_photos_is_another_identity(root, change):
    before = identity(root)
    CHANGES[change](root)
    assert identity(root) != before


def test_what_is_no_photo_does_not_count(root):
    before = identity(root)
    for name in ("train/a/notes.txt", "train/a/._1.jpeg", "train/README.jpeg", "stray.jpeg"):
        put(root / name, "x")
    assert identity(root) == before


def test_only_what_is_new_is_read_and_one_file_remembers_the_rest(root, read, tmp_path):
    identity(root)
    assert len(read) == len(NAMES)
    identity(root)
    put(root / "train/b/7.jpeg", "new")
    identity(root)
    assert read[len(NAMES) :] == ["7.jpeg"]
    (index,) = (tmp_path / "cache/byol-sweeps/fingerprints").iterdir()
    stat = index.stat()
    identity(root)
    assert index.stat().st_ino == stat.st_ino  # not even written again


def test_an_interrupted_reading_goes_on_where_it_was(root, read, monkeypatch):
    monkeypatch.setattr(fingerprint, "_FILES_A_TASK", 1)
    monkeypatch.setattr(fingerprint, "_READERS", 1)
    whole = fingerprint._sha256
    with monkeypatch.context() as broken, pytest.raises(OSError, match="val/a"):
        broken.setattr(
            fingerprint, "_sha256", lambda file: whole(file) if "train" in str(file) else gone(file)
        )
        identity(root)
    del read[:]
    identity(root)
    assert sorted(read) == ["1.jpeg", "9.jpeg"]


def gone(file):
    raise OSError(f"{file}: gone")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\0\0\0", b"abc 1 2 train/a/1.jpeg\0"])
def test_a_damaged_memory_costs_time_and_nothing_else(root, tmp_path, content):
    before = identity(root)
    (index,) = (tmp_path / "cache/byol-sweeps/fingerprints").iterdir()
    index.write_bytes(content)
    assert identity(root) == before


def test_names_that_are_no_text_are_names(root):
    name = os.fsencode(root) + b"/train/a/caf\xe9 \n.jpeg"
    with open(name, "wb") as file:  # noqa: PTH123
        file.write(b"x")
    assert identity(root) == identity(root)


MISSING = {
    "no path": (None, "needs dataset.path: a folder DIR with DIR/train/<class>/\\*"),
    "no folder": (
        "elsewhere",
        "has no photos in train; as dataset.path DIR it must hold DIR/train/<class>/\\*",
    ),
    "no test photos": ("half", "has no photos in val or test"),
    "photos without class": ("flat", "has no photos in train"),
}


@pytest.mark.parametrize("kind", MISSING)
def test_a_folder_that_lies_otherwise_is_told_how_it_must(tmp_path, kind):
    path, text = MISSING[kind]
    put(tmp_path / "half/train/a/1.jpeg", "x")
    put(tmp_path / "flat/train/1.jpeg", "x")
    put(tmp_path / "flat/val/a/1.jpeg", "x")
    with pytest.raises(DataMissingError, match=text):
        data_identity(DatasetConfig(name="folder", path=path and str(tmp_path / path)))


def test_an_empty_val_leaves_the_place_to_test(root):
    before = identity(root)
    (root / "val").rename(root / "test")
    (root / "val/a").mkdir(parents=True)
    assert identity(root) == before


@pytest.fixture
def node(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_DATA_COPY", str(tmp_path / "node"))
    return tmp_path / "node"


def content(listing):
    return {
        photo.name: (split.folder / photo.name).read_text()
        for split in (listing.train, listing.test)
        for photo in split.photos
    }


def test_photos_are_read_from_a_copy_on_the_node(root, node, monkeypatch):
    """Jobs that start together make one copy; what changed since is another copy, and what is gone
    is not looked for again.
    """
    whole, copies = content(list_photos(root)), []
    copy = shutil.copy2
    monkeypatch.setattr(shutil, "copy2", lambda *names: copies.append(names) or copy(*names))
    with ThreadPoolExecutor(4) as jobs:
        found = list(jobs.map(copy_photos_to_node, [list_photos(root)] * 4))
    assert len(copies) == len(NAMES) and all(
        content(one) == whole and node in one.train.folder.parents for one in found
    )
    put(root / NAMES[0], "another photo")
    (root / NAMES[3]).unlink()
    assert content(copy_photos_to_node(list_photos(root))) == content(list_photos(root)) != whole


def test_a_copy_that_broke_off_goes_on(root, node, monkeypatch):
    copy, left = shutil.copy2, [3]

    def fill_up(*names):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        return copy(*names)

    monkeypatch.setattr(shutil, "copy2", fill_up)
    with pytest.raises(OSError, match="No space left"):
        copy_photos_to_node(list_photos(root))
    left[0] = len(NAMES) - 3
    assert content(copy_photos_to_node(list_photos(root))) == content(list_photos(root))


def test_without_a_folder_on_the_node_photos_are_read_where_they_lie(root, monkeypatch):
    monkeypatch.delenv("SWEEP_DATA_COPY", raising=False)
    assert copy_photos_to_node(list_photos(root)) == list_photos(root)
