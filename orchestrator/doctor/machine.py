"""Checks this machine: Python, packages, cores and GPUs. Loads no torch; a probe job does."""

import os
import sys
from collections.abc import Iterator

from orchestrator.doctor.finding import Finding, fail, ok, warn
from orchestrator.machine.gpus import Visible, mps_runs, visible_gpus
from orchestrator.provenance.origin import versions
from orchestrator.text import counted

_NOT_THERE = "not installed"


def check_machine() -> Iterator[Finding]:
    """Look at what runs would use here."""
    yield python()
    yield packages(versions())
    yield devices(visible_gpus(), len(os.sched_getaffinity(0)))


def python() -> Finding:
    """Name the Python that runs would use, and check that it finds the same modules in a job."""
    text = f"{versions()['python']} at {sys.executable}"
    if sys.prefix == sys.base_prefix:
        return warn(
            "python",
            f"{text}, shared with the system",
            "use an environment of its own: make install",
        )
    return ok("python", text)


def packages(installed: dict[str, str]) -> Finding:
    """Check that what a run needs is installed."""
    missing = [name for name, version in installed.items() if version == _NOT_THERE]
    if missing:
        return fail(
            "packages",
            f"missing: {', '.join(missing)}",
            "install them: pip install --editable . in the checkout",
        )
    libraries = {name: version for name, version in installed.items() if name != "python"}
    return ok("packages", ", ".join(f"{name} {version}" for name, version in libraries.items()))


def devices(gpus: Visible, cores: int) -> Finding:
    """Say how many runs fit here at once."""
    text = f"no GPU, {cores} cores: --executor local runs {cores} at once on the CPU"
    if gpus.count:
        fits = f"--executor local runs {gpus.count} at once"
        text = f"{counted(gpus.count, 'GPU')}, {cores} cores: {fits}; {_sharing(gpus.count)}"
    if gpus.problem is not None:
        cause, _, fix = gpus.problem.partition("; ")
        return warn("devices", f"{text}; {cause}", fix)
    return ok("devices", text)


def _sharing(gpus: int) -> str:
    """Say how several runs share a GPU, which pays where a network is too small to fill it."""
    text = f"small networks may share: --slots {2 * gpus} runs 2 on each GPU"
    if mps_runs():
        return f"{text}, side by side, as NVIDIA MPS runs"
    return f"{text}, by turns: side by side if you start NVIDIA MPS (nvidia-cuda-mps-control -d)"
