"""What runs in a SLURM job."""

import os
import signal
from pathlib import Path

from orchestrator.executors.interrupts import Interrupts
from orchestrator.root import Root
from orchestrator.slurm.distributed import rendezvous
from orchestrator.slurm.requeue import come_back, job_id
from orchestrator.worker import Job, run_attempt


def work(root: str, run_id: str, rerun: bool) -> None:
    """Make an attempt at a run.

    SLURM warns with SIGUSR2 before the time limit, and with SIGUSR2 or SIGTERM before a preemption: the run then stops behind a
    checkpoint and the job asks to be queued again. Of a job's tasks the first alone makes the attempt.
    """
    os.environ.update(rendezvous())
    if os.environ.get("RANK", "0") != "0":
        return
    threads = int(os.environ.get("SLURM_CPUS_PER_TASK", "0"))
    with Interrupts(signal.SIGUSR2, signal.SIGTERM) as interrupts:
        run_attempt(Path(root), run_id, Job("slurm", job_id(), threads=threads, rerun=rerun), interrupts.reason)
        if interrupts.reason() is not None:
            come_back([Root(Path(root)).run(run_id)])
