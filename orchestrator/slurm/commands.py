"""The one way to SLURM's commands: argument lists, a time limit, and typed errors for refusal and silence."""

import os
import shutil
import subprocess

from orchestrator.errors import SchedulerError

_TIMEOUT_S = 30
_FIXED = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}  # English words, and times in seconds since 1970
_NARROWING = ("SQUEUE_", "SACCT_")  # a user's own filters and formats, which would hide jobs from us


def has_slurm() -> bool:
    """Tell whether jobs can be submitted from here."""
    return shutil.which("sbatch") is not None


def inside_job() -> bool:
    """Tell whether this process runs inside a SLURM job."""
    return "SLURM_JOB_ID" in os.environ


def ask(*command: str, timeout_s: float = _TIMEOUT_S) -> str:
    """Run one of SLURM's commands and return what it printed.

    Raises:
        SchedulerError: it is not installed, did not answer in time, or failed; the text is its own.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env=_environment())
    except FileNotFoundError:
        raise SchedulerError(f"{command[0]} is not on this machine; use --executor local, or a login node") from None
    except subprocess.TimeoutExpired:
        raise SchedulerError(f"{command[0]} did not answer within {timeout_s:g} s; try again later") from None
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        raise SchedulerError(f"{command[0]} failed: {said}")
    return done.stdout


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_NARROWING)} | _FIXED
