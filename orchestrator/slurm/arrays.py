"""Sends an array by submitit's SLURM executor, in one silent call of sbatch with a time limit.

From submitit come the text of the batch script and the way into the job: `submitit.core._submit`
loads the pickle of its array task. One pickle serves the whole array: each task, when it starts,
makes a link to it by the name that submitit looks for. So a submission is two files, however many
tasks it has.
"""

import pickle
import shlex
from collections.abc import Callable
from pathlib import Path

import submitit
from submitit.core.utils import DelayedSubmission

from byol_core.files import write_atomic
from orchestrator.slurm.commands import sbatch, sbatch_environment

_SBATCH_S = 60.0
_LINK = (
    'ln -sf {name}.pkl {folder}/"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}_submitted.pkl"'
)


class HeldArrays(submitit.SlurmExecutor):  # type: ignore[misc]  # submitit is not read by mypy
    """Sends one call as an array of so many tasks.

    `hold` and `job_name` must be among the parameters.
    """

    def send(self, tasks: int, call: Callable[..., None], *arguments: object) -> list[str]:
        """Submit an array whose every task makes the same call; return the ids of its tasks.

        Raises:
            SchedulerError: see `sbatch`.
        """
        folder = Path(self.folder)
        name = self.parameters["job_name"]
        script = folder / f"{name}.sh"

        # Each task links the one pickle to the name that submitit looks for.
        self.parameters["map_count"] = tasks
        link = _LINK.format(name=name, folder=shlex.quote(str(folder)))
        self.parameters["setup"] = [link, *self.parameters.get("setup", [])]
        text = self._make_submission_file_text(self._submitit_command_str, name)
        write_atomic(script, text.encode())
        write_atomic(folder / f"{name}.pkl", pickle.dumps(DelayedSubmission(call, *arguments)))

        environment = sbatch_environment(self.parameters)
        array = sbatch(str(script), timeout_s=_SBATCH_S, environment=environment)
        return [f"{array}_{task}" for task in range(tasks)]
