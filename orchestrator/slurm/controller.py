"""Sends the waiting launcher as a job of one CPU, so that no shell has to stay open for it.

That is `sweep launch --controller`. At its time limit the job asks the launcher to leave and queues
itself again; scancel ends it for good. The runs' jobs hang on neither.
"""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from byol_core.files import make_folder, umask_of, write_atomic
from orchestrator.slurm.commands import sbatch

VARIABLE = "SWEEP_CONTROLLER"
"""Names the job to the launcher in it."""

_OWN = {
    "ntasks": "1",
    "cpus-per-task": "1",
    "mem": "2G",
    "signal": "B:USR2@120",
    "open-mode": "append",
}

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


def submit_controller(
    folder: Path, name: str, arguments: Sequence[str], placement: Mapping[str, str | None]
) -> str:
    """Submit the launcher.

    Args:
        folder: for its script and what it prints.
        name: of the job.
        arguments: of the `sweep` command.
        placement: partition, account and QOS; None for the cluster's own choice.

    Returns:
        The job id.

    Raises:
        SchedulerError: SLURM refused, or gave no job id.
    """
    make_folder(folder)
    script = folder / "controller.sh"
    command = shlex.join([sys.executable, "-m", "orchestrator.cli", *arguments])
    write_atomic(script, _SCRIPT.format(variable=VARIABLE, command=command).encode())

    # The job inherits umask and environment.
    output = folder / "controller-%j.out"
    settings = {**_OWN, **placement, "job-name": name, "output": output}
    options = [f"--{key}={value}" for key, value in settings.items() if value is not None]
    with umask_of(folder):
        return sbatch("--requeue", *options, str(script), environment=os.environ)
