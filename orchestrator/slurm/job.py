"""What runs in a SLURM job."""

import os
import signal
from pathlib import Path

from orchestrator.executors.interrupts import Interrupts
from orchestrator.worker import Job, run_attempt


def work(root: str, run_id: str, rerun: bool) -> None:
    """What runs in a job. SLURM warns with SIGUSR2 before the time limit and with SIGTERM on preemption."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job_id = f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")
    threads = int(os.environ.get("SLURM_CPUS_PER_TASK", "0"))
    with Interrupts(signal.SIGUSR2, signal.SIGTERM) as interrupts:
        run_attempt(Path(root), run_id, Job("slurm", job_id, threads=threads, rerun=rerun), interrupts.reason)
