"""Times turns: seconds of the wall and of processors, and what else the machine did meanwhile."""

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_LEAST_STEPS = 2


class Clock:
    """Reads the wall clock and the processors' own, after a GPU has done what it was given."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def now(self) -> dict[str, float]:
        """Return both readings."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return {"wall_s": time.perf_counter(), "core_s": processor_seconds()}

    def since(self, started: dict[str, float]) -> dict[str, float]:
        """Return the seconds since a reading."""
        now = self.now()
        return {key: now[key] - started[key] for key in now}


def processor_seconds() -> float:
    """Return what this process and the workers of its loader have used of processors."""
    return time.process_time() + sum(
        _seconds_of(child.pid) for child in multiprocessing.active_children()
    )


def time_turn(step: Callable[[], Tensor], seconds: float, device: torch.device) -> dict[str, float]:
    """Take steps for some seconds, at least two; return how many, and what they took.

    Steps are given in groups, so that a GPU is not waited for at each. `busy_s` is what all
    processes of the machine used of processors meanwhile; NaN where Linux does not say.
    """
    clock = Clock(device)
    step()  # the first of a loader waits for its workers to start
    steps, group = 0, 1
    busy_s = _busy_seconds()
    started = clock.now()
    spent = {"wall_s": 0.0, "core_s": 0.0}
    while steps < _LEAST_STEPS or spent["wall_s"] < seconds:
        for _ in range(group):
            loss = step()
        spent = clock.since(started)
        steps += group
        group = max(1, int((seconds - spent["wall_s"]) * steps / spent["wall_s"]))

    busy_s = _busy_seconds() - busy_s
    return {"steps": steps, **spent, "busy_s": busy_s, "loss": float(loss)}


def _seconds_of(pid: int | None) -> float:
    """Return the processor seconds of a process; 0 of one that has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS_PER_S


def _busy_seconds() -> float:
    """Return the processor seconds that the whole machine has used, or NaN."""
    try:
        first = Path("/proc/stat").read_text().partition("\n")[0]
    except OSError:
        return float("nan")
    user, nice, system, _idle, _waiting, *interrupts = map(int, first.split()[1:8])
    return (user + nice + system + sum(interrupts)) / _TICKS_PER_S
