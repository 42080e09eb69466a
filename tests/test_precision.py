"""The policy of numbers: what is rounded, what a device must have for it, and what is put back."""

import os
import signal
import sys

import pytest
import torch
from torch import nn

from byol_core import precision as policy
from byol_core.__main__ import main
from byol_core.device import DeviceError
from byol_core.precision import (
    check_precision,
    compute_in,
    deterministic,
    recommend,
    rounding_in,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def switches():
    """Return every switch that a run may turn, as it stands."""
    return (
        [getattr(holder, name) for holder, name, _, _ in policy._tf32_switches()],
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.is_autocast_enabled("cpu"),
    )


@pytest.fixture(autouse=True)
def left_as_they_were():
    before = switches()
    yield
    assert switches() == before


@pytest.fixture
def cpuinfo(monkeypatch, tmp_path):
    """Have Linux say other flags of the processor."""

    def write(text):
        file = tmp_path / "cpuinfo"
        file.write_text(text)
        monkeypatch.setattr(policy, "Path", lambda _: file)
        policy._processor_has_bf16.cache_clear()

    yield write
    policy._processor_has_bf16.cache_clear()


@pytest.fixture
def generation(monkeypatch):
    """Have torch see a GPU of another generation."""

    def see(number):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (number, 0))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla V100")

    return see


def test_tf32_is_refused_without_a_gpu():
    with pytest.raises(DeviceError, match=r"precision 'tf32'.*use fp32"):
        check_precision("tf32", CPU)


@pytest.mark.parametrize(
    "flags", ["flags\t\t: fpu avx2 avx512f", "Features\t: fp asimd", "model name: bf16", ""]
)
def test_bf16_is_refused_where_a_processor_would_emulate_it(flags, cpuinfo):
    cpuinfo(f"processor\t: 0\n{flags}\n")
    with pytest.raises(DeviceError, match=r"precision 'bf16'.*emulates.*use fp32"):
        check_precision("bf16", CPU)
    check_precision("fp32", CPU)
    assert recommend(CPU).startswith("fp32")


@pytest.mark.parametrize(
    "flags", ["flags\t\t: avx2 avx512_bf16", "flags : fpu amx_bf16", "Features\t: asimd bf16 i8mm"]
)
def test_bf16_is_let_through_where_a_processor_has_it(flags, cpuinfo):
    cpuinfo(f"processor\t: 0\n{flags}\n\nprocessor\t: 1\n{flags}\n")
    check_precision("bf16", CPU)
    assert "bf16" in recommend(CPU)


def test_auto_is_no_value_and_names_the_one_to_use(monkeypatch, capsys, tmp_path, cpuinfo):
    cpuinfo("processor\t: 0\nflags\t\t: avx2\n")
    arguments = ["--set", "precision=auto", "--device", "cpu", "--out", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["byol_core", *arguments])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert main() == 2 and not (tmp_path / "run").exists()
    assert "recommended here is fp32" in capsys.readouterr().err


def test_a_processor_that_linux_says_nothing_of_has_no_bf16(monkeypatch, tmp_path):
    monkeypatch.setattr(policy, "Path", lambda _: tmp_path / "none")
    policy._processor_has_bf16.cache_clear()
    with pytest.raises(DeviceError):
        check_precision("bf16", CPU)
    policy._processor_has_bf16.cache_clear()


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_gpu_before_ampere_has_neither(precision, generation):
    generation(7)
    with pytest.raises(DeviceError, match=f"'{precision}': Tesla V100 does not have it; use fp32"):
        check_precision(precision, GPU)
    check_precision("fp32", GPU)
    assert recommend(GPU).startswith("fp32")

    generation(9)
    check_precision(precision, GPU)
    assert recommend(GPU).startswith("bf16")


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_convolutions_and_products_round_to_tf32_only_where_it_is_asked_for(precision):
    holders = policy._tf32_switches()
    for holder, name, on, _ in holders:
        setattr(holder, name, on)
    with compute_in(precision, CPU):
        for holder, name, on, off in holders:
            assert getattr(holder, name) == (on if precision == "tf32" else off)
    for holder, name, on, _ in holders:
        assert getattr(holder, name) == on
        setattr(holder, name, "none")
    # What is put back is what was there, whichever it was.
    torch.backends.cudnn.conv.fp32_precision = "tf32"
    torch.backends.cudnn.rnn.fp32_precision = "tf32"


def test_switches_are_put_back_after_an_error():
    with pytest.raises(ZeroDivisionError), deterministic(CPU), compute_in("bf16", CPU):
        raise ZeroDivisionError


def test_bf16_rounds_products_and_keeps_weights_and_gradients_float32():
    layer = nn.Linear(8, 4)
    x = torch.randn(2, 8)
    with compute_in("bf16", CPU):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert layer.weight.dtype == layer.weight.grad.dtype == torch.float32
    with compute_in("fp32", CPU):
        assert layer(x).dtype == torch.float32


def test_float32_within_bf16_is_float32():
    x = torch.randn(4, 4)
    with compute_in("bf16", CPU):
        assert (x @ x).dtype == torch.bfloat16
        with compute_in("fp32", CPU):
            assert (x @ x).dtype == torch.float32
        assert (x @ x).dtype == torch.bfloat16


def test_a_weight_that_changes_within_bf16_is_seen():
    layer = nn.Linear(2, 1, bias=False)
    with compute_in("bf16", CPU):
        layer(torch.ones(1, 2))
        with torch.no_grad():
            layer.weight.fill_(3.0)
        assert layer(torch.ones(1, 2)).item() == 6.0


def test_a_run_has_deterministic_algorithms_and_no_tf32(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    torch.backends.cudnn.benchmark = True
    with deterministic(GPU):
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        for holder, name, _, off in policy._tf32_switches():
            assert getattr(holder, name) == off
        with rounding_in("tf32"):
            assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    assert torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False


def test_a_workspace_that_the_user_chose_stays(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with deterministic(GPU):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_older_torch_has_one_switch_for_convolutions_and_one_for_products(monkeypatch):
    monkeypatch.delattr(type(torch.backends.cudnn), "conv")
    names = [(name, on, off) for _, name, on, off in policy._tf32_switches()]
    assert names == [("allow_tf32", True, False)] * 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")
@pytest.mark.parametrize(("precision", "rounds"), [("fp32", False), ("tf32", True)])
def test_a_gpu_rounds_forward_and_backward_as_the_policy_says(precision, rounds):
    torch.manual_seed(0)
    x = torch.randn(8, 64, 16, 16, dtype=torch.float64)
    exact = nn.Conv2d(64, 64, 3, bias=False).double()
    layer = nn.Conv2d(64, 64, 3, bias=False).to(GPU)
    layer.load_state_dict(exact.state_dict())
    expected = exact(x)
    expected.pow(2).mean().backward()

    with deterministic(GPU):
        with compute_in(precision, GPU):
            y = layer(x.float().to(GPU))
        with rounding_in(precision):
            y.pow(2).mean().backward()
    pairs = ((y, expected), (layer.weight.grad, exact.weight.grad))
    for ours, reference in pairs:
        error = (ours.double().cpu() - reference).norm() / reference.norm()
        assert (float(error) > 1e-5) == rounds
