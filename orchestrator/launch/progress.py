"""A launch as people see it: the plan first, then progress, then how it ended. The database follows along."""

import time

from rich.console import Console
from sqlalchemy import Engine

from orchestrator.database.collect import collect
from orchestrator.errors import StoreError
from orchestrator.launch import terminal
from orchestrator.launch.cost import estimate
from orchestrator.launch.launch import Launch, Reporter
from orchestrator.launch.plan import Plan
from orchestrator.launch.requests import Asking
from orchestrator.launch.send import Sent
from orchestrator.status.sweep_status import SweepStatus, sweep_statuses
from orchestrator.status.terminal import reason_lines
from orchestrator.status.verdict import summary
from orchestrator.store.root import Root
from orchestrator.store.standing import Queue

_PROGRESS_EVERY_S = 1.0
_INTERRUPTED = 130


class Watch:
    """Shows a launch while it goes on.

    Args:
        console: where.
        label: the sweep's.
        root: its files.
        engine: the database, opened before anything starts; None where there is none yet and nothing is to start.
    """

    def __init__(self, console: Console, label: str, root: Root, engine: Engine | None) -> None:
        self._console, self._label, self._root, self._engine = console, label, root, engine
        self._live = terminal.Live(console)
        self._next_s = 0.0
        self._complained = False

    def reporter(self) -> Reporter:
        """Return what a launch reports to."""
        return Reporter(self._plan, self._note, self._tick)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _plan(self, plan: Plan, asking: Asking) -> None:
        cost = estimate(self._engine, plan, asking) if self._engine is not None and plan.start else None
        terminal.show_plan(self._console, plan, asking.executor, cost)

    def _note(self, text: str) -> None:
        self._console.print(f"  {text}", highlight=False, markup=False)

    def _tick(self, queue: Queue) -> None:
        if time.monotonic() < self._next_s or self._engine is None:
            return
        self._next_s = time.monotonic() + _PROGRESS_EVERY_S
        try:
            if collect(self._root, self._engine, queue) is not None:
                self._live.update(sweep_statuses(self._engine, self._label)[0])
        except StoreError as error:  # the runs go on: the database is only their index
            if not self._complained:
                self._note(str(error))
            self._complained = True


def show_outcome(console: Console, status: SweepStatus, done: Launch) -> int:
    """Print how a sweep ended that was waited for; return the exit status."""
    console.print(f"{status.label}: {summary(status)}", highlight=False, markup=False, soft_wrap=True)
    if done.interrupted:
        jobs = "the jobs go on without it, and " if done.executor == "slurm" else ""
        console.print(f"{done.interrupted}; {jobs}the same launch goes on from here", highlight=False)
        return _INTERRUPTED
    if done.stopped:
        console.print(done.stopped, highlight=False, markup=False, soft_wrap=True)
        return 1
    for line in reason_lines(status.runs):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
    return 0 if status.all_done() else 1


def show_sent(console: Console, sent: Sent) -> None:
    """Print what went to SLURM, and what did not."""
    arrays = ", ".join(dict.fromkeys(job_id.partition("_")[0] for job_id in sent.job_ids))
    runs = "" if sent.run_count == len(sent.job_ids) else f" of {sent.run_count} runs"
    text = f"submitted {len(sent.job_ids)} jobs{runs} (SLURM {arrays})" if sent.job_ids else "nothing to submit"
    if sent.held_back:
        text += f"; {sent.held_back} runs not submitted yet ({sent.limit}): run the same launch again"
    console.print(f"{text}; see `sweep status`", highlight=False, soft_wrap=True)
