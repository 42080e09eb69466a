"""submitit's SLURM executor, sending one array by one call of sbatch that has a time limit and prints nothing.

From submitit come the text of the batch script and the way into the job: `submitit.core._submit` loads the pickle of its
array task. Pickles are written when the id is known: the jobs are held until then.
"""

import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import DelayedSubmission

from byol_core.files import write_atomic, write_many
from orchestrator.errors import SchedulerSilentError
from orchestrator.slurm.commands import ask

_SBATCH_S = 60.0
_USERS_DEFAULTS = ("account", "partition", "qos", "constraint")  # where neither spec nor clusters.yaml says so


class HeldArrays(submitit.SlurmExecutor):  # type: ignore[misc]  # submitit is not read by mypy
    """Sends every list of calls as one array, a list of one too; `hold` must be among its parameters."""

    def _internal_process_submissions(self, delayed_submissions: Sequence[DelayedSubmission]) -> list[Any]:
        self.parameters["map_count"] = len(delayed_submissions)
        script = Path(self.folder) / f"{self.parameters['job_name']}.sh"
        write_atomic(script, self._make_submission_file_text(self._submitit_command_str, script.stem).encode())
        array = _array_id(ask("sbatch", "--parsable", str(script), timeout_s=_SBATCH_S, environment=self._environment()))
        jobs = [self.job_class(folder=self.folder, job_id=f"{array}_{i}") for i in range(len(delayed_submissions))]
        calls = zip(jobs, delayed_submissions, strict=True)
        write_many({job.paths.submitted_pickle: pickle.dumps(delayed) for job, delayed in calls})
        return jobs

    def _environment(self) -> dict[str, str]:
        """Return the user's environment, which the job inherits, less variables by which sbatch would overrule the script."""
        kept = {f"SBATCH_{name.upper()}" for name in _USERS_DEFAULTS if name not in self.parameters}
        return {name: value for name, value in os.environ.items() if not name.startswith("SBATCH_") or name in kept}


def _array_id(said: str) -> str:
    """Return the id from `1234` or, in a federation, `1234;cluster`."""
    array = said.strip().partition(";")[0]
    if not array.isdecimal():
        raise SchedulerSilentError(f"sbatch answered {said.strip()[:80]!r}, which is no job id")
    return array
