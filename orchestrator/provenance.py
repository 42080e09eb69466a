"""Where a result came from: code, versions, machine. Only what is named here is recorded, never the environment."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("byol-sweeps", "torch", "torchvision", "numpy", "scikit-learn", "submitit")
_GIT_TIMEOUT_S = 5


@cache
def versions() -> dict[str, str]:
    """Return Python's and the packages' versions, without importing them."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


@cache
def commit() -> dict[str, Any]:
    """Return the git commit of the code that runs and whether it has changes; nulls outside a checkout."""
    head = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--", "byol_core", "orchestrator", "analysis") if head else None
    return {"commit": head, "dirty": None if changes is None else bool(changes)}


def machine() -> dict[str, Any]:
    """Return host, processor kind and core count."""
    cores = len(os.sched_getaffinity(0))
    return {"host": os.uname().nodename, "system": platform.platform(), "cores": cores, "executable": sys.executable}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _git(*arguments: str) -> str | None:
    here = Path(__file__).parent.parent
    try:
        done = subprocess.run(["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=_GIT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
