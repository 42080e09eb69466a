"""Names the nodes that jobs are to avoid."""

from collections.abc import Collection

from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask


def without(failed: Collection[str]) -> list[str]:
    """Return which failed nodes to exclude; none where no other node would be left."""
    if not failed:
        return []
    try:
        known = set(ask("sinfo", "--noheader", "--Node", "--format=%N").split())
    except SchedulerError:
        return []
    return sorted(failed) if known - set(failed) else []
