"""Makes the attempts of a SLURM job: this is what the job runs."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.executors.bundle import run_bundle
from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.slurm.distributed import rendezvous
from orchestrator.slurm.requeue import come_back, job_id
from orchestrator.store.root import Root


def work(
    root: str, bundles: list[list[str]], side_by_side: int, rerun: bool, request: Mapping[str, Any]
) -> None:
    """Make an attempt at each run of this job, which is one place of an array.

    SLURM warns with SIGUSR2 before the time limit, and with SIGUSR2 or SIGTERM before a preemption:
    what runs then stops behind a checkpoint, and the job asks to be queued again. Of a job's tasks
    the first alone makes attempts.
    """
    # Of several tasks, the others serve the first through torch.distributed alone.
    os.environ.update(rendezvous())
    if os.environ.get("RANK", "0") != "0":
        return

    run_ids = bundles[int(os.environ["SLURM_ARRAY_TASK_ID"])]
    threads = int(os.environ.get("SLURM_CPUS_PER_TASK", "0"))
    context = AttemptContext(
        "slurm",
        job_id(),
        threads=threads,
        rerun=rerun,
        code=os.environ.get("SWEEP_CODE"),
        asked=request,
    )
    with Interrupts(signal.SIGUSR2, signal.SIGTERM) as interrupts:
        if len(run_ids) == 1:
            run_attempt(Path(root), run_ids[0], context, interrupts.reason)
        else:
            run_bundle(Path(root), run_ids, context, side_by_side, interrupts)

        # Signals are still only noted here, so that none ends the job before it is queued again.
        if interrupts.reason() is not None:
            come_back([Root(Path(root)).run(run_id) for run_id in run_ids])
