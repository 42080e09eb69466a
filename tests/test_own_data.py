"""A data set of one's own: what a plan knows of it, what its class is held to, and a sweep with it."""

import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from byol_core.config import ConfigError, DatasetConfig, canonical, resolve
from byol_core.datasets.errors import DataError, DataMissingError
from byol_core.datasets.facts import DataFacts, check_fit, data_facts
from byol_core.datasets.locate import data_identity
from byol_core.images.load import load
from byol_core.plugins import PlugInError
from byol_core.train import Options, train
from orchestrator.cli.main import app
from orchestrator.errors import SpecError
from orchestrator.store.root import Root

OWN = """
import numpy as np


class Pairs:
    def __init__(self, path):
        self.all = np.load(path / "all.npz") if path.is_dir() else np.load(path)

    def train(self):
        return self.all["images"][:24], self.all["labels"][:24]

    def test(self):
        return self.all["images"][24:], list(self.all["labels"][24:])


class WithMore(Pairs):
    def pretrain(self):
        return self.all["images"], np.full(len(self.all["images"]), -1)


class MoreOfColours(Pairs):
    def pretrain(self):
        return np.zeros((9, 8, 8, 3), dtype=np.uint8), np.zeros(9, dtype=int)


class Frozen(Pairs):
    def train(self):
        images, labels = super().train()
        images.setflags(write=False)
        return images[:, ::-1], labels[::-1]


class NoTest:
    def __init__(self, path):
        pass

    def train(self):
        return np.zeros((9, 8, 8), dtype=np.uint8), np.zeros(9, dtype=int)


class Alone(Pairs):
    def train(self):
        return self.all["images"]


class Ragged(Pairs):
    def train(self):
        return [[1, 2], [3]], [0, 1]


class Floats(Pairs):
    def train(self):
        images, labels = super().train()
        return images / 255, labels


class TooFew(Pairs):
    def train(self):
        images, labels = super().train()
        return images, labels[1:]


class Unheard(Pairs):
    def test(self):
        images, labels = super().test()
        return images, [7 for _ in labels]


class Single(Pairs):
    def train(self):
        images, labels = super().train()
        return images, labels * 0

    def test(self):
        images, labels = super().test()
        return images, [0 for _ in labels]


class Fails(Pairs):
    def train(self):
        return self.nothing


class Looks(Pairs):
    def train(self):
        return np.load("not_there.npy")
"""
SMALL = {"epochs": 1, "batch_size": 8, "encoder.norm": "ln", "projector.hidden": 16}
SMALL |= {"projector.out": 8, "predictor.hidden": 16, "predictor.out": 8}


def write_images(path, side=8, seed=0):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (32, side, side), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, images=images, labels=np.arange(32) % 3)
    return images


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of images, whose class can be imported."""
    (tmp_path / "own_images.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_images", raising=False)
    write_images(tmp_path / "data" / "all.npz")
    return tmp_path / "data"


def own(path, name="Pairs", **settings):
    return DatasetConfig(name=f"own_images:{name}", path=str(path), **settings)


# What is known beforehand


def test_its_files_tell_its_runs_apart_and_their_place_does_not(folder, tmp_path):
    (folder / "deep").mkdir()
    (folder / "deep" / "b.txt").write_text("b")
    first = data_identity(own(folder))
    assert first.images is None and first.split == "as its class gives them"
    assert data_identity(own(folder, "WithMore")) == first  # the settings tell classes apart

    # Moved, and with what no class reads.
    folder.rename(tmp_path / "moved")
    folder = tmp_path / "moved"
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x").write_text("x")
    (folder / ".hidden").write_text("x")
    assert data_identity(own(folder)) == first

    # Another name, other content.
    (folder / "deep" / "b.txt").rename(folder / "deep" / "c.txt")
    second = data_identity(own(folder))
    write_images(folder / "all.npz", seed=1)
    assert len({first, second, data_identity(own(folder))}) == 3

    file = data_identity(own(folder / "all.npz"))
    (folder / "all.npz").rename(folder / "other.npz")
    assert data_identity(own(folder / "other.npz")) == file


def test_a_plan_neither_imports_the_class_nor_says_what_it_cannot_know(folder, monkeypatch):
    """Settings that only images could refuse are let through, and refused when the run starts."""
    (folder.parent / "own_images.py").write_text("1 / 0")
    dataset = own(folder, limit=3)
    assert data_facts(dataset) == DataFacts(None, None)
    for odd in ({"batch_size": 999}, {"augment.normalize": "imagenet"}, {"epochs": 1}):
        check_fit(resolve("digits-tiny", odd), DataFacts(None, None))

    settings = canonical(resolve("digits-tiny", {"dataset.name": dataset.name}))
    assert settings["dataset.side"] is None  # which photos have, and its class is not told
    assert "own_images" not in sys.modules


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (None, "data set 'own_images:Pairs' needs dataset.path: the file or folder that its class"),
        ("nothing", "nothing' is missing; check dataset.path"),
        ("empty", "empty' is empty; check dataset.path"),
    ],
)
def test_files_that_are_not_there_are_said_so(tmp_path, path, text):
    (tmp_path / "empty").mkdir()
    place = path and str(tmp_path / path)
    with pytest.raises(DataMissingError) as error:
        data_identity(DatasetConfig(name="own_images:Pairs", path=place))
    assert text in str(error.value)


# What its class gives


def test_its_arrays_come_out_as_they_are(folder, tmp_path, monkeypatch):
    images = np.load(folder / "all.npz")["images"]
    dataset = load(own(folder))
    assert dataset.pretrain is dataset.train and dataset.channels == 1
    np.testing.assert_array_equal(dataset.train.images[:, 0], images[:24])
    assert dataset.test.labels.tolist() == [i % 3 for i in range(24, 32)]
    assert len(load(own(folder, limit=5)).train) == 5

    # More images to train on; arrays that are read-only, or in another order in memory.
    more = load(own(folder / "all.npz", "WithMore"))
    assert (len(more.pretrain), len(more.train)) == (32, 24)
    assert set(more.pretrain.labels.tolist()) == {-1}
    np.testing.assert_array_equal(load(own(folder, "Frozen")).train.images[:, 0], images[:24, ::-1])


@pytest.mark.parametrize("name", ["", "all.npz"])
def test_on_a_node_it_is_read_from_a_copy_of_what_is_there_now(folder, tmp_path, monkeypatch, name):
    monkeypatch.setenv("SWEEP_DATA_COPY", str(tmp_path / "node"))
    (folder / "deep").mkdir()
    (folder / "deep" / "b").write_text("b")
    dataset = own(folder / name)
    first = load(dataset).train.images
    (copy,) = (tmp_path / "node").rglob("all.npz")
    assert copy.parent.name == "data"
    assert len([*(tmp_path / "node").rglob("b")]) == (0 if name else 1)

    # What was copied is what is read, until it changes.
    changed_ns = copy.stat().st_mtime_ns
    assert np.array_equal(load(dataset).train.images, first)
    assert copy.stat().st_mtime_ns == changed_ns
    images = write_images(folder / "all.npz", seed=1)
    np.testing.assert_array_equal(load(dataset).train.images[:, 0], images[:24])


REFUSED = {
    "Missing": (PlugInError, "own_images has no class Missing"),
    "NoTest": (PlugInError, "it has no method test; it needs train() and test(), each giving"),
    "Alone": (PlugInError, "train gives a ndarray; it must give a pair, an array of images and o"),
    "Ragged": (PlugInError, "train gives a tuple; it must give a pair"),
    "Fails": (PlugInError, "train fails: AttributeError: 'Fails' object has no attribute 'noth"),
    "Floats": (DataError, "x_train is float64 (24, 8, 8); it must be uint8 (N, side, side)"),
    "TooFew": (DataError, "y_train is int64 (23,); it must be integers (24,)"),
    "Unheard": (DataError, "y_test holds the label 7, which y_train does not"),
    "MoreOfColours": (DataError, "x_train has 1 channels and x_pretrain 3; they must be equal"),
    "Single": (DataError, "the training images are all of class 0, and encoders are judged by"),
    "Looks": (OSError, "not_there.npy"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_data_set_is_named_in_a_line(folder, name):
    kind, text = REFUSED[name]
    with pytest.raises(kind) as error:
        load(own(folder, name))
    assert text in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"batch_size": 25}, "batch_size"),
        ({"augment.normalize": "cifar10"}, "augment.normalize"),
        ({"dataset.limit": 1}, "dataset.limit"),
    ],
)
def test_what_a_plan_could_not_tell_is_refused_when_the_run_starts(folder, tmp_path, settings, key):
    base = {**SMALL, "dataset.name": "own_images:Pairs", "dataset.path": str(folder)}
    with pytest.raises(ConfigError) as error:
        train(resolve("digits-tiny", base | settings), tmp_path / "run", Options(), None)
    assert error.value.key == key


# From the command line


SPEC = """\
version: 1
name: own
base: {preset: digits-tiny, BASE}
seeds: [0]
baseline: plain
plugins: {files: [own/images.py, own/views.py]}
variants:
  plain: {}
  shaded: {augment.extra: "own.views:Shade"}
"""
VIEWS = """\
import torch


class Shade:
    def draw(self, rng, n, shape, view):
        return torch.from_numpy(rng.random((n, 1, 1, 1), dtype="float32"))

    def apply(self, images, draws):
        return images * draws
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a spec, its plug-ins and its images, to work in."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "images.py").write_text(OWN)
    (tmp_path / "own" / "views.py").write_text(VIEWS)
    write_images(tmp_path / "data" / "all.npz", side=16)
    base = {**SMALL, "dataset.name": '"own.images:WithMore"', "dataset.path": "data"}
    words = ", ".join(f"{key}: {value}" for key, value in base.items())
    (tmp_path / "spec.yaml").write_text(SPEC.replace("BASE", words))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("SWEEP_DB", str(tmp_path / "results.db"))
    return tmp_path


def sweep(*arguments):
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    return done.stdout


def planned():
    return sweep("launch", "spec.yaml", "--dry-run", "--executor", "local")


def test_a_sweep_over_images_and_views_of_ones_own_trains_and_reports(place):
    assert "2 to run" in planned() and not (place / "root").exists()
    printed = sweep("launch", "spec.yaml", "--executor", "local", "--slots", "2")
    assert "own: 2/2 done" in printed
    runs = {
        entry["variant"]: Root(place / "root").run(entry["run_id"])
        for entry in Root(place / "root").sweep("own").read_plan()["runs"]
    }
    for run in runs.values():
        description = run.read_description()
        assert description["data"]["images"] is None and len(description["canonical"]["plugins"])
        (file,) = (run.path / "evaluations").glob("probe-*.json")
        result = json.loads(file.read_text())
        assert result["images"] == {"train": 24, "test": 8}
        assert 0 <= result["online"]["accuracy"] <= 1
    assert "own.images:WithMore" in sweep("show", "plain:0")
    assert "own.views:Shade" in sweep("diff", "plain:0", "shaded:0")

    # Elsewhere they are the same images; other images, or another line of a file, are another run.
    (place / "data").rename(place / "moved")
    (place / "spec.yaml").write_text((place / "spec.yaml").read_text().replace(": data", ": moved"))
    assert "0 to run, 2 done already" in planned()
    write_images(place / "moved" / "all.npz", side=16, seed=1)
    assert "2 to run" in planned()


def test_a_run_whose_images_cannot_serve_fails_in_a_line_that_says_why(place):
    text = OWN.replace("def test(self)", "def tset(self)")
    (place / "own" / "images.py").write_text(text)
    done = CliRunner().invoke(app, ["launch", "spec.yaml", "--executor", "inline"])
    assert done.exit_code and "own.images:WithMore: it has no method test" in done.output


def test_a_try_of_some_steps_says_what_only_the_images_could_tell(place):
    words = ["launch", "spec.yaml", "--only", "plain", "--max-steps", "1", "--set"]
    done = CliRunner().invoke(app, [*words, "batch_size=33"])
    assert isinstance(done.exception, SpecError)
    assert str(done.exception).startswith("variant 'plain': batch_size: 33 is larger than the 32")


def test_a_try_of_some_steps_says_that_it_is_a_part_of_ones_own_that_failed(place):
    """What an error is of cannot be told where a loss fails in the midst of a step."""
    loss = (
        "class Loss:\n    def __init__(self, config): pass\n    def __call__(self, p, t): 1 / 0\n"
    )
    (place / "own" / "views.py").write_text(loss)
    text = (place / "spec.yaml").read_text()
    (place / "spec.yaml").write_text(
        text.replace("augment.extra", "method").replace("Shade", "Loss")
    )
    words = ["launch", "spec.yaml", "--only", "shaded", "--max-steps", "1"]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, SpecError)
    assert "a part of your own: ZeroDivisionError: division by zero; `sweep --deb" in str(
        done.exception
    )


def test_a_plan_without_its_images_names_the_key(place):
    (place / "data").rename(place / "moved")
    done = CliRunner().invoke(app, ["launch", "spec.yaml", "--dry-run", "--executor", "local"])
    assert done.exit_code and "is missing; check dataset.path" in str(done.exception)
