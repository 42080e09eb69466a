"""Holds the one policy of numbers: what is computed in which precision, and repeatably.

`precision` is of the networks' convolutions and matrix products alone. Losses, statistics of norms,
the moving average, metrics and evaluation are float32 always, and float32 means it: PyTorch lets
convolutions round to TF32 on a GPU unless told otherwise.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch

from byol_core.device import DeviceError

Precision = Literal["fp32", "tf32", "bf16"]

_PROCESSOR_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags of processors that compute in bfloat16: x86 with either extension, and ARM."""
_FIRST_WITH_BOTH = 8
"""The first generation of NVIDIA's GPUs with TF32 and bfloat16: Ampere."""
_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""What cuBLAS needs to give the same sums each time; it reads this when it is first used."""


def check_precision(precision: Precision, device: torch.device) -> None:
    """Refuse a precision that a device does not have, or emulates.

    bfloat16 emulated on a processor was measured at 1/360 of float32's speed.

    Raises:
        DeviceError: it names the precision, what it needs and what to use.
    """
    if precision == "tf32" and device.type != "cuda":
        raise DeviceError("precision 'tf32' is of GPUs, and this run is on a processor; use fp32")
    if precision != "fp32" and device.type == "cuda" and not _is_ampere(device):
        model = torch.cuda.get_device_name(device)
        raise DeviceError(f"precision {precision!r}: {model} does not have it; use fp32")
    if precision == "bf16" and device.type != "cuda" and not _processor_has_bf16():
        raise DeviceError(
            "precision 'bf16': this processor has neither avx512_bf16 nor amx_bf16, and emulates "
            "it hundreds of times slower; use fp32"
        )


def recommend(device: torch.device) -> str:
    """Return the precision to use on a device, with the reason, for people to read."""
    if device.type == "cuda" and _is_ampere(device):
        return "bf16: this GPU computes it several times faster than fp32"
    if device.type != "cuda" and _processor_has_bf16():
        return "fp32; this processor has bf16 too, which is worth a try on large encoders"
    return "fp32: nothing faster is here"


@contextmanager
def compute_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute what is inside in a precision; put it around forward passes alone.

    In bf16 weights stay float32 and are rounded at each use, also where they change meanwhile.
    Within another precision, `fp32` is float32 again.

    Args:
        precision: of convolutions and matrix products.
        device: where they are computed.
    """
    is_bf16 = precision == "bf16"
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=is_bf16, cache_enabled=False)
    with rounding_in(precision), autocast:
        yield


@contextmanager
def rounding_in(precision: Precision) -> Iterator[None]:
    """Let float32 convolutions and matrix products round to TF32, or keep them from it.

    A backward pass reads the switches when it runs, so put this around it too: gradients are
    rounded as the forward pass was. In bf16 they are bfloat16 already.
    """
    switches = _tf32_switches()
    before = [getattr(holder, name) for holder, name, _, _ in switches]
    try:
        for holder, name, on, off in switches:
            setattr(holder, name, on if precision == "tf32" else off)
        yield
    finally:
        for (holder, name, _, _), value in zip(switches, before, strict=True):
            setattr(holder, name, value)


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Compute the same numbers each time, in float32: put it around a whole run.

    cuDNN takes its deterministic algorithms and does not pick by time; cuBLAS has a workspace of
    its own; TF32 is off wherever `rounding_in` does not say otherwise. An operation that has no
    deterministic form warns: the run goes on, and a resume may differ in the last bits.
    """
    if device.type == "cuda":
        os.environ.setdefault(*_WORKSPACE)
    cudnn = torch.backends.cudnn
    memory: Any = torch.utils.deterministic
    chosen_by_time = cudnn.benchmark
    cudnn_before = cudnn.deterministic
    was_strict = torch.are_deterministic_algorithms_enabled()
    was_warning = torch.is_deterministic_algorithms_warn_only_enabled()
    fills_memory = memory.fill_uninitialized_memory
    try:
        cudnn.benchmark = False
        cudnn.deterministic = True
        torch.use_deterministic_algorithms(True, warn_only=True)

        # Filling memory that nothing reads finds faults and costs time.
        memory.fill_uninitialized_memory = False
        with rounding_in("fp32"):
            yield
    finally:
        cudnn.benchmark = chosen_by_time
        cudnn.deterministic = cudnn_before
        torch.use_deterministic_algorithms(was_strict, warn_only=was_warning)
        memory.fill_uninitialized_memory = fills_memory


def _tf32_switches() -> list[tuple[Any, str, Any, Any]]:
    """Return holder, attribute, and its value for TF32 and for float32, of each switch.

    PyTorch has a switch for each kind of operation since 2.9; it refuses to read the older ones
    after the newer were set, so one kind alone is used.
    """
    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):
        older = (backends.cuda.matmul, backends.cudnn)
        return [(holder, "allow_tf32", True, False) for holder in older]
    cuda = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn)
    processor = (backends.mkldnn.matmul, backends.mkldnn.conv)
    switches = [(holder, "fp32_precision", "tf32", "ieee") for holder in cuda]
    return switches + [(holder, "fp32_precision", "ieee", "ieee") for holder in processor]


def _is_ampere(device: torch.device) -> bool:
    generation, _ = torch.cuda.get_device_capability(device)
    return generation >= _FIRST_WITH_BOTH


@cache
def _processor_has_bf16() -> bool:
    """Tell whether Linux says that the processor computes in bfloat16; elsewhere nothing does."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
    lines = (line for line in text.splitlines() if line.lower().startswith(("flags", "features")))
    first = next(lines, "")
    return not _PROCESSOR_BF16.isdisjoint(first.split())
