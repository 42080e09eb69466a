"""Measures what is no time of steps: the matrix peak, kernels, operations, memory, versions."""

import platform
import resource
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from byol_core.device import device_model
from byol_core.precision import rounding_in
from trainers.clocks import Clock

_SIDE = {"cpu": 2048, "cuda": 8192}
_REPEATS = {"cpu": 5, "cuda": 10}
_KIB = 1024
_NO_KERNELS = ("Memcpy", "Memset")
_LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")
_PACKAGES = ("torch", "torchvision", "numpy", "pillow", "lightly", "solo-learn")


def matrix_peak(device: torch.device, precision: str) -> dict[str, float]:
    """Return FLOP/s of the best of some products of large random matrices: by wall, by core."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    side = _SIDE[device.type]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    clock = Clock(device)
    flops = 2 * side**3
    rates: list[dict[str, float]] = []
    with rounding_in(precision):  # type: ignore[arg-type]
        a @ b
        for _ in range(_REPEATS[device.type]):
            started = clock.now()
            a @ b
            spent = clock.since(started)
            rates.append({"wall": flops / spent["wall_s"], "core": flops / spent["core_s"]})
    return {key: max(rate[key] for rate in rates) for key in ("wall", "core")}


def flops_of(step: Callable[[], Tensor]) -> int:
    """Return the operations of convolutions and matrix products in a step, 2 a multiplication."""
    with FlopCounterMode(display=False) as counter:
        step()
    flops: int = counter.get_total_flops()
    return flops


def kernels_of(step: Callable[[], Tensor], device: torch.device) -> dict[str, int]:
    """Return what a step starts: kernels and launches on a GPU, operators on a processor."""
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiled:
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
    events = list(profiled.events())
    if device.type == "cpu":
        operators = [e for e in events if e.name.startswith("aten::") and not e.cpu_children]
        return {"operators": len(operators)}
    on_gpu = [e.name for e in events if e.device_type == DeviceType.CUDA]
    launches = [e.name for e in events if e.name.startswith(_LAUNCHES)]
    return {
        "kernels": sum(not name.startswith(_NO_KERNELS) for name in on_gpu),
        "launches": len(launches),
    }


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that were held: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB


def machine(device: torch.device) -> dict[str, Any]:
    """Return what it ran on."""
    return {
        "device": device_model(device),
        "kind": device.type,
        "platform": platform.platform(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "packages": _versions(),
    }


def _versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
