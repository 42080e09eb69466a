"""Protocols of evaluation: their own views, labels, float32, and references from NumPy and
scikit-learn; encoders that are loaded from the disk.
"""

import hashlib
import math

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torchvision import transforms

from byol_core.config import PROTOCOLS, DatasetConfig, TrainConfig, resolve
from byol_core.evaluation import features as features_module
from byol_core.evaluation import probe as probe_module
from byol_core.evaluation.features import NotFiniteError
from byol_core.evaluation.features import features as features_of_all
from byol_core.evaluation.knn import first_nearest
from byol_core.evaluation.labels import Labelled, NoLabelsError
from byol_core.evaluation.probe import chosen_places
from byol_core.evaluation.protocols import evaluate
from byol_core.evaluation.views import views_of
from byol_core.files import DamagedFileError
from byol_core.images.load import load
from byol_core.images.memory import Dataset, Split
from byol_core.networks.encoder import Encoder
from byol_core.precision import _tf32_switches, compute_in, rounding_in
from byol_core.train.checkpoint import save_state
from byol_core.train.encoders import keep_encoders, load_encoders

CPU = torch.device("cpu")
WILD = {"rotate_rad": 1.5, "jitter_p": 1.0, "blur_p": (1.0, 1.0), "noise_std": 2.0, "crop_p": 1.0}
TABLE = torch.randn(256, 12, generator=torch.Generator().manual_seed(0))


def config_of(dataset="digits", augment=None, **sections):
    return TrainConfig(dataset={"name": dataset}, augment=augment or {}, **sections)


class Flat(nn.Module):
    """Features that are the pixels."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x.flatten(1) * self.scale


class Lookup(Flat):
    """Random features, chosen by the value that all pixels of an image have: no crop and no flip
    changes them.
    """

    def forward(self, x):
        return TABLE[(x.mean((1, 2, 3)) * 255).round().long()] * self.scale


def split_of(ids, labels, side=8, channels=1):
    """Images of one value each."""
    pixels = torch.tensor(ids, dtype=torch.uint8).view(-1, 1, 1, 1)
    return Split(pixels.expand(-1, channels, side, side).clone(), torch.tensor(labels).long())


def dataset_of(labels, test_labels, **shape):
    n = len(labels)
    train = split_of(range(n), labels, **shape)
    test = split_of(range(n, n + len(test_labels)), test_labels, **shape)
    return Dataset(train, train, test)


def mixed_labels(n, classes, seed):
    """Labels that the random features say something of: the largest of the first few decides."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(256, classes)) * 0.7
    return (TABLE[:, :classes].numpy() + noise).argmax(1)[:n].tolist()


@pytest.fixture(scope="module")
def random_images():
    labels = mixed_labels(220, 5, 1)
    return dataset_of(labels[:120], labels[120:])


@pytest.fixture(scope="module")
def small_digits():
    whole = load(DatasetConfig(limit=200))
    test = Split(whole.test.images[:100], whole.test.labels[:100])
    return Dataset(whole.train, whole.train, test)


def features(encoder, images, views, names):
    return features_of_all({"online": encoder}, images, views, names)["online"]


def accuracy(protocol, dataset, config, encoder=None, **options):
    result = evaluate(protocol, {"online": encoder or Lookup()}, dataset, config, **options)
    return result["online"]["accuracy"]


# References.


def test_knn_equals_a_vote_written_out_in_numpy_and_scikit_learns(random_images):
    x = TABLE[:220].double().numpy()
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.concatenate([random_images.train.labels, random_images.test.labels])
    hits = 0
    for query, label in zip(x[120:], y[120:], strict=True):
        cosines = x[:120] @ query
        nearest = np.argsort(-cosines)[:20]
        votes = {c: np.exp(cosines[nearest[y[nearest] == c]] / 0.07).sum() for c in range(5)}
        hits += max(votes, key=votes.get) == label
    reference = KNeighborsClassifier(
        20, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07)
    ).fit(x[:120], y[:120])
    ours = accuracy("knn", random_images, config_of("arrays"))
    assert ours == hits / 100 == pytest.approx(reference.score(x[120:], y[120:]))
    assert 0.3 < ours < 0.95


def test_probe_equals_scikit_learns_regression_on_features_standardized_by_hand(random_images):
    x = np.tile(TABLE[:120].double().numpy(), (2, 1))
    mean, deviation = x.mean(0), x.std(0)
    regression = LogisticRegression(C=1.0, max_iter=10_000, tol=1e-8)
    regression.fit((x - mean) / deviation, np.tile(random_images.train.labels.numpy(), 2))
    queries = (TABLE[120:220].double().numpy() - mean) / deviation
    expected = regression.score(queries, random_images.test.labels.numpy())
    result = evaluate("probe", {"online": Lookup()}, random_images, config_of("arrays"))
    assert result["online"] == {"accuracy": expected} and 0.3 < expected < 0.98
    assert result["converged"] == {"online": True} and result["tolerance"] == 1e-5


def test_pixels_of_digits_tell_classes_apart_and_a_constant_does_not(small_digits):
    class Constant(Flat):
        def forward(self, x):
            return torch.ones(len(x), 4) * self.scale

    digits = config_of()
    assert accuracy("probe", small_digits, digits, Constant()) < 0.2
    assert 0.25 < accuracy("probe", small_digits, digits, Flat()) < 0.8
    assert accuracy("knn", small_digits, digits, Flat()) > 0.8


# A protocol's own views.


def test_the_views_of_each_data_set_are_written_down_in_the_result(small_digits, random_images):
    turns = {"rotate_rad": 0.4, "scale": [0.6, 1.2], "shift": 0.25}
    turns |= {"gain": 0.5, "offset": 0.2, "noise_std": 0.05, "normalize": "none"}
    result = evaluate("probe", {"online": Flat()}, small_digits, config_of())
    assert (result["protocol"], result["version"]) == ("probe", PROTOCOLS["probe"]) == ("probe", 3)
    assert result["views"] == {"train": {"draws": 2, **turns}, "test": {"draws": 5, **turns}}
    assert result["images"] == {"train": 200, "test": 100} and result["unlabelled"] == 0

    crops = {"crop_p": 1.0, "crop_area": [0.2, 1.0], "crop_ratio": [0.75, 4 / 3], "flip_p": 0.5}
    for name in ("arrays", "cifar10", "cifar100", "stl10", "fashion_mnist", "folder"):
        config = TrainConfig(
            dataset={"name": name},
            augment={**dict.fromkeys(("rotate_rad", "shift"), 0.0), "scale": (1.0, 1.0)},
        )
        views = {split: of.record() for split, of in views_of("probe", config).items()}
        assert views["train"] == {"draws": 2, **crops, "normalize": "none"}
        assert views["test"] == {"draws": 1, "normalize": "none"}

    voted = evaluate("knn", {"online": Lookup()}, random_images, config_of("arrays"))
    assert (voted["k"], voted["temperature"]) == (20, 0.07)
    assert voted["views"]["train"] == voted["views"]["test"] == {"draws": 1, "normalize": "none"}


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_nothing_is_on_but_what_the_record_names(name):
    """Defaults of the run's settings may change; a protocol's views may not."""
    config = config_of(name, {"flip_p": 1.0, "solarize_p": (1.0, 1.0)})
    augment = views_of("probe", config)["train"].augment.model_dump()
    named = views_of("probe", config)["train"].record().keys()
    neutral = (0.0, (0.0, 0.0), (1.0, 1.0), "none")
    switches = {key for key in augment if key.endswith("_p")}
    switches |= {"rotate_rad", "scale", "shift", "gain", "offset", "noise_std"}
    assert {key for key in switches if augment[key] not in neutral} <= named


@pytest.mark.parametrize("protocol", ["probe", "knn"])
def test_the_runs_augmentation_changes_no_number(small_digits, protocol):
    plain = accuracy(protocol, small_digits, config_of(), Flat())
    assert accuracy(protocol, small_digits, config_of("digits", WILD), Flat()) == plain


def test_pixels_are_normalized_as_the_run_does():
    dataset = dataset_of([0, 1, 0, 1], [0, 1], channels=3)
    rows = Labelled(dataset.train, torch.arange(4))
    for normalize, mean, std in (
        ("none", 0.0, 1.0),
        ("imagenet", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ):
        views = views_of("knn", config_of("cifar10", {"normalize": normalize}))["train"]
        assert views.record()["normalize"] == normalize
        ours = features(Flat(), rows, views, ("a",)).view(4, 3, 8, 8)
        clean = dataset.train.images.numpy() / 255
        expected = (clean - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


def test_draws_differ_from_image_to_image_and_from_draw_to_draw_and_stay(small_digits):
    views = views_of("probe", config_of())["test"]
    images = Labelled(small_digits.test, torch.arange(100))
    first = features(Flat(), images, views, ("probe", "test"))
    assert first.shape == (500, 256)
    assert torch.equal(first, features(Flat(), images, views, ("probe", "test")))
    assert len(first.unique(dim=0)) == 500
    assert not torch.equal(first, features(Flat(), images, views, ("probe", "train")))


def test_a_large_set_is_probed_on_a_mixed_choice_that_stays(monkeypatch):
    assert torch.equal(chosen_places(50_000), torch.arange(50_000))
    monkeypatch.setattr(probe_module, "MOST_IMAGES", 100)
    rows = chosen_places(1000)
    assert len(set(rows.tolist())) == 100 and torch.equal(rows, chosen_places(1000))
    assert (
        int(rows.max()) > 900
    )  # not the first hundred, which a sorted set would have of one class


class Thumbnail(Flat):
    """Features that are the pixels of an 8×8 thumbnail."""

    def forward(self, x):
        return nn.functional.adaptive_avg_pool2d(x, 8).flatten(1) * self.scale


def test_photos_are_judged_by_their_middle_and_fitted_on_crops(photos):
    paper = resolve("imagenet-r50-300ep", {"dataset.path": str(photos), "dataset.side": 64})
    dataset = load(DatasetConfig(name="folder", path=str(photos), side=64, limit=100), 2)
    views = views_of("probe", paper)
    rows = torch.tensor([0, 17, 299])
    ours = features(Thumbnail(), Labelled(dataset.test, rows), views["test"], ())
    theirs = transforms.Compose(
        [
            transforms.Resize(73, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(64),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    for row, of_row in zip(rows.tolist(), ours, strict=True):
        with Image.open(dataset.test.folder / dataset.test.names[row]) as photo:
            expected = Thumbnail()(theirs(photo.convert("RGB"))[None])[0]
        torch.testing.assert_close(of_row, expected.detach(), atol=1e-5, rtol=0)

    some = Labelled(dataset.train, torch.arange(20))
    crops = features(Thumbnail(), some, views["train"], ("probe", "train"))
    assert len(crops) == 40 and len(crops.unique(dim=0)) == 40
    assert accuracy("knn", dataset, paper, Thumbnail()) > 0.1


# Labels.


@pytest.mark.parametrize("protocol", ["probe", "knn"])
def test_images_without_a_label_are_left_out_and_counted(random_images, protocol):
    train, test = random_images.train, random_images.test
    for_train, for_test = train.labels.clone(), test.labels.clone()
    for_train[::3] = -1
    for_test[5:9] = -1
    holes = Dataset(
        Split(train.images, torch.full((120,), -1)),
        Split(train.images, for_train),
        Split(test.images, for_test),
    )
    keep_train, keep_test = for_train >= 0, for_test >= 0
    without = Dataset(
        train,
        Split(train.images[keep_train], train.labels[keep_train]),
        Split(test.images[keep_test], test.labels[keep_test]),
    )
    result = evaluate(protocol, {"online": Lookup()}, holes, config_of("arrays"))
    assert result["unlabelled"] == 44 and result["images"] == {"train": 80, "test": 96}
    assert result["online"]["accuracy"] == accuracy(protocol, without, config_of("arrays"))


@pytest.mark.parametrize("protocol", ["probe", "knn"])
@pytest.mark.parametrize(
    ("labels", "test_labels", "words"),
    [
        ([0, 1, 0], [-1, -1], "none of the 2 test images has a label (all are -1)"),
        ([-1, -1, -1], [0, 1], "labels of 0 classes, 0 of 3 have one"),
        ([1, -1, 1], [1, 1], "labels of 1 classes, 2 of 3 have one"),
    ],
)
def test_too_few_labels_are_an_error_that_says_what_is_needed(protocol, labels, test_labels, words):
    with pytest.raises(NoLabelsError) as error:
        accuracy(protocol, dataset_of(labels, test_labels), config_of("arrays"))
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("protocol", ["probe", "knn"])
@pytest.mark.parametrize(
    ("labels", "test_labels", "right"),
    [
        ([0, 1] * 10, [0, 1], None),  # two classes
        ([7, 99_999] * 10, [7, 99_999], None),  # numbers far apart
        (list(range(20)), [3, 4], None),  # a class for each image
        ([0, 1] * 10, [2, 3], 0.0),  # nothing was learned of these
        ([0] * 19 + [1], [0], None),  # one image of a class
        ([5, 6], [5, 6, 5, 6, 5], None),  # fewer images than neighbours
    ],
)
def test_any_number_of_classes_can_be_judged(protocol, labels, test_labels, right):
    value = accuracy(protocol, dataset_of(labels, test_labels), config_of("arrays"))
    assert 0 <= value <= 1 and (right is None or value == right)


def test_the_same_classes_by_other_numbers_get_the_same_votes(random_images):
    def renumbered(split):
        return Split(split.images, split.labels * 17 + 3)

    other = Dataset(*(renumbered(getattr(random_images, s)) for s in ("pretrain", "train", "test")))
    config = config_of("arrays")
    assert accuracy("knn", other, config) == accuracy("knn", random_images, config)


def test_encoders_that_are_judged_together_get_what_each_gets_alone(random_images):
    class Half(Lookup):
        def forward(self, x):
            return super().forward(x)[:, :6]

    encoders = {"online": Lookup(), "target": Half()}
    for protocol in PROTOCOLS:
        together = evaluate(protocol, encoders, random_images, config_of("arrays"))
        alone = [
            accuracy(protocol, random_images, config_of("arrays"), encoder)
            for encoder in encoders.values()
        ]
        assert [together[name]["accuracy"] for name in encoders] == alone
        assert alone[0] != alone[1]


def test_the_size_of_batches_changes_no_view(small_digits, monkeypatch):
    views = views_of("probe", config_of())["train"]
    images = Labelled(small_digits.test, torch.arange(100))
    whole = features(Flat(), images, views, ("a",))
    monkeypatch.setattr(features_module, "BATCH", 7)
    assert torch.equal(features(Flat(), images, views, ("a",)), whole)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_of_equally_near_images_the_first_ones_vote(k):
    generator = torch.Generator().manual_seed(k)
    similarity = torch.randint(0, 3, (40, 5), generator=generator) / 4
    similarity[0] = 0.0  # of a query that has no features
    values, places = first_nearest(similarity, k)
    expected = np.argsort(-similarity.numpy(), axis=1, kind="stable")[:, :k]
    assert np.array_equal(np.sort(places.numpy()), np.sort(expected))
    assert torch.equal(values, similarity.gather(1, places))


# The encoder stays as it is.


def encoder_of(config, channels=1, seed=3):
    torch.manual_seed(seed)
    encoder = Encoder(config.encoder, channels, config.batch_norm)
    with torch.no_grad():
        for name, value in encoder.state_dict().items():
            value.copy_(torch.rand(value.shape) * 0.2 + ("var" in name))
    return encoder


def digest(encoder):
    parts = hashlib.sha256()
    for name, value in encoder.state_dict().items():
        parts.update(name.encode() + value.numpy().tobytes())
    return parts.hexdigest()


@pytest.mark.parametrize("protocol", ["probe", "knn"])
@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_weights_buffers_and_mode_as_they_are(random_images, protocol, training):
    encoder = encoder_of(config_of("arrays")).train(training)
    encoder.stem.eval()  # modes may be mixed
    before, modes = digest(encoder), [module.training for module in encoder.modules()]
    result = evaluate(protocol, {"online": encoder}, random_images, config_of("arrays"))
    assert digest(encoder) == before and result["buffers"] == "trained"
    assert [module.training for module in encoder.modules()] == modes


def test_a_result_says_where_the_statistics_of_norms_come_from(random_images):
    for buffers in ("calibrated", "fresh"):
        result = evaluate(
            "knn",
            {"online": encoder_of(config_of("arrays"))},
            random_images,
            config_of("arrays"),
            buffers=buffers,
        )
        assert result["buffers"] == buffers
    none = evaluate("knn", {"online": Lookup()}, random_images, config_of("arrays"), "calibrated")
    assert none["buffers"] == "none"


def test_evaluation_computes_in_float32_whatever_goes_on_around_it(random_images):
    seen = []

    def rounding():
        return [getattr(holder, name) for holder, name, *_ in _tf32_switches()]

    class Watching(Flat):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 8)

        def forward(self, x):
            y = self.layer(x.flatten(1))
            seen.extend([x.dtype, y.dtype, *rounding()])
            return y

    encoder, config = Watching(), config_of("arrays")
    plain = accuracy("knn", random_images, config, encoder)
    with compute_in("bf16", CPU), rounding_in("tf32"):
        around = rounding()
        assert accuracy("knn", random_images, config, encoder) == plain
        assert rounding() == around and "tf32" in map(str, around)
    assert set(seen) == {torch.float32, "ieee"}


def test_features_that_are_not_finite_are_an_error_of_their_own(random_images):
    encoder = Lookup()
    encoder.scale.data.fill_(math.inf)
    with pytest.raises(NotFiniteError):
        accuracy("probe", random_images, config_of("arrays"), encoder)


# Encoders from the disk.


@pytest.mark.parametrize(
    "section",
    [
        {"norm": "bn"},
        {"norm": "ln"},
        {"norm": "gn", "gn_groups": 4, "weight_standardization": "biased"},
        {"norm": "affine"},
        {"norm": "none"},
        {"norm": "bn", "norm_affine": False},
    ],
)
def test_what_is_evaluated_from_the_disk_equals_what_was_in_memory(
    tmp_path, random_images, section
):
    config = config_of("arrays", encoder=section)
    encoders = {"online": encoder_of(config), "target": encoder_of(config, seed=4)}
    keep_encoders(tmp_path / "encoder", encoders)
    loaded = load_encoders(tmp_path / "encoder", config, 1, CPU)
    for protocol in PROTOCOLS:
        assert evaluate(protocol, loaded, random_images, config) == evaluate(
            protocol, encoders, random_images, config
        )
    views = views_of("knn", config)["test"]
    rows = Labelled(random_images.test, torch.arange(100))
    for name, encoder in encoders.items():
        ours = features(loaded[name], rows, views, ())
        assert torch.equal(ours, features(encoder, rows, views, ()))
        assert not loaded[name].training and ours.std() > 0


def test_an_encoder_of_an_older_version_loads(tmp_path):
    """PyTorch's batch norm kept a counter, which ours has not."""
    config = config_of("arrays")
    encoder = encoder_of(config)
    state = dict(encoder.state_dict())
    for name in [name for name in state if name.endswith("running_mean")]:
        state[name.replace("running_mean", "num_batches_tracked")] = torch.tensor(8)
    save_state(tmp_path / "encoder", {"online": state}, {})
    assert digest(load_encoders(tmp_path / "encoder", config, 1, CPU)["online"]) == digest(encoder)


def test_kept_encoders_that_are_damaged_or_of_other_settings_are_named(tmp_path):
    config, folder = config_of("arrays"), tmp_path / "encoder"
    with pytest.raises(DamagedFileError, match="holds no whole encoder"):
        load_encoders(folder, config, 1, CPU)
    keep_encoders(folder, {"online": encoder_of(config)})
    other = config_of("arrays", encoder={"norm": "none"})
    with pytest.raises(DamagedFileError, match="other settings"):
        load_encoders(folder, other, 1, CPU)
    (folder / "state.pt").write_bytes(b"")
    keep_encoders(folder, {"online": encoder_of(config)})
    assert load_encoders(folder, config, 1, CPU).keys() == {"online"}
