"""Records where a result came from: code, versions, machine, command line; without secrets.

Only what is named here is recorded. The job itself keeps its whole environment; of that, only the
variables in `_RECORDED` are written down.
"""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from byol_core.config import trainer_digest
from byol_core.files import DamagedFileError, make_folder, read_json, write_atomic, write_json
from orchestrator.provenance.checkout import Checkout
from orchestrator.provenance.packages import record_packages
from orchestrator.provenance.redact import is_secret_name, redact, redact_arguments, without_user
from orchestrator.provenance.snapshot import running_code
from orchestrator.store.root import Root
from orchestrator.store.shapes import mismatch

_DISTRIBUTIONS = ("byol-sweeps", "torch", "torchvision", "numpy", "scikit-learn", "submitit")
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
_CHECKOUT = Path(__file__).parents[2]
_TIMEOUT_S = 5
_FACTS = {
    "commit": (str, type(None)),
    "dirty": (bool, type(None)),
    "remote": (str, type(None)),
}
"""What is known of a copy of the code."""


@cache
def versions() -> dict[str, str]:
    """Return Python's and the packages' versions, without importing them."""
    installed = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        installed[name] = _version(name)
    return installed


def record_code(root: Root) -> dict[str, Any]:
    """Note where the running code comes from, for runs: they run a copy of it, which knows no git.

    Returns:
        Commit, whether there are changes, and remote; null is what git does not tell. The changes
        are kept beside it as a diff.
    """
    checkout = Checkout(_CHECKOUT)
    remote = checkout.remote()
    status = checkout.status()
    facts = {
        "commit": checkout.commit(),
        "dirty": None if status is None else bool(status),
        "remote": without_user(remote) if remote else None,
    }

    # A copy of the code that launches, as a controller does, knows less than its checkout knew.
    file = root.code_facts(running_code())
    known = _known_facts(file)
    if known is not None and facts["commit"] is None:
        return known

    # The facts are written last: where they are, their diff is there too.
    make_folder(file.parent)
    _keep_diff(file.with_suffix(".diff"), checkout.diff(status) if status else None, status)
    write_json(file, facts)
    return facts


def _known_facts(file: Path) -> dict[str, Any] | None:
    """Return what is known of a copy of the code; what is damaged is not known, and made again."""
    try:
        facts = read_json(file)
    except DamagedFileError:
        return None
    if not isinstance(facts, dict):
        return None
    known = {key: facts.get(key) for key in _FACTS}
    return known if mismatch(known, _FACTS) is None else None


def _keep_diff(file: Path, diff: bytes | None, status: list[str] | None) -> None:
    """Write a diff; without changes, delete that of an earlier commit with the same code."""
    if diff is not None:
        write_atomic(file, diff)
    elif status == []:
        file.unlink(missing_ok=True)


def machine() -> dict[str, Any]:
    """Return this machine's host name, system and core count, and the Python that runs on it."""
    return {
        "host": os.uname().nodename,
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "executable": sys.executable,
    }


@cache
def listed_gpus() -> str | None:
    """Return a line for each GPU, its name and driver; None where none is told of."""
    return _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")


@cache
def gpus() -> dict[str, Any] | None:
    """Return the GPUs' names, their driver, and torch's CUDA and cuDNN; None without a GPU."""
    listed = listed_gpus()
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
    """Return the variables that are recorded, without secrets.

    These are the ones in `_RECORDED` and SLURM's, but for those that hold a secret, as SLURM_JWT.
    """
    recorded = {}
    for name, value in sorted(os.environ.items()):
        is_recorded = name in _RECORDED or name.startswith("SLURM_")
        if is_recorded and not is_secret_name(name):
            recorded[name] = redact(value)
    return recorded


def gather_origin(root: Root) -> dict[str, Any]:
    """Return where a result comes from, as an attempt on that root records it when it starts."""
    code = _known_facts(root.code_facts(running_code())) or record_code(root)
    return {
        **code,
        "code": running_code(),
        "trainer": trainer_digest(),
        "versions": versions(),
        "packages": record_packages(root),
        "gpus": gpus(),
        "machine": machine(),
        "folder": _working_folder(),
        "environment": environment(),
        "arguments": redact_arguments(sys.argv),
    }


def _working_folder() -> str | None:
    """Return the folder that relative paths of the run start from; None where it was deleted."""
    try:
        return redact(str(Path.cwd()))
    except FileNotFoundError:
        return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _output(*command: str) -> str | None:
    """Return what a command prints; None where it is missing, fails or does not answer."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    return done.stdout.strip()
