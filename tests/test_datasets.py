"""The table of data sets: published files in small, what is known of them, and run ids by content.

The small files are in the formats of the real ones; their MD5s are put where the real ones stand.
"""

import gzip
import hashlib
import pickle
import struct
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import get_args

import numpy as np
import pytest
import torch
import torchvision.datasets
from conftest import REAL_IMAGES

from byol_core.config import ConfigError, DataIdentity, DatasetConfig, resolve, run_id
from byol_core.datasets.errors import DataError, DataMissingError
from byol_core.datasets.facts import DataFacts, check_fit, data_facts
from byol_core.datasets.fetch import fetch
from byol_core.datasets.kinds import KINDS
from byol_core.datasets.locate import data_identity, find
from byol_core.datasets.published import PUBLISHED, File
from byol_core.images.load import READERS, load
from orchestrator.doctor.probe import _missing
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.spec import load_sweep
from orchestrator.status.show import difference_from_preset
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

FETCHED = ("cifar10", "cifar100", "fashion_mnist")
READER_OF = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "fashion_mnist": "FashionMNIST"}
SIDE_PX = {"cifar10": 32, "cifar100": 32, "fashion_mnist": 28}


def cifar_files(random):
    """Files of CIFAR-10, with two images each: rows of all reds, all greens and all blues."""
    for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        pixels = random.integers(0, 256, (2, 3072), dtype=np.uint8)
        yield name, pickle.dumps({"data": pixels, "labels": [6, 9]})
    yield "batches.meta", pickle.dumps({"label_names": ["airplane"] * 10})


def cifar100_files(random):
    for name, labels in (("train", [19, 29, 0]), ("test", [49, 33])):
        pixels = random.integers(0, 256, (len(labels), 3072), dtype=np.uint8)
        coarse = [0] * len(labels)
        yield name, pickle.dumps({"data": pixels, "fine_labels": labels, "coarse_labels": coarse})
    yield "meta", pickle.dumps({"fine_label_names": ["apple"] * 100})


def fashion_files(random):
    """Fashion-MNIST's four: big-endian headers that tell type and shape, then bytes."""
    for split, n in (("train", 5), ("t10k", 3)):
        pixels = random.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        head = struct.pack(">IIII", 0x803, n, 28, 28)
        yield f"{split}-images-idx3-ubyte.gz", gzip.compress(head + pixels.tobytes(), mtime=0)
        labels = bytes(range(9, 9 - n, -1))
        yield f"{split}-labels-idx1-ubyte.gz", gzip.compress(struct.pack(">II", 0x801, n) + labels)


FILES_OF = {"cifar10": cifar_files, "cifar100": cifar100_files, "fashion_mnist": fashion_files}


def publish(monkeypatch, name, contents):
    """Have `contents` stand where the real files do, for us and for torchvision."""
    md5 = {file: hashlib.md5(content).hexdigest() for file, content in contents.items()}
    real = PUBLISHED[name]
    assert {file.name for file in real.files} == set(contents)
    files = tuple(File(file.name, md5[file.name]) for file in real.files)
    monkeypatch.setitem(PUBLISHED, name, replace(real, files=files))
    reader = getattr(torchvision.datasets, READER_OF[name])
    if name == "fashion_mnist":
        return
    for names in ("train_list", "test_list"):
        pairs = [[file, md5[file]] for file, _ in getattr(reader, names)]
        monkeypatch.setattr(reader, names, pairs)
    meta = reader.meta["filename"]
    monkeypatch.setattr(reader, "meta", {**reader.meta, "md5": md5[meta]})


@pytest.fixture(params=FETCHED)
def small(request, tmp_path, monkeypatch):
    """A fetched data set in small: its name, and its files by name as they lie below data/."""
    name = request.param
    contents = dict(FILES_OF[name](np.random.default_rng(0)))
    publish(monkeypatch, name, contents)
    monkeypatch.setenv("SWEEP_DATA", str(tmp_path / "data"))
    folder = tmp_path / "data" / PUBLISHED[name].folder
    folder.mkdir(parents=True)
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    return name, folder


def expected(name, folder):
    """Read train and test images without torchvision: (N, C, H, W) pixels and labels, of each."""
    if name == "fashion_mnist":
        for split in ("train", "t10k"):
            pixels = gzip.decompress((folder / f"{split}-images-idx3-ubyte.gz").read_bytes())[16:]
            labels = gzip.decompress((folder / f"{split}-labels-idx1-ubyte.gz").read_bytes())[8:]
            yield np.frombuffer(pixels, np.uint8).reshape(-1, 1, 28, 28), [*labels]
        return
    files = {"cifar10": ["data_batch_*", "test_batch"], "cifar100": ["train", "test"]}[name]
    for pattern in files:
        batches = [pickle.loads(file.read_bytes()) for file in sorted(folder.glob(pattern))]
        key = "labels" if name == "cifar10" else "fine_labels"
        labels = [label for batch in batches for label in batch[key]]
        yield np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32), labels


def test_each_name_has_an_entry_and_a_reader():
    ours, _ = get_args(DatasetConfig.model_fields["name"].annotation)  # or the user's own
    names = set(get_args(ours))
    assert set(KINDS) == names and {*READERS, "folder"} == names and set(PUBLISHED) < names


def test_published_images_come_out_as_they_are_stored(small):
    name, folder = small
    dataset = load(DatasetConfig(name=name))
    for split, (pixels, labels) in zip(
        (dataset.train, dataset.test), expected(name, folder), strict=True
    ):
        assert split.images.dtype == torch.uint8 and split.images.is_contiguous()
        np.testing.assert_array_equal(split.images.numpy(), pixels)
        assert split.labels.tolist() == labels and split.labels.dtype == torch.int64
    assert dataset.pretrain is dataset.train


def test_published_images_are_found_below_dataset_path_and_read_from_a_copy(
    small, tmp_path, monkeypatch
):
    name, _ = small
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "data").rename(elsewhere)
    for file in elsewhere.rglob("*"):
        file.chmod(0o555 if file.is_dir() else 0o444)
    monkeypatch.setenv("SWEEP_DATA_COPY", str(tmp_path / "node"))
    dataset = load(DatasetConfig(name=name, path=str(elsewhere)))
    assert len(dataset.test) >= 2 and len([*elsewhere.rglob("*.*")]) <= len(PUBLISHED[name].files)


def test_missing_files_name_the_command_that_fetches_them(small, tmp_path):
    name, folder = small
    (folder / PUBLISHED[name].files[1].name).unlink()
    with pytest.raises(DataMissingError, match=f"fetch it with: sweep data fetch {name}"):
        data_identity(DatasetConfig(name=name))
    with pytest.raises(DataMissingError, match="check dataset.path, or leave it out and fetch it"):
        find(DatasetConfig(name=name, path=str(tmp_path)))


class Attack:
    """Runs code when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def test_a_file_of_another_md5_is_named_and_never_unpickled(small, tmp_path):
    name, folder = small
    victim = folder / PUBLISHED[name].files[1].name
    victim.write_bytes(pickle.dumps(Attack(tmp_path / "owned")))
    with pytest.raises(DataError, match=f"is damaged: {victim.name} .*sweep data fetch {name}"):
        load(DatasetConfig(name=name))
    assert not (tmp_path / "owned").exists()


def test_what_is_known_beforehand_is_what_is_published():
    assert {name: data_facts(DatasetConfig(name=name), []) for name in FETCHED} == {
        "cifar10": DataFacts(50_000, 3),
        "cifar100": DataFacts(50_000, 3),
        "fashion_mnist": DataFacts(60_000, 1),
    }
    assert data_facts(DatasetConfig(name="cifar10", limit=200), []).images == 200
    with pytest.raises(ConfigError, match="first 1 training images are all of class 6"):
        data_facts(DatasetConfig(name="cifar10", limit=1), [])


@pytest.mark.parametrize("normalize", ["imagenet", "cifar10"])
def test_grey_images_have_no_means_of_colours(normalize):
    config = resolve("digits-tiny", {"augment.normalize": normalize})
    with pytest.raises(ConfigError, match=f"{normalize!r} holds means of three colours"):
        check_fit(config, DataFacts(60_000, 1))
    check_fit(config, DataFacts(60_000, 3))


@pytest.fixture
def site(tmp_path):
    """A web server that offers what lies in the folder site/."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("small", ["fashion_mnist"], indirect=True)
def test_files_are_downloaded_one_by_one_and_what_is_right_stays(small, site, monkeypatch):
    name, folder = small
    offered, url = site
    for file in folder.iterdir():
        (offered / file.name).write_bytes(file.read_bytes())
    monkeypatch.setitem(PUBLISHED, name, replace(PUBLISHED[name], site=url))
    kept, damaged, missing, _ = sorted(folder.iterdir())
    inode = kept.stat().st_ino
    damaged.write_bytes(b"half")
    missing.unlink()
    fetch(name)
    assert kept.stat().st_ino == inode and len(load(DatasetConfig(name=name)).train) == 5

    # With everything in its place nothing is asked of the network.
    monkeypatch.setitem(PUBLISHED, name, replace(PUBLISHED[name], site="http://127.0.0.1:9/"))
    fetch(name)
    missing.unlink()
    with pytest.raises(DataError, match="fetching fashion_mnist from .* failed"):
        fetch(name)


@pytest.mark.parametrize("small", ["cifar100"], indirect=True)
def test_an_archive_is_downloaded_checked_unpacked_and_taken_away(small, site, monkeypatch):
    from test_carried_data import tarred

    name, folder = small
    offered, url = site
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}
    archive = tarred(contents, PUBLISHED[name].folder)
    (offered / "small.tar.gz").write_bytes(archive)
    file = File("small.tar.gz", hashlib.md5(archive).hexdigest(), len(archive))
    monkeypatch.setitem(PUBLISHED, name, replace(PUBLISHED[name], site=url, archive=file))
    for path in folder.iterdir():
        path.unlink()
    assert fetch(name) == folder.parent
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == contents
    assert not (folder.parent / "small.tar.gz").exists()

    # A site that offers another file gives an error, and nothing is unpacked.
    (offered / "small.tar.gz").write_bytes(archive[:-9])
    (folder / "meta").unlink()
    with pytest.raises(DataError, match="fetching cifar100 from .* failed"):
        fetch(name)
    assert not (folder / "meta").exists()


def test_real_fashion_mnist_is_read(tmp_path):
    source = REAL_IMAGES / "fashion-mnist"
    if not source.exists():
        pytest.skip("the real Fashion-MNIST files are not here")
    dataset = DatasetConfig(name="fashion_mnist", path=str(source), limit=1000)
    images = load(dataset)
    assert len(images.pretrain) == 1000 and len(images.test) == 10_000 and images.channels == 1
    assert data_facts(dataset) == DataFacts(1000, 1) and data_identity(dataset).images == 60_000
    ((pixels, labels), _) = expected("fashion_mnist", source / "FashionMNIST" / "raw")
    np.testing.assert_array_equal(images.pretrain.images[-1].numpy(), pixels[999])
    assert images.train.labels.tolist() == labels[:1000]


def write_arrays(path, y_train, y_test=(0, 1)):
    random = np.random.default_rng(0)
    arrays = {f"y_{name}": np.array(y) for name, y in (("train", y_train), ("test", y_test))}
    for name, y in (("x_train", y_train), ("x_test", y_test)):
        arrays[name] = random.integers(0, 256, (len(y), 8, 8), dtype=np.uint8)
    np.savez(path, **arrays)
    return DatasetConfig(name="arrays", path=str(path))


def test_images_without_a_label_are_there_to_train_on_and_count_as_no_class(tmp_path):
    dataset = write_arrays(tmp_path / "a.npz", [-1, 0, -1, 1], y_test=[1, -1, 0])
    assert data_facts(dataset) == DataFacts(4, 1) and len(load(dataset).pretrain) == 4
    assert load(dataset).train.labels.tolist() == [-1, 0, -1, 1]
    with pytest.raises(ConfigError, match="first 3 .* all of class 0 or without a label"):
        data_facts(dataset.model_copy(update={"limit": 3}))
    with pytest.raises(ConfigError, match="first 1 training images have no label"):
        data_facts(dataset.model_copy(update={"limit": 1}))


@pytest.mark.parametrize(
    ("y_train", "y_test", "text"),
    [
        ([0, 1, 1], [-1, -1], "y_test holds no label but -1, which stands for none"),
        ([-1, -1, -1], [0, 1], "y_train holds no label but -1, which stands for none"),
        ([0, 1, -1], [0, 2], "y_test holds the label 2, which y_train does not"),
        ([-1, 2, -1], [2, -1], "all of class 2 or without a label"),
        ([-2, 0, 1], [0, 1], "label -2; labels must be whole numbers from 0 .* or -1 for none"),
    ],
)
def test_labels_that_judge_nothing_are_refused(tmp_path, y_train, y_test, text):
    with pytest.raises(DataError, match=text):
        data_facts(write_arrays(tmp_path / "bad.npz", y_train, y_test))


def test_photos_have_the_classes_that_torchvisions_imagefolder_gives_them(photos):
    dataset = DatasetConfig(name="folder", path=str(photos), side=32)
    images = load(dataset)
    assert data_facts(dataset) == DataFacts(len(images.pretrain), 3) and len(images.test) == 300
    for split, name in ((images.train, "train"), (images.test, "val")):
        reference = torchvision.datasets.ImageFolder(photos / name)
        classes = {path.removeprefix(f"{photos / name}/"): y for path, y in reference.samples}
        assert dict(zip(split.names, split.labels.tolist(), strict=True)) == classes


AFFINE = {"projector.norm": "affine"}
SAME = [
    ({}, {"dataset.limit": 24}, {"dataset.limit": 25}, {"dataset.limit": 10_000}),
    (
        {**AFFINE, "init.affine_images": 24},
        {**AFFINE, "init.affine_images": 512},
        {**AFFINE, "init.affine_images": 9999, "dataset.limit": 24},
    ),
    (
        {**AFFINE, "init.affine_images": 10, "dataset.limit": 10},
        {**AFFINE, "init.affine_images": 24, "dataset.limit": 10},
    ),
]


@pytest.mark.parametrize("group", range(len(SAME)))
def test_settings_beyond_the_images_mean_the_same(tmp_path, group):
    data = data_identity(write_arrays(tmp_path / "a.npz", [0, 1, 2] * 8))
    ids = {run_id(resolve("digits-tiny", overrides), data) for overrides in SAME[group]}
    assert data.images == 24 and len(ids) == 1
    other = {**SAME[group][0], "dataset.limit": 23}
    assert run_id(resolve("digits-tiny", other), data) not in ids


def test_the_number_of_images_is_no_part_of_an_id_but_through_the_settings():
    config = resolve("digits-tiny", {"dataset.limit": 5})
    known, unknown = DataIdentity("f" * 64, "as stored", 24), DataIdentity("f" * 64, "as stored")
    assert run_id(config, known) == run_id(config, unknown)


SPEC = """
version: 1
name: same
question: Do equal settings share a run?
base: {preset: digits-tiny, dataset.name: arrays, dataset.path: PATH, batch_size: 8}
seeds: [0, 1]
baseline: all
variants:
  all:    {}
  beyond: {dataset.limit: 30}
  just:   {dataset.limit: 24}
  half:   {dataset.limit: 12}
"""


@pytest.fixture
def planned(tmp_path):
    """The runs of a spec whose limits lie around its 24 images, by variant and seed."""
    dataset = write_arrays(tmp_path / "a.npz", [0, 1, 2] * 8)
    file = tmp_path / "same.yaml"
    file.write_text(SPEC.replace("PATH", dataset.path))
    root = Root(tmp_path / "root")
    root.create()

    def plan(**selection):
        made = make_plan(load_sweep(file), root, Selection(**selection), Queue())
        write_plan(made, root)
        return made

    return root, plan


def test_variants_beyond_the_images_share_a_run_in_a_plan(planned):
    root, plan = planned
    runs = {(run.variant.name, run.seed): run.run_id for run in plan().runs}
    assert runs["all", 0] == runs["beyond", 0] == runs["just", 0] != runs["half", 0]
    assert len(set(runs.values())) == 4 and len(root.runs()) == 4
    written = root.run(runs["beyond", 0]).read_description()
    assert written["data"]["images"] == 24 and written["canonical"]["dataset.limit"] == 0

    preset, differences = difference_from_preset(root.run(runs["beyond", 0]))
    changed = {"dataset.name", "batch_size"}
    changed |= {"augment.grayscale_p"}  # without effect on digits, which are all grey
    assert preset == "digits-tiny" and set(differences) == changed

    # By hand it is the same run, and a launch of one variant takes none of the others away.
    config = root.run(runs["half", 1]).config()
    assert run_id(config, data_identity(config.dataset)) == runs["half", 1]
    again = plan(only=["just"])
    assert (again.removed, again.start[0].run_id) == ([], runs["just", 0])
    assert plan().removed == []


def test_a_doctor_in_a_job_looks_for_photos_too(tmp_path):
    (text,) = _missing([{"name": "folder", "path": str(tmp_path)}])
    assert "has no photos in train" in text
