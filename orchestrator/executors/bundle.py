"""Makes the attempts of a job that has several runs, in sequence or side by side.

Each run has a process of its own, so one that crashes takes none with it.
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
    context: AttemptContext,
    side_by_side: int,
    interrupts: Interrupts,
) -> None:
    """Make an attempt at each run, in order.

    Once there is a reason to stop, what is left stays for a later job.

    Args:
        root: the root folder.
        run_ids: the job's runs.
        context: its `threads` are those of the whole job, shared by the runs that go side by side.
        side_by_side: how many at once; they share the job's GPUs in turn.
        interrupts: those of the job.
    """
    slots = find_slots(side_by_side)
    if context.threads:
        threads = max(1, context.threads // side_by_side)
        slots = [Slot(slot.device, threads) for slot in slots]
    context = replace(context, capture=True)
    run_local(root, run_ids, context, slots, interrupts, tick=lambda: None)
