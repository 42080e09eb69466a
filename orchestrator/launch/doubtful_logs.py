"""Keeps runs from being sent twice where a log of earlier submissions is damaged.

What such a log does not tell any more, SLURM does: the names of its jobs begin with the name of the
log. While any of them waits or runs, no run of its sweep is started.
"""

from collections.abc import Iterator
from typing import Any

from byol_core.files import DamagedFileError
from orchestrator.errors import StoreError
from orchestrator.launch.plan import Plan
from orchestrator.slurm.listing import names_beginning
from orchestrator.store.root import Root, SweepFolder
from orchestrator.store.submissions import DamagedLog, damaged_logs
from orchestrator.text import counted


def refuse_doubles(plan: Plan, root: Root, executor: str) -> None:
    """Start nothing that a job may be at work on of which no log tells.

    Args:
        plan: what is to start.
        root: whose logs.
        executor: where this is not `slurm`, a SLURM that does not answer is none.

    Raises:
        StoreError: a log is damaged and SLURM has jobs of it, or does not say.
    """
    start = {run.run_id for run in plan.start}
    for log in damaged_logs(root):
        if start.isdisjoint(_runs_in_doubt(log.sweep, start)):
            continue
        refusal = _refusal(log, executor)
        if refusal is not None:
            label = log.sweep.path.name
            raise StoreError(
                f"{log.problem}; so that no run goes out twice, nothing that {label} asks for is "
                f"started: {refusal}"
            )


def _refusal(log: DamagedLog, executor: str) -> str | None:
    """Say why runs of a damaged log may be at work, and what to do; None where they are not."""
    names = names_beginning(log.job_names)
    if names is None and executor != "slurm":
        return None
    if names is None:
        return "SLURM does not tell whether jobs of it are there; launch again when it answers"
    if not names:
        return None
    shown = ",".join(sorted(names)[:3])
    return (
        f"SLURM has jobs of {counted(len(names), 'name')} of it ({shown}); wait for their end, or "
        f"end them with: scancel --name={shown}; then launch again"
    )


def _runs_in_doubt(sweep: SweepFolder, start: set[str]) -> set[str]:
    """Return the runs that a damaged log of a sweep may have sent; all, where its plan is gone."""
    try:
        plan = sweep.read_plan()
    except DamagedFileError:
        plan = None
    if plan is None:
        return start
    return set(_run_ids(plan))


def _run_ids(plan: dict[str, Any]) -> Iterator[str]:
    for key in ("runs", "left"):
        yield from (run["run_id"] for run in plan.get(key, []))
