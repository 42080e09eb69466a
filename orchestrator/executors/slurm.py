"""Runs as SLURM job arrays, through submitit: its sbatch text, its arrays and its way into the worker.

Jobs are submitted held and released once their ids are on the disk, so nothing starts that the launcher does not know.
From submitit's result files, states and signal handlers nothing is used: results are the run folders.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from byol_core.files import make_folder
from orchestrator.errors import SchedulerError
from orchestrator.executors.interrupts import Interrupts
from orchestrator.spec import Resources
from orchestrator.worker import Job, run_attempt

_COMMAND_TIMEOUT_S = 30
_SIGNAL_LEAD_S = 90


def has_slurm() -> bool:
    """Tell whether jobs can be submitted from here."""
    return shutil.which("sbatch") is not None


def inside_job() -> bool:
    """Tell whether this process runs inside a SLURM job."""
    return "SLURM_JOB_ID" in os.environ


def submit_held(
    folder: Path, key: str, root: Path, run_ids: Sequence[str], resources: Resources, parallel: int | None, rerun: bool
) -> list[str]:
    """Submit one array of held jobs.

    Args:
        folder: for submitit's files and the output of jobs before they claim their attempt.
        key: job name; by it the array is found again if this process dies now.
        root: the root folder.
        run_ids: one job each.
        resources: what each job asks for.
        parallel: how many may run at once; None for no limit.
        rerun: train again what is done already.

    Returns:
        The job ids, in order.

    Raises:
        SchedulerError: SLURM refused; the text is its own.
    """
    import submitit

    make_folder(folder)
    executor = submitit.SlurmExecutor(folder=folder, python=sys.executable)
    executor.update_parameters(**_parameters(key, resources, parallel or len(run_ids)))
    try:
        jobs = executor.map_array(work, [str(root)] * len(run_ids), list(run_ids), [rerun] * len(run_ids))
    except (submitit.core.utils.FailedJobError, subprocess.SubprocessError, OSError) as error:
        raise SchedulerError(f"sbatch refused: {' '.join(str(error).split())}") from None
    return [job.job_id for job in jobs]


def release(job_ids: Sequence[str]) -> None:
    """Let held jobs start."""
    for array in _arrays(job_ids):
        _scheduler("scontrol", "release", array)


def cancel(key: str) -> None:
    """Cancel every job of that name, if there is one."""
    _scheduler("scancel", f"--name={key}")


def cancel_jobs(job_ids: Sequence[str]) -> None:
    """Cancel these jobs; those that have ended are no error."""
    _scheduler("scancel", *job_ids)


def queue(keys: Sequence[str]) -> dict[str, str] | None:
    """Return job id → SLURM's word for every job of these names that waits or runs; None where squeue did not answer."""
    if not keys:
        return {}
    try:
        listed = _scheduler("squeue", "--noheader", "--array", "--format=%i|%T", "--name=" + ",".join(keys))
    except SchedulerError:
        return None
    return {job_id: word for job_id, _, word in (line.strip().partition("|") for line in listed.splitlines() if line)}


def work(root: str, run_id: str, rerun: bool) -> None:
    """What runs in a job. SLURM warns with SIGUSR2 before the time limit and with SIGTERM on preemption."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job_id = f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID")
    threads = int(os.environ.get("SLURM_CPUS_PER_TASK", "0"))
    with Interrupts(signal.SIGUSR2, signal.SIGTERM) as interrupts:
        run_attempt(Path(root), run_id, Job("slurm", job_id, threads=threads, rerun=rerun), interrupts.reason)


def _parameters(key: str, resources: Resources, parallel: int) -> dict[str, object]:
    asked: dict[str, object] = {
        "job_name": key,
        "time": resources.timeout_min,
        "mem": f"{resources.mem_gb}GB",
        "cpus_per_task": resources.cpus,
        "gpus_per_node": resources.gpus or None,
        "partition": resources.partition,
        "account": resources.account,
        "qos": resources.qos,
        "array_parallelism": parallel,
        "signal_delay_s": _SIGNAL_LEAD_S,
        "setup": ["export PYTHONSAFEPATH=1"],  # or a folder `analysis/` in the working directory would be imported
        "additional_parameters": {"hold": True},
    }
    return {name: value for name, value in asked.items() if value is not None}


def _arrays(job_ids: Sequence[str]) -> list[str]:
    return sorted({job_id.partition("_")[0] for job_id in job_ids})


def _scheduler(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S)
    except FileNotFoundError:
        raise SchedulerError(f"{command[0]} is not on this machine; use --executor local, or a login node") from None
    except subprocess.TimeoutExpired:
        raise SchedulerError(f"{command[0]} did not answer within {_COMMAND_TIMEOUT_S} s; try again later") from None
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        raise SchedulerError(f"{command[0]} failed: {said}")
    return done.stdout
