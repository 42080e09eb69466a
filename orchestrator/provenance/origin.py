"""Where a result came from: code, versions, machine, command line. Only what is named here is
recorded, without secrets.

The job itself keeps its whole environment; of that, only the variables in `_RECORDED` are written
down.
"""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from byol_core.files import make_folder, read_json, write_atomic, write_json
from orchestrator.provenance.redact import is_secret_name, redact, redact_arguments, without_user
from orchestrator.provenance.snapshot import running_code
from orchestrator.store.root import Root

_PACKAGES = ("byol-sweeps", "torch", "torchvision", "numpy", "scikit-learn", "submitit")
_RECORDED = frozenset(
    [
        "CUBLAS_WORKSPACE_CONFIG",
        "CUDA_DEVICE_ORDER",
        "CUDA_LAUNCH_BLOCKING",
        "CUDA_VISIBLE_DEVICES",
        "MKL_NUM_THREADS",
        "NVIDIA_TF32_OVERRIDE",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "PYTHONHASHSEED",
        "PYTHONSAFEPATH",
        "PYTORCH_CUDA_ALLOC_CONF",
        "SWEEP_DATA",
    ]
)
"""Variables that change how a run trains or where it finds its images; beside them, SLURM's own."""
_CODE = ("byol_core", "orchestrator", "analysis")
_CHECKOUT = Path(__file__).parents[2]
_CHANGES_BYTES, _READ_CHARACTERS = 256 << 10, 4 << 20
_TIMEOUT_S = 5


@cache
def versions() -> dict[str, str]:
    """Return Python's and the packages' versions, without importing them."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def record_code(root: Root) -> dict[str, Any]:
    """Note where the running code comes from, for the jobs that will run a copy of it, which knows
    no git.

    Returns:
        Commit, whether there are changes, and remote; nulls outside a checkout. The changes are
        kept beside it as a diff.
    """
    head, remote, diff = _git("rev-parse", "HEAD"), _git("remote", "get-url", "origin"), changes()
    dirty = None if head is None else diff is not None
    facts = {"commit": head, "dirty": dirty, "remote": without_user(remote) if remote else None}
    file = root.code_facts(running_code())
    make_folder(file.parent)
    if diff is not None:
        write_atomic(file.with_suffix(".diff"), diff)
    write_json(file, facts)
    return facts


def changes() -> bytes | None:
    """Return what was changed since the commit as a diff without secrets, 256 KiB of it at most;
    None without changes.
    """
    status = _git("status", "--porcelain", "--", *_CODE)
    if not status:
        return None
    diff = _git("diff", "--no-color", "--no-ext-diff", "HEAD", "--", *_CODE) or ""
    whole = redact(f"{status}\n\n{diff}\n"[:_READ_CHARACTERS]).encode()
    if len(whole) <= _CHANGES_BYTES:
        return whole
    return whole[:_CHANGES_BYTES] + f"\n[cut here: {len(diff):,} characters in all]\n".encode()


def machine() -> dict[str, Any]:
    """Return host, processor kind and core count."""
    cores = len(os.sched_getaffinity(0))
    return {
        "host": os.uname().nodename,
        "system": platform.platform(),
        "cores": cores,
        "executable": sys.executable,
    }


@cache
def gpus() -> dict[str, Any] | None:
    """Return the GPUs' names, their driver, and torch's CUDA and cuDNN; None where no GPU is seen."""
    listed = _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    if not listed:
        return None
    import torch

    rows = [line.rpartition(", ") for line in listed.splitlines()]
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return {
        "names": [row[0] for row in rows],
        "driver": rows[0][2],
        "cuda": torch.version.cuda,
        "cudnn": cudnn,
    }


def environment() -> dict[str, str]:
    """Return the variables that are recorded, without secrets: those of `_RECORDED` and SLURM's,
    but no SLURM_JWT.
    """
    found = {
        name: value
        for name, value in os.environ.items()
        if name in _RECORDED or name.startswith("SLURM_")
    }
    return {
        name: redact(value) for name, value in sorted(found.items()) if not is_secret_name(name)
    }


def gather_origin(root: Root) -> dict[str, Any]:
    """Return all of it, as an attempt on that root records it when it starts."""
    code = read_json(root.code_facts(running_code())) or record_code(root)
    told = {
        "versions": versions(),
        "gpus": gpus(),
        "machine": machine(),
        "environment": environment(),
    }
    return {**code, "code": running_code(), **told, "arguments": redact_arguments(sys.argv)}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _git(*arguments: str) -> str | None:
    return _output("git", "-C", str(_CHECKOUT), *arguments)


def _output(*command: str) -> str | None:
    """Return what a command prints; None where it is missing, fails or does not answer."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
