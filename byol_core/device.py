"""Picks where a run computes, the device and the number of threads, and moves tensors there."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Hold torch and the BLAS under numpy to `count` threads; 0 leaves them alone."""
    if not count:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


class DeviceError(Exception):
    """Says that the device that was asked for is not here."""


def pick_device(name: str) -> torch.device:
    """Return the device of an `Options.device`.

    Raises:
        DeviceError: a GPU is asked for and none is here.
    """
    has_gpu = torch.cuda.is_available()
    if name.startswith("cuda") and not has_gpu:
        raise DeviceError(f"device {name!r}: torch sees no GPU here; use cpu or auto")
    if name == "auto":
        name = "cuda" if has_gpu else "cpu"
    return torch.device(name)


def device_model(device: torch.device) -> str:
    """Return the model of a GPU or of this machine's processor, as in `AMD EPYC 9654`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor_model()


@cache
def _processor_model() -> str:
    """Return what Linux calls the processor; where it does not say, its architecture alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; a copy from the CPU to a GPU does not hold up the CPU."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def copy_to(place: Tensor, values: Tensor) -> None:
    """Overwrite a tensor; a copy from the CPU to a GPU does not hold up the CPU."""
    if place.device.type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    place.copy_(values, non_blocking=True)
