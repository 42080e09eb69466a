"""What becomes of a run where Triton does not work, and of numbers that are not finite where it does."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from byol_core.config import BatchNormConfig, resolve
from byol_core.device import DeviceError
from byol_core.networks.batch_norm import BatchNorm
from byol_core.networks.fused import norm as fused
from byol_core.networks.norms import GroupNorm, activated
from byol_core.train.compute_path import choose_path

GPU = torch.device("cuda")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def asked_anew():
    fused.is_available.cache_clear()
    yield
    fused.is_available.cache_clear()


@pytest.mark.skipif(not fused.is_available(), reason="there is no Triton here")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("norm", [BatchNorm(8, BatchNormConfig()), GroupNorm(2, 8)])
def test_what_is_not_finite_is_not_hidden_behind_the_relu(norm, value):
    x = torch.randn(4, 8, 3, 3, device=DEVICE).to(memory_format=torch.channels_last)
    x[1, 2, 0, 0] = value
    fused.fuse(norm.to(DEVICE))
    assert not activated(norm, x).isfinite().all()
    assert activated(norm, torch.randn_like(x)).isfinite().all()


def test_without_a_compiler_norms_are_plain_and_compiled_is_refused(monkeypatch, asked_anew):
    def fails():
        raise RuntimeError("Failed to find C compiler")

    driver = SimpleNamespace(active=SimpleNamespace(get_current_device=fails))
    monkeypatch.setitem(sys.modules, "triton", ModuleType("triton"))
    monkeypatch.setitem(sys.modules, "triton.runtime", SimpleNamespace(driver=driver))
    monkeypatch.setattr(fused, "find_spec", lambda name: "there")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    layer = BatchNorm(4, BatchNormConfig())
    fused.fuse(layer)
    assert not layer.is_fused
    assert choose_path(resolve("digits-tiny", {}), GPU) == "captured"
    with pytest.raises(DeviceError, match="C compiler.*; use plain or auto"):
        choose_path(resolve("digits-tiny", {"compute": "compiled"}), GPU)
