"""Sends runs as job arrays, through submitit: its sbatch text and its way into the worker.

Jobs are submitted held and released once their ids are on the disk, so nothing starts that the
launcher does not know. From submitit's result files, states and signal handlers nothing is used:
results are the run folders.
"""

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from byol_core.files import make_folder, umask_of
from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask
from orchestrator.slurm.setup import checked
from orchestrator.spec import Resources

_LONGEST_LEAD_S = 90
_IDS_PER_CALL = 500
_ABSOLUTE = (
    '"$(IFS=:; set -f; for entry in ${PYTHONPATH-}; do case $entry in "$PWD") ;; '
    """/*) printf ':%s' "$entry" ;; esac; done)\""""
)
"""The folders of PYTHONPATH that do not depend on the working directory, each behind a colon."""


@dataclass(frozen=True)
class Array:
    """Describes one array to submit.

    Attributes:
        key: job name; by it the array is found again if this process dies now.
        bundles: the runs of each job.
        resources: what each job asks for.
        parallel: how many jobs may run at once; None for no limit.
        after: id of an array that must have ended before; None for none.
        code: the folder that the jobs import, named by its sha256; None for what is installed.
    """

    key: str
    bundles: Sequence[Sequence[str]]
    resources: Resources
    parallel: int | None = None
    after: str | None = None
    code: Path | None = None


def submit_held(
    folder: Path, array: Array, work: Callable[..., None], *arguments: object
) -> list[str]:
    """Submit one array of held jobs.

    Args:
        folder: for the batch script, submitit's files and the output of jobs before they claim
            their attempt.
        array: what to submit.
        work: the function that each job calls; it finds its place in the array by
            SLURM_ARRAY_TASK_ID.
        arguments: of that call, the same for all jobs of the array.

    Returns:
        The job ids, one per bundle.

    Raises:
        SchedulerSilentError: it is not known whether SLURM took it.
        SchedulerError: SLURM refused; the text is its own.
    """
    from orchestrator.slurm.arrays import HeldArrays

    make_folder(folder)
    python = array.resources.python or shlex.quote(sys.executable)
    executor = HeldArrays(folder=folder, python=python)
    executor.update_parameters(**_parameters(array))
    with umask_of(folder):  # which sbatch hands on to the jobs
        return executor.send(len(array.bundles), work, *arguments)


def release(job_ids: Sequence[str]) -> None:
    """Let held jobs start."""
    for array in sorted({job_id.partition("_")[0] for job_id in job_ids}):
        ask("scontrol", "release", array)


def cancel(key: str) -> None:
    """Cancel every job of that name, if there is one."""
    ask("scancel", f"--name={key}")


def cancel_jobs(job_ids: Iterable[str]) -> None:
    """Cancel these jobs, hundreds by one call; those that have ended are no error."""
    words = list(_task_lists(job_ids))
    for start in range(0, len(words), _IDS_PER_CALL):
        try:
            ask("scancel", *words[start : start + _IDS_PER_CALL])
        except SchedulerError as error:
            if "Invalid job id" not in str(error):  # SLURM has forgotten it: it ended long ago
                raise


def _task_lists(job_ids: Iterable[str]) -> Iterator[str]:
    """Write 7_0, 7_1, 7_2 and 7_9 as 7_[0-2,9]."""
    pairs = set()
    for job_id in job_ids:
        array, _, task = job_id.partition("_")
        pairs.add((array, int(task or -1)))

    for array, tasks in groupby(sorted(pairs), key=lambda pair: pair[0]):
        numbers = [task for _, task in tasks]
        if numbers == [-1]:
            yield array
        else:
            yield f"{array}_[{','.join(_ranges(numbers))}]"


def _ranges(numbers: Sequence[int]) -> Iterator[str]:
    """Write 0, 1, 2 and 9 as 0-2 and 9."""
    # Numbers that follow each other have the same distance to their places in the list.
    for _, together in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in together]
        if len(members) == 1:
            yield str(members[0])
        else:
            yield f"{members[0]}-{members[-1]}"


def _parameters(array: Array) -> dict[str, object]:
    """Return what submitit's executor is to write into the batch script."""
    resources = array.resources
    setup = list(setup_lines(resources))
    if array.code is not None:
        setup.append(code_line(array.code))
    parameters: dict[str, object] = {
        "job_name": array.key,
        "time": resources.timeout_min,
        "mem": f"{resources.mem_gb}GB",
        "cpus_per_task": resources.cpus,
        "gpus_per_node": gpus_of(resources),
        "nodes": resources.nodes,
        "ntasks_per_node": resources.tasks,
        "partition": resources.partition,
        "account": resources.account,
        "qos": resources.qos,
        "constraint": resources.constraint,
        "exclude": resources.exclude,
        "nodelist": resources.nodelist,
        "array_parallelism": array.parallel or len(array.bundles),
        "signal_delay_s": _lead_s(resources.timeout_min),
        "setup": setup,
        "srun_args": resources.srun,
        "additional_parameters": _further_options(array),
    }
    return {name: value for name, value in parameters.items() if value is not None}


def _further_options(array: Array) -> dict[str, object]:
    """Return the options of sbatch that submitit has no parameter for."""
    options: dict[str, object] = {"hold": True, "requeue": True}
    if array.resources.reservation is not None:
        options["reservation"] = array.resources.reservation
    options |= array.resources.sbatch
    if array.after is not None:
        options["dependency"] = f"afterany:{array.after}"
    return options


def gpus_of(resources: Resources) -> str | None:
    """Return the value of --gpus-per-node, such as `4` or `a100:4`; None for no GPU."""
    if resources.gpu_type:
        return f"{resources.gpu_type}:{resources.gpus}"
    return str(resources.gpus) if resources.gpus else None


def code_line(code: Path) -> str:
    """Return the shell line that makes a job import a copy of the code.

    It comes last, as a module may set PYTHONPATH too. Of that, absolute folders are kept: an empty
    entry, as `$PYTHONPATH:/opt/lib` leaves one, would be the working directory.
    """
    path = f"{shlex.quote(str(code))}{_ABSOLUTE}"
    return f"export PYTHONPATH={path} SWEEP_CODE={code.name} PYTHONSAFEPATH=1"


def _lead_s(timeout_min: int) -> int:
    """Return how long before its time limit a job is warned.

    That is enough for a checkpoint, and never most of a short job.
    """
    return min(_LONGEST_LEAD_S, timeout_min * 60 // 3)


def setup_lines(resources: Resources) -> Iterator[str]:
    """Yield the shell lines before the run."""
    # Otherwise a folder `analysis/` in the working directory would be imported.
    yield "export PYTHONSAFEPATH=1"
    if resources.data is not None:
        yield f"export SWEEP_DATA={shlex.quote(resources.data)}"
    if resources.data_copy is not None:
        yield f'export SWEEP_DATA_COPY="{resources.data_copy}"'  # its variables are the node's
    yield from checked(resources.setup)
