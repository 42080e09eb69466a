"""An augmentation of one's own: where it stands among ours, what it is held to, what it is part of."""

import sys

import pytest
import torch
from host_waits import NoHostWaits

from byol_core.augment.draws import draw_view
from byol_core.augment.views import apply_view, finish_view
from byol_core.config import Augment, canonical, essential, resolve
from byol_core.evaluation.views import views_of
from byol_core.images.memory import Split
from byol_core.images.source import Cut, Request
from byol_core.plugins import PlugInError

OWN = """
import torch


class Shade:
    def draw(self, rng, n, shape, view):
        return torch.from_numpy(rng.random((n, 1, 1, 1), dtype="float32"))

    def apply(self, images, draws):
        return images * draws


class SecondViewDark:
    def draw(self, rng, n, shape, view):
        return {"dark": torch.full((n,), view == 2), "spare": torch.zeros(n, *shape)}

    def apply(self, images, draws):
        return images.masked_fill(draws["dark"][:, None, None, None], 0) + draws["spare"]


class NoApply:
    def draw(self, rng, n, shape, view):
        return torch.zeros(n)


class Needy(Shade):
    def __init__(self, strength):
        pass


class DrawsAList(Shade):
    def draw(self, rng, n, shape, view):
        return [0.0] * n


class DrawsForNoImage(Shade):
    def draw(self, rng, n, shape, view):
        return {"factor": torch.zeros(n), "of_all": torch.zeros(())}


class TakesNoView(Shade):
    def draw(self, rng, n, shape):
        return torch.zeros(n)


class Smaller(Shade):
    def apply(self, images, draws):
        return images[..., 1:]


class Double(Shade):
    def apply(self, images, draws):
        return images.double()


class Nothing(Shade):
    def apply(self, images, draws):
        pass


class InPlace(Shade):
    def apply(self, images, draws):
        return images.mul_(draws)


class Divides(Shade):
    def apply(self, images, draws):
        return images / (1 // 0)
"""
OFF = {"rotate_rad": 0.0, "scale": (1.0, 1.0), "shift": 0.0, "noise_std": 0.0}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_operations.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def images():
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def drawn(operation, images, view=1, **settings):
    augment = Augment(**OFF, extra=f"own_operations:{operation}", **settings)
    return draw_view(augment, 0, ("test",), view, len(images), tuple(images.shape[1:])), augment


def test_it_stands_behind_solarization_and_before_gain(images):
    draws, augment = drawn("Shade", images, solarize_p=1.0, gain=0.5, offset=0.2)
    of_image = {name: draw.view(-1, 1, 1, 1) for name, draw in draws.items()}
    solarized = torch.where(images >= 0.5, 1 - images, images)
    shaded = solarized * of_image["extra"]
    expected = shaded * of_image["gain"] + of_image["offset"]
    assert torch.equal(apply_view(images, draws, augment), expected)


def test_nothing_waits_for_a_device_on_its_way(images):
    draws, augment = drawn("SecondViewDark", images, view=2)
    with NoHostWaits():
        apply_view(images, draws, augment)


def test_it_knows_the_view_it_draws_for_and_draws_what_it_likes_by_name(images):
    split = Split((images * 255).byte(), torch.zeros(6, dtype=torch.int64))
    views = [drawn("SecondViewDark", images, view, gain=0.0, offset=0.0) for view in (1, 2)]
    assert views[0][0]["extra.spare"].shape == images.shape
    request = Request(torch.tensor([4, 1]), views[0][1], tuple(d.rows(slice(2)) for d, _ in views))
    (batch,) = split.read([request])
    first, second = batch.views(CPU)
    assert torch.equal(first, split.images[[4, 1]] / 255) and not second.any()


def test_photos_go_through_it_too(images):
    draws, augment = drawn("Shade", images, gain=0.0, offset=0.0)
    pixels = (images * 255).byte()
    cut = Cut(pixels[None], torch.zeros(6), Request(torch.arange(6), augment, (draws,)))
    assert torch.equal(cut.views(CPU)[0], finish_view(pixels / 255, draws, augment))
    assert torch.equal(cut.views(CPU)[0], pixels / 255 * draws["extra"])


REFUSED = {
    "Missing": "own_operations has no class Missing; its classes: Shade, SecondViewDark, NoApply",
    "NoApply": "it has no method apply; it needs draw(rng, n, shape, view) and apply(images, draws)",
    "Needy": "it cannot be built from (): TypeError",
    "DrawsAList": "draw gives a list; it must give a tensor on the CPU with a row for each of the 6",
    "DrawsForNoImage": "draw gives float32 () on cpu; it must give a tensor on the CPU with a row",
    "TakesNoView": "draw fails: TypeError: TakesNoView.draw() takes 4 positional arguments but 5",
    "Smaller": "apply gives float32 (6, 3, 8, 7) on cpu for float32 (6, 3, 8, 8) on cpu; shape, ty",
    "Double": "apply gives float64 (6, 3, 8, 8) on cpu for float32",
    "Nothing": "apply gives a NoneType for float32 (6, 3, 8, 8) on cpu; shape, type and device must",
    "InPlace": "apply writes into its images, which the other view is made of too",
    "Divides": "apply fails: ZeroDivisionError",
}


@pytest.mark.parametrize("operation", REFUSED)
def test_what_breaks_the_contract_is_named_in_a_line(images, operation):
    with pytest.raises(PlugInError) as error:
        draws, augment = drawn(operation, images)
        apply_view(images, draws, augment)
    text = str(error.value)
    assert text.startswith(f"own_operations:{operation}: {REFUSED[operation]}") and "\n" not in text


def test_a_module_that_is_imported_anew_is_used_anew(images, tmp_path):
    """As in a process that makes one inline run after another, each from its own copy."""
    apply_view(images, *drawn("Shade", images))
    (tmp_path / "own_operations.py").write_text(OWN.replace("images * draws", "images * 0"))
    sys.modules.pop("own_operations")
    assert not apply_view(images, *drawn("Shade", images, gain=0.0, offset=0.0)).any()


def settings_of(**overrides):
    config = resolve("digits-tiny", {key.replace("__", "."): v for key, v in overrides.items()})
    return canonical(config), essential(config).augment.extra


def test_it_is_part_of_a_runs_id_where_it_has_effect_and_there_alone():
    own = {"augment__extra": "own_operations:Shade"}
    assert settings_of() == (canonical(resolve("digits-tiny", {})), "none")
    assert "augment.extra" not in settings_of()[0]
    settings, essential_value = settings_of(**own)
    assert settings["augment.extra"] == essential_value == "own_operations:Shade"

    # An encoder that is never trained sees views only where its norms are fitted to them.
    untrained = {"method": "random", "encoder__norm": "ln"}
    assert settings_of(**own, **untrained) == settings_of(**untrained)
    assert "augment.extra" not in settings_of(**untrained)[0]
    assert settings_of(**own, method="random")[1] == "own_operations:Shade"


def test_no_protocol_uses_it():
    config = resolve("digits-tiny", {"augment.extra": "own_operations:Shade"})
    for protocol in ("probe", "knn"):
        for views in views_of(protocol, config).values():
            assert views.augment.extra == "none"
