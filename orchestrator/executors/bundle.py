"""Several runs in one job: each in a process of its own, in sequence or side by side; one that
crashes takes none with it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.local import Slot, find_slots, run_local
from orchestrator.executors.worker import AttemptContext


def run_bundle(
    root: Path,
    run_ids: Sequence[str],
    job: AttemptContext,
    side_by_side: int,
    interrupts: Interrupts,
) -> None:
    """Make an attempt at each run, in order; once there is a reason to stop, what is left stays for
    a later job.

    Args:
        root: the root folder.
        run_ids: the job's runs.
        job: its `threads` are those of the whole job, shared by the runs that go side by side.
        side_by_side: how many at once; they share the job's GPUs in turn.
        interrupts: those of the job.
    """
    threads = max(1, job.threads // side_by_side) if job.threads else 0
    slots = [Slot(slot.device, threads or slot.threads) for slot in find_slots(side_by_side)]
    run_local(root, run_ids, replace(job, capture=True), slots, interrupts, tick=lambda: None)
