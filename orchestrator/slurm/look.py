"""What SLURM says of our jobs."""

from collections.abc import Sequence

from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask


def queue(keys: Sequence[str]) -> dict[str, str] | None:
    """Return job id → SLURM's word for every job of these names that waits or runs; None where squeue did not answer."""
    if not keys:
        return {}
    try:
        listed = ask("squeue", "--noheader", "--array", "--format=%i|%T", "--name=" + ",".join(keys))
    except SchedulerError:
        return None
    return {job_id: word for job_id, _, word in (line.strip().partition("|") for line in listed.splitlines() if line)}
