"""Sends the waiting launcher as a job of one CPU, so that no shell has to stay open for it.

That is `sweep launch --controller`. At its time limit the job asks the launcher to leave and queues
itself again; scancel ends it for good. The runs' jobs hang on neither.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from byol_core.files import make_folder, umask_of, write_atomic
from orchestrator.slurm.commands import sbatch
from orchestrator.slurm.submit import code_line

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
{code}
job=$SLURM_JOB_ID
for name in "${{!SLURM_@}}"; do
    case $name in SLURM_CONF | SLURM_CONF_SERVER | SLURM_CLUSTERS | SLURM_JWT) ;;
    *) unset "$name" ;; esac
done
{command} &
launcher=$!
leave() {{ kill -INT "$launcher"; wait "$launcher"; }}
trap 'leave; exit 0' TERM
trap 'leave; scontrol requeue "$job"; exit 0' USR2
wait "$launcher"
"""


def submit_controller(
    folder: Path,
    name: str,
    arguments: Sequence[str],
    placement: Mapping[str, str | None],
    code: Path,
) -> str:
    """Submit the launcher.

    Args:
        folder: for its script and what it prints.
        name: of the job.
        arguments: of the `sweep` command.
        placement: partition, account and QOS; None for the cluster's own choice.
        code: the copy of the code that it runs, whatever becomes of the checkout while it waits.

    Returns:
        The job id.

    Raises:
        SchedulerError: SLURM refused, or gave no job id.
    """
    make_folder(folder)
    script = folder / "controller.sh"
    command = shlex.join([sys.executable, "-m", "orchestrator.cli", *arguments])
    write_atomic(
        script, _SCRIPT.format(variable=VARIABLE, code=code_line(code), command=command).encode()
    )

    # The job inherits umask and environment, without variables of sbatch that would multiply it.
    output = folder / "controller-%j.out"
    settings = {**_OWN, **placement, "job-name": name, "output": output}
    options = [f"--{key}={value}" for key, value in settings.items() if value is not None]
    with umask_of(folder):
        return sbatch("--requeue", *options, str(script))
