"""What runs in a SLURM job."""

import os
import signal
from pathlib import Path

from orchestrator.executors.interrupts import Interrupts
from orchestrator.slurm.bundle import run_bundle
from orchestrator.worker import Job, run_attempt


def work(root: str, run_ids: list[str], side_by_side: int, rerun: bool) -> None:
    """What runs in a job. SLURM warns with SIGUSR2 before the time limit and with SIGTERM on preemption."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job_id = f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")
    threads = int(os.environ.get("SLURM_CPUS_PER_TASK", "0"))
    job = Job("slurm", job_id, threads=threads, rerun=rerun, code=os.environ.get("SWEEP_CODE"))
    with Interrupts(signal.SIGUSR2, signal.SIGTERM) as interrupts:
        if len(run_ids) == 1:
            run_attempt(Path(root), run_ids[0], job, interrupts.reason)
        else:
            run_bundle(Path(root), run_ids, job, side_by_side, interrupts)
