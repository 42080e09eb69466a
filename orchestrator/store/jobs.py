"""Holds what SLURM says of the jobs of runs, and what each of its words makes of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.store.state import State

WAITING = frozenset(
    {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
)
"""SLURM's words for jobs that wait, some of them held."""

ENDED = {
    "BOOT_FAIL": State.LOST,
    "CANCELLED": State.CANCELLED,
    "COMPLETED": State.FAILED,  # and yet without a result
    "DEADLINE": State.TIMEOUT,
    "FAILED": State.FAILED,
    "LAUNCH_FAILED": State.LOST,
    "NODE_FAIL": State.LOST,
    "OUT_OF_MEMORY": State.OOM,
    "PREEMPTED": State.PREEMPTED,
    "RECONFIG_FAIL": State.LOST,
    "REVOKED": State.LOST,
    "TIMEOUT": State.TIMEOUT,
    "": State.LOST,
}
"""SLURM's words for jobs that have ended, each with the state of a run that left no last word.

A job with any other word is still there.
"""


@dataclass(frozen=True)
class JobFacts:
    """Holds what SLURM says of one job.

    Attributes:
        job_id: as SLURM prints it, "123_4" for a task of an array.
        word: its state as SLURM calls it, such as "PENDING"; empty where SLURM knows the job no
            longer, or did not answer.
        submitted_at: seconds since 1970; a requeue counts as a submission.
        reason: why it waits or ended, in SLURM's word or ours; for a cancelled job by whom.
        node: the node or nodes it runs or ran on.
        exit_code: "1:0" is exit status 1, "0:9" is signal 9; empty where it is not known.
    """

    job_id: str
    word: str
    submitted_at: float = 0.0
    reason: str = ""
    node: str = ""
    exit_code: str = ""


@dataclass(frozen=True)
class Queue:
    """Holds what SLURM says of the newest job of each run that may have one.

    Attributes:
        live: run id → its job, where that waits or runs.
        ended: run id → its job, where that has ended.
        unknown: run id → its job, where nothing can be told of it now; `reason` says why.
        attempts_before: run id → its highest attempt when its job was submitted, 0 for none; older
            versions left none of it.
        answered_at: when SLURM last answered, in seconds since 1970; None if it was never asked, or
            never did.
    """

    live: Mapping[str, JobFacts] = field(default_factory=dict)
    ended: Mapping[str, JobFacts] = field(default_factory=dict)
    unknown: Mapping[str, JobFacts] = field(default_factory=dict)
    answered_at: float | None = None
    attempts_before: Mapping[str, int] = field(default_factory=dict)

    def knows(self, run_id: str) -> bool:
        """Tell whether the run has, or had, a job that may say something of its state."""
        return run_id in self.live or run_id in self.ended or run_id in self.unknown
