"""Calls SLURM's commands: argument lists, a time limit, typed errors for refusal and silence."""

import os
import shutil
import subprocess
from collections.abc import Collection, Mapping

from orchestrator.errors import SchedulerError, SchedulerSilentError

_TIMEOUT_S = 30

_NO_ANSWER = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Zero Bytes were transmitted or received",
    "Connection refused",
    "Connection timed out",
    "No route to host",
    "Transport endpoint is not connected",
    "Unexpected message received",
    "Resource temporarily unavailable",
)
"""Words of commands that could not reach SLURM, or lost it before the answer."""

_FIXED = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}
"""English words, and times in seconds since 1970."""

_NARROWING = ("SQUEUE_", "SACCT_", "SCANCEL_", "SINFO_")
"""A user's own filters and formats, which would hide jobs from us or spare them."""

_OF_CLUSTER = ("SLURM_CLUSTERS", "SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT")
"""What leads to a cluster. Any other SLURM_ variable describes the job that we are in, or options
of sbatch and srun that would overrule the spec."""

USERS_DEFAULTS = ("account", "partition", "qos", "constraint")
"""Options that the user's own variables set where neither spec nor clusters.yaml does."""


def has_slurm() -> bool:
    """Tell whether jobs can be submitted from here."""
    return shutil.which("sbatch") is not None


def inside_job() -> bool:
    """Tell whether this process runs inside a SLURM job."""
    return "SLURM_JOB_ID" in os.environ


def ask(
    *command: str, timeout_s: float = _TIMEOUT_S, environment: Mapping[str, str] | None = None
) -> str:
    """Run one of SLURM's commands and return what it printed.

    Args:
        command: name and arguments.
        timeout_s: how long to wait for it.
        environment: all of its variables; None for ours, with English words and plain times, and
            without what would overrule what is asked.

    Raises:
        SchedulerSilentError: there was no answer in time, or none at all.
        SchedulerError: it is not installed, or refused; the text is its own.
    """
    name = command[0]
    if environment is None:
        environment = _environment(name)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    except FileNotFoundError:
        raise SchedulerError(
            f"{name} is not on this machine; use --executor local, or a login node"
        ) from None
    except subprocess.TimeoutExpired:
        raise SchedulerSilentError(
            f"{name} did not answer within {timeout_s:g} s; try again later"
        ) from None
    if done.returncode == 0:
        return done.stdout

    # Silence differs from refusal: what was asked for may yet happen.
    complaint = _in_one_line(done.stderr or done.stdout)
    if any(words in complaint for words in _NO_ANSWER):
        raise SchedulerSilentError(f"{name} got no answer: {complaint}; try again later")
    raise SchedulerError(f"{name} refused: {complaint}")


def sbatch(
    *arguments: str, timeout_s: float = _TIMEOUT_S, environment: Mapping[str, str] | None = None
) -> str:
    """Submit a batch script and return the id of its job.

    Raises:
        SchedulerSilentError: the answer is no job id, or there was none.
        SchedulerError: see `ask`.
    """
    answer = ask("sbatch", "--parsable", *arguments, timeout_s=timeout_s, environment=environment)

    # A site may print a banner around the id; in a federation that is ID;CLUSTER.
    words = [line.strip().partition(";")[0] for line in answer.splitlines()]
    job_ids = {word for word in words if word.isdecimal()}
    if len(job_ids) != 1:
        raise SchedulerSilentError(f"sbatch answered {answer.strip()[:80]!r}, which is no job id")
    return job_ids.pop()


def _in_one_line(text: str) -> str:
    """Join lines, without the `sbatch: error:` before each."""
    return "; ".join(
        line.rpartition("error: ")[2].strip() for line in text.splitlines() if line.strip()
    )


def sbatch_environment(set_in_script: Collection[str] = ()) -> dict[str, str]:
    """Return our environment for a job, without what would overrule its script.

    Args:
        set_in_script: options whose variables are left out too, as sbatch prefers these to the
            script.
    """
    kept = {f"SBATCH_{name.upper()}" for name in USERS_DEFAULTS if name not in set_in_script}
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SBATCH_", "SLURM_")) or (value and name in {*kept, *_OF_CLUSTER})
    }


def _environment(command: str) -> dict[str, str]:
    """Return the environment of a command; that of sbatch becomes the job's."""
    if command == "sbatch":
        return sbatch_environment()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_NARROWING) and (value or name not in _OF_CLUSTER)
    }
    return kept | _FIXED
