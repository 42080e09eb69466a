"""Sends runs as job arrays, through submitit: its sbatch text, its arrays and its way into the worker.

Jobs are submitted held and released once their ids are on the disk, so nothing starts that the launcher does not know.
From submitit's result files, states and signal handlers nothing is used: results are the run folders.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from byol_core.files import make_folder, umask_of
from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask
from orchestrator.slurm.job import work
from orchestrator.spec import Resources

_SIGNAL_LEAD_S = 90


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
        with umask_of(folder):
            jobs = executor.map_array(work, [str(root)] * len(run_ids), list(run_ids), [rerun] * len(run_ids))
    except (submitit.core.utils.FailedJobError, subprocess.SubprocessError, OSError) as error:
        raise SchedulerError(f"sbatch refused: {' '.join(str(error).split())}") from None
    return [job.job_id for job in jobs]


def release(job_ids: Sequence[str]) -> None:
    """Let held jobs start."""
    for array in _arrays(job_ids):
        ask("scontrol", "release", array)


def cancel(key: str) -> None:
    """Cancel every job of that name, if there is one."""
    ask("scancel", f"--name={key}")


def cancel_jobs(job_ids: Sequence[str]) -> None:
    """Cancel these jobs; those that have ended are no error."""
    ask("scancel", *job_ids)


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
