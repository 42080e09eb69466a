"""`sweep launch --controller`: the waiting launcher as a job of one CPU, so that no shell has to stay open for it.

At its time limit the job asks the launcher to leave and queues itself again; scancel ends it for good. The runs' jobs hang on
neither.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from byol_core.files import make_folder, umask_of, write_atomic
from orchestrator.slurm.commands import ask
from orchestrator.spec import Resources

VARIABLE = "SWEEP_CONTROLLER"
"""Names the job to the launcher in it."""

# SLURM's variables of this job would be taken for options of the jobs that are sent from it.
_SCRIPT = """\
#!/bin/bash
export {variable}=$SLURM_JOB_ID PYTHONSAFEPATH=1
job=$SLURM_JOB_ID
unset "${{!SLURM_@}}"
{command} &
launcher=$!
leave() {{ kill -INT "$launcher"; wait "$launcher"; }}
trap 'leave; exit 0' TERM
trap 'leave; scontrol requeue "$job"; exit 0' USR2
wait "$launcher"
"""


def submit_controller(folder: Path, name: str, arguments: Sequence[str], resources: Resources) -> str:
    """Submit the launcher.

    Args:
        folder: for its script and what it prints.
        name: of the job.
        arguments: of the `sweep` command.
        resources: partition, account and QOS are the runs'.

    Returns:
        The job id.

    Raises:
        SchedulerError: SLURM refused.
    """
    make_folder(folder)
    script = folder / "controller.sh"
    command = shlex.join([sys.executable, "-m", "orchestrator.cli", *arguments])
    write_atomic(script, _SCRIPT.format(variable=VARIABLE, command=command).encode())
    where = {"partition": resources.partition, "account": resources.account, "qos": resources.qos}
    options = [f"--{key}={value}" for key, value in where.items() if value is not None]
    limits = ("--ntasks=1", "--cpus-per-task=1", "--mem=2G", "--requeue", "--signal=B:USR2@120", "--open-mode=append")
    output = f"--output={folder / 'controller-%j.out'}"
    with umask_of(folder):
        printed = ask("sbatch", "--parsable", f"--job-name={name}", *limits, *options, output, str(script))
    return printed.partition(";")[0].strip()  # with several clusters, ID;CLUSTER
