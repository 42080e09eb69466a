"""What runs in a SLURM job."""

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
    root: str, bundles: list[list[str]], side_by_side: int, rerun: bool, asked: Mapping[str, Any]
) -> None:
    """Make an attempt at each run of a job: those of its place in the array.

    SLURM warns with SIGUSR2 before the time limit, and with SIGUSR2 or SIGTERM before a preemption:
    what runs then stops behind a checkpoint, and the job asks to be queued again. Of a job's tasks
    the first alone makes attempts.
    """
    os.environ.update(rendezvous())
    if os.environ.get("RANK", "0") != "0":
        return
    run_ids = bundles[int(os.environ["SLURM_ARRAY_TASK_ID"])]
    threads = int(os.environ.get("SLURM_CPUS_PER_TASK", "0"))
    job = AttemptContext(
        "slurm",
        job_id(),
        threads=threads,
        rerun=rerun,
        code=os.environ.get("SWEEP_CODE"),
        asked=asked,
    )
    with Interrupts(signal.SIGUSR2, signal.SIGTERM) as interrupts:
        if len(run_ids) == 1:
            run_attempt(Path(root), run_ids[0], job, interrupts.reason)
        else:
            run_bundle(Path(root), run_ids, job, side_by_side, interrupts)
        if interrupts.reason() is not None:
            come_back([Root(Path(root)).run(run_id) for run_id in run_ids])
