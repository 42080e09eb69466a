"""submitit's SLURM executor, sending one array by one call of sbatch that has a time limit and
prints nothing.

From submitit come the text of the batch script and the way into the job: `submitit.core._submit`
loads the pickle of its array task. One pickle serves the whole array: each task, when it starts,
makes a link to it by the name that submitit looks for. So a submission is two files, however many
tasks it has.
"""

import os
import pickle
import shlex
from collections.abc import Callable
from pathlib import Path

import submitit
from submitit.core.utils import DelayedSubmission

from byol_core.files import write_atomic
from orchestrator.errors import SchedulerSilentError
from orchestrator.slurm.commands import ask

_SBATCH_S = 60.0
_LINK = (
    'ln -sf {name}.pkl {folder}/"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}_submitted.pkl"'
)
_USERS_DEFAULTS = (
    "account",
    "partition",
    "qos",
    "constraint",
)  # where neither spec nor clusters.yaml says so


class HeldArrays(submitit.SlurmExecutor):  # type: ignore[misc]  # submitit is not read by mypy
    """Sends one call as an array of so many tasks; `hold` and `job_name` must be among the
    parameters.
    """

    def send(self, tasks: int, call: Callable[..., None], *arguments: object) -> list[str]:
        """Submit an array whose every task makes the same call; return the ids of its tasks.

        Raises:
            SchedulerError: see `ask`.
        """
        folder, name = Path(self.folder), self.parameters["job_name"]
        self.parameters["map_count"] = tasks
        self.parameters["setup"] = [
            _LINK.format(name=name, folder=shlex.quote(str(folder))),
            *self.parameters.get("setup", []),
        ]
        write_atomic(
            folder / f"{name}.sh",
            self._make_submission_file_text(self._submitit_command_str, name).encode(),
        )
        write_atomic(folder / f"{name}.pkl", pickle.dumps(DelayedSubmission(call, *arguments)))
        said = ask(
            "sbatch",
            "--parsable",
            str(folder / f"{name}.sh"),
            timeout_s=_SBATCH_S,
            environment=self._environment(),
        )
        return [f"{_array_id(said)}_{task}" for task in range(tasks)]

    def _environment(self) -> dict[str, str]:
        """Return the user's environment, which the job inherits, less variables by which sbatch
        would overrule the script.
        """
        kept = {f"SBATCH_{name.upper()}" for name in _USERS_DEFAULTS if name not in self.parameters}
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SBATCH_") or name in kept
        }


def _array_id(said: str) -> str:
    """Return the id from `1234` or, in a federation, `1234;cluster`."""
    array = said.strip().partition(";")[0]
    if not array.isdecimal():
        raise SchedulerSilentError(f"sbatch answered {said.strip()[:80]!r}, which is no job id")
    return array
