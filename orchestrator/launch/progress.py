"""Shows a launch while it goes on: first its plan, then progress, which the database follows."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from sqlalchemy import Engine

from orchestrator.database.collect import collect
from orchestrator.errors import NewSchemaError, SchedulerError, StoreError
from orchestrator.launch import terminal
from orchestrator.launch.cost import estimate
from orchestrator.launch.launch import Reporter
from orchestrator.launch.on_fail import FailureHook
from orchestrator.launch.plan import Plan
from orchestrator.launch.requests import ResourceRequests
from orchestrator.machine.gpus import visible_gpus
from orchestrator.slurm.nodes import obstacles
from orchestrator.slurm.qos import beyond_qos, read_qos_rules
from orchestrator.status.sweep_status import SweepStatus, sweep_statuses
from orchestrator.status.terminal import reason_lines
from orchestrator.status.verdict import summary
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root
from orchestrator.store.state import State

_PROGRESS_EVERY_S = 1.0
_LINE_EVERY_S = 10.0


class LaunchView:
    """Shows a launch while it goes on.

    Args:
        console: where.
        label: the sweep's.
        root: its files.
        engine: the database, opened before anything starts; None where there is none yet and
            nothing is to start.
        on_fail: a command for the first failure of each kind; None for none.
    """

    def __init__(
        self,
        console: Console,
        label: str,
        root: Root,
        engine: Engine | None,
        on_fail: str | None = None,
    ) -> None:
        self._console = console
        self._label = label
        self._root = root
        self._engine = engine
        self._live = ProgressBar(console)
        self._next_s = 0.0
        self._queue = Queue()
        self._complained = False
        self._explained: set[str | None] = set()
        self._on_fail = on_fail
        self._failures: FailureHook | None = None

    def reporter(self) -> Reporter:
        """Return what a launch reports to."""
        return Reporter(self._plan, self._note, self._tick)

    def __enter__(self) -> "LaunchView":
        return self

    def __exit__(self, *_: object) -> None:
        if self._failures is not None:
            self._follow()  # the last run may have failed since the last tick
            for problem in self._failures.close():
                self._note(f"warning: {problem}")
        self._live.stop()

    def _plan(self, plan: Plan, requests: ResourceRequests) -> None:
        cost = cost_anew = None
        if self._engine is not None and plan.start:
            cost = estimate(self._engine, plan, requests)
            cost_anew = estimate(self._engine, plan, requests, plan.trained_anew)
        terminal.show_plan(self._console, plan, requests.executor, cost, cost_anew)

        if self._on_fail:
            known = [run.run_id for run in plan.held_back]
            self._failures = FailureHook(self._on_fail, known)

        if requests.executor == "slurm" and plan.start:
            self._warn_of_waiting(plan, requests)

        # Before anything starts: a variable of another machine hides GPUs, or names none.
        problem = None
        if requests.executor != "slurm" and plan.start:
            problem = visible_gpus().problem
        if problem is not None:
            self._note(f"warning: {problem}")

    def _warn_of_waiting(self, plan: Plan, requests: ResourceRequests) -> None:
        """Say what would let jobs wait for ever: SLURM may take them all the same."""
        variants = {run.variant.name: run.variant for run in plan.start}
        try:
            jobs = requests.of_jobs(plan.sweep, variants.values())
            texts = obstacles(jobs)
            rules = read_qos_rules()
            for wanted in jobs:
                texts += beyond_qos(wanted, rules)
        except SchedulerError:  # sending tells it, where anything is sent
            return
        if texts:
            self._note(f"warning: {'; '.join(texts)}")
            self._note("such jobs are refused or wait for ever; `sweep doctor SPEC` says what fits")

    def _note(self, text: str) -> None:
        self._console.print(f"  {text}", highlight=False, markup=False)

    def _tick(self, queue: Queue) -> None:
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _PROGRESS_EVERY_S
            self._queue = queue
            self._follow()

    def _follow(self) -> None:
        """Move what is new into the database, and show it."""
        if self._engine is None:
            return

        # Runs go on without the database, which is only their index: one complaint is enough.
        try:
            if collect(self._root, self._engine, self._queue) is None:
                return
            status = sweep_statuses(self._engine, self._label)[0]
        except NewSchemaError as error:
            self._note(f"{error}; the runs go on, and are not shown here any more")
            self._engine = None
            return
        except StoreError as error:
            if not self._complained:
                self._note(str(error))
            self._complained = True
            return

        self._live.update(status)
        self._explain_waiting(status)
        if self._failures is not None:
            self._failures.look(status)

    def _explain_waiting(self, status: SweepStatus) -> None:
        """Say why jobs wait, each reason once."""
        news = [run for run in status.runs if run.queue_reason and run.why not in self._explained]
        self._explained |= {run.why for run in news}
        for line in reason_lines(news):
            self._note(line)


class ProgressBar:
    """Shows progress while runs run: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
        )
        self._task = self._progress.add_task("training", total=1.0, text="starting")
        self._last_line_s = float("-inf")
        self._last_done = -1

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self._progress.live.is_started:
            self._progress.stop()

    def update(self, status: SweepStatus) -> None:
        """Show where the sweep stands."""
        done = status.counts()[State.COMPLETED.value]
        share = sum(run.progress for run in status.runs) / max(1, len(status.runs))
        if self._console.is_terminal:
            self._progress.start()
            self._progress.update(self._task, completed=share, text=summary(status))
            return

        # The last line tells that all is done, however short ago the one before was.
        is_late = time.monotonic() - self._last_line_s > _LINE_EVERY_S
        is_all_done = done != self._last_done and done == len(status.runs)
        if is_late or is_all_done:
            self._last_line_s = time.monotonic()
            self._last_done = done
            self._console.print(f"  {share:4.0%}  {summary(status)}", highlight=False)
