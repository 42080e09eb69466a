"""Follows a sweep on SLURM to its end, as `sweep launch --wait` does.

It looks again and again, and sends what was refused or may be tried again, until nothing is left.
No job depends on it: jobs requeue themselves, and a sweep whose launcher went away is picked up by
the next launch.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestrator.errors import SchedulerError
from orchestrator.executors.interrupts import Interrupts
from orchestrator.launch.circuit_breaker import failure_of_first_runs
from orchestrator.launch.plan import Plan, PlannedRun
from orchestrator.launch.send import Sent
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root
from orchestrator.store.state import State

_SHORTEST_S = 2.0
_LONGEST_S = 60.0
_GROWTH = 1.5
_NAP_S = 0.2
_TRIES = 3


@dataclass(frozen=True)
class WaitActions:
    """Holds what the loop of `wait` can do.

    Attributes:
        look: ask SLURM about all runs.
        plan: compare the spec with the files and with what SLURM says.
        submit: send the runs to start, as far as SLURM takes them.
        stop: cancel these runs with their sweep; returns how many jobs that were.
        tick: show people how far the sweep is.
        note: show them a sentence.
    """

    look: Callable[[], Queue]
    plan: Callable[[Queue], Plan]
    submit: Callable[[Plan], Sent]
    stop: Callable[[list[str]], int]
    tick: Callable[[Queue], None]
    note: Callable[[str], None]


@dataclass(frozen=True)
class WaitResult:
    """Says how the wait for a sweep ended.

    Attributes:
        sent: what went to SLURM, before the wait too.
        interrupted: by which signal; None where it went to its end.
        stopped: why the sweep was stopped; None where it was not.
    """

    sent: Sent
    interrupted: str | None = None
    stopped: str | None = None


def wait(root: Root, actions: WaitActions, sent: Sent) -> WaitResult:
    """Follow a sweep until each of its runs has ended and none may be tried again.

    Ctrl-C ends the wait and leaves jobs alone.

    Args:
        root: where the runs are.
        actions: what can be done.
        sent: what went to SLURM already.
    """
    sender = _Sender(actions)
    pause = _Pause()
    with Interrupts() as interrupts:
        while True:
            queue = actions.look()
            actions.tick(queue)
            plan = actions.plan(queue)

            # A sweep that cannot work is stopped, with the jobs that still wait.
            failure = failure_of_first_runs(plan.runs, root)
            if failure is not None:
                actions.stop([run.run_id for run in plan.active])
                return WaitResult(sent, stopped=failure)

            # What was refused the last time, or ended and may be tried again, goes out.
            more = sender.send(plan)
            sent = sent.and_then(more)
            if not more.job_ids and not plan.active:
                return WaitResult(sent)

            pause.sleep(plan, interrupts)
            if interrupts.reason() is not None:
                return WaitResult(sent, interrupted=interrupts.reason())


class _Sender:
    """Sends what is to start, except runs whose jobs ended again and again before they began."""

    def __init__(self, actions: WaitActions) -> None:
        self._actions = actions
        self._tries: Counter[tuple[str, int]] = Counter()
        self._last_refusal: str | None = None

    def send(self, plan: Plan) -> Sent:
        """Send what is to start; a refusal is shown once, and its runs wait for the next time."""
        start = [run for run in plan.start if self._tries[_try(run)] < _TRIES]
        if not start:
            return Sent()

        sent = self._send(replace(plan, start=start))
        if sent.refusal is not None and sent.refusal != self._last_refusal:
            self._actions.note(sent.refusal)
        self._last_refusal = sent.refusal

        # A try counts where SLURM took all, and for runs that had a job before.
        if sent.for_good and not sent.run_count:
            self._tries.update({_try(run): _TRIES for run in start})
        elif sent.run_count == len(start):
            self._tries.update(_try(run) for run in start if run.standing.state != State.PLANNED)
        return sent

    def _send(self, plan: Plan) -> Sent:
        try:
            return self._actions.submit(plan)
        except SchedulerError as error:  # it does not even tell its limits
            return Sent(refusal=str(error))


def _try(run: PlannedRun) -> tuple[str, int]:
    """Return a key that stays the same until a job of the run begins."""
    return run.run_id, run.standing.attempt


class _Pause:
    """Pauses longer and longer while nothing changes, for SLURM's sake."""

    def __init__(self) -> None:
        self._seconds = _SHORTEST_S
        self._standings: list[tuple[State, int]] = []

    def sleep(self, plan: Plan, interrupts: Interrupts) -> None:
        """Sleep until the pause is over or an interrupt ends it."""
        standings = [(run.standing.state, run.standing.attempt) for run in plan.runs]
        if standings == self._standings:
            self._seconds = min(_LONGEST_S, self._seconds * _GROWTH)
        else:
            self._seconds = _SHORTEST_S
        self._standings = standings

        until = time.monotonic() + self._seconds
        while time.monotonic() < until and interrupts.reason() is None:
            time.sleep(_NAP_S)
