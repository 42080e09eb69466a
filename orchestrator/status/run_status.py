"""Says of one run what `sweep status` shows: its state, why it waits or how it ended."""

import re
from dataclasses import dataclass
from typing import Any

from orchestrator.slurm.reasons import explain, is_stuck
from orchestrator.store.retry import AUTOMATIC
from orchestrator.store.state import ACTIVE, State
from orchestrator.text import shortened

DONE = "done"
RUNNING = "running"
PENDING = "pending"
FAILED = "failed"
GROUPS = (DONE, RUNNING, PENDING, FAILED)
"""What people count runs by.

Pending is all that will still be tried without being asked to, waiting in a queue or not.
"""

_JOB_ID = re.compile(r"^job \S+ ended")
_SHOWN_CHARACTERS = 300
_SUSPENDED = "suspended: SLURM lends its node to another job, and it goes on afterwards"

UNSENT = AUTOMATIC | {State.PLANNED}
LEFT = UNSENT | ACTIVE
_GROUP_OF = dict.fromkeys(LEFT, PENDING) | {State.COMPLETED: DONE, State.RUNNING: RUNNING}


@dataclass(frozen=True)
class RunStatus:
    """Says of one run what status shows.

    Attributes:
        held_back: why no launch tries it again unasked; None: one does, or never would.
        std_sqrt_d: the mean of std·√d over the last epoch.
        queue_reason: SLURM's own word for why its job waits; None without a job.
        node: where its job runs; None without a job.
        submitted_at: seconds since 1970.
        excluded: why people left it out of tables; None where they did not.
        tags: that people gave it.
    """

    run_id: str
    variant: str
    seed: int
    state: State
    outcome: str | None = None
    reason: str | None = None
    held_back: str | None = None
    step: int | None = None
    total_steps: int | None = None
    wall_s: float | None = None
    probe: float | None = None
    probe_version: int | None = None
    std_sqrt_d: float | None = None
    job_id: str | None = None
    queue_reason: str | None = None
    node: str | None = None
    submitted_at: float | None = None
    excluded: str | None = None
    tags: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the run as `status --json` prints it."""
        fields = dict(vars(self))
        fields["spread"] = fields.pop("std_sqrt_d")  # so called there from the first
        fields["progress"] = self.progress
        fields["group"] = self.group
        fields["why"] = self.why
        return fields

    @property
    def progress(self) -> float:
        """Return the share of steps taken, in [0, 1]."""
        if self.state == State.COMPLETED:
            return 1.0
        if not self.total_steps:
            return 0.0
        return (self.step or 0) / self.total_steps

    @property
    def group(self) -> str:
        """Return which of `GROUPS` it counts to."""
        return FAILED if self.held_back else _GROUP_OF.get(self.state, FAILED)

    @property
    def is_stuck(self) -> bool:
        """Tell whether its job waits for somebody to do something."""
        waits = self.state == State.SUBMITTED and self.queue_reason is not None
        return waits and is_stuck(self.queue_reason or "")

    def _why_it_waits(self) -> str | None:
        if self.queue_reason:
            return explain(self.queue_reason)
        return explain("None") if self.reason == "pending" else self.reason

    @property
    def why(self) -> str | None:
        """Return in words why it waits or how it ended; None where there is nothing to say."""
        if self.state == State.RUNNING:
            return _SUSPENDED if (self.reason or "").startswith("suspended") else None
        if self.outcome == "diverged":
            return f"its loss was no number any more at step {self.step}"
        if self.state in (State.PLANNED, State.COMPLETED):
            return None
        if self.state == State.SUBMITTED:
            return self._why_it_waits()

        # It ended without a result: the first sentence of the reason, and how far it got.
        text = (self.reason or "no reason known").split(". ")[0]
        text = _JOB_ID.sub("its job ended", text)  # so that equal ends are equal
        text = shortened(text, _SHOWN_CHARACTERS) or ""
        if self.state == State.OOM:
            text = text.removeprefix("OutOfMemoryError: ")
        if self.step and self.state in (State.FAILED, State.OOM):
            text += f" at step {self.step}"
        if self.held_back:
            text += f"; held back: {self.held_back}: --retry {self.state.value.lower()}"
        return text
