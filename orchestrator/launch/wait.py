"""`sweep launch --wait` on SLURM: look again and again, send what was refused or may be tried
again, until nothing is left.

No job hangs on it: jobs requeue themselves, and a sweep whose launcher went away is picked up by
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

_SHORTEST_S, _LONGEST_S, _GROWTH = 2.0, 60.0, 1.5
_NAP_S = 0.2
_TRIES = 3


@dataclass(frozen=True)
class WaitActions:
    """What the loop can do.

    Attributes:
        look: ask SLURM about all runs.
        plan: compare the spec with the files and with what SLURM says.
        submit: send the runs to start, as far as SLURM takes them.
        cancel: cancel these runs; tells how many jobs that were.
        tick: tell people how far it is.
        note: tell them something.
    """

    look: Callable[[], Queue]
    plan: Callable[[Queue], Plan]
    submit: Callable[[Plan], Sent]
    cancel: Callable[[list[str]], int]
    tick: Callable[[Queue], None]
    note: Callable[[str], None]


@dataclass
class WaitResult:
    """How it ended.

    Attributes:
        sent: what went to SLURM, from the first.
        interrupted: by which signal; None where it went to its end.
        stopped: why the sweep was stopped; None where it was not.
    """

    sent: Sent
    interrupted: str | None = None
    stopped: str | None = None


def wait(root: Root, actions: WaitActions, sent: Sent) -> WaitResult:
    """Follow a sweep until each of its runs has ended and none may be tried again, or until Ctrl-C,
    which leaves jobs alone.

    Args:
        root: where the runs are.
        actions: what can be done.
        sent: what went to SLURM already.
    """
    done, sender, pause = WaitResult(sent), _Sender(actions), _Pause()
    with Interrupts() as interrupts:
        while True:
            queue = actions.look()
            actions.tick(queue)
            plan = actions.plan(queue)
            done.stopped = failure_of_first_runs(plan.runs, root)
            if done.stopped is not None:
                actions.cancel([run.run_id for run in plan.active])
                return done
            more = sender.send(plan)
            done.sent = done.sent.and_then(more)
            if not more.job_ids and not plan.active:
                return done
            pause.sleep(plan, interrupts)
            if interrupts.reason() is not None:
                done.interrupted = interrupts.reason()
                return done


class _Sender:
    """Sends what is to start. A run that comes back again and again without ever having begun is
    given up.
    """

    def __init__(self, actions: WaitActions) -> None:
        self._actions = actions
        self._tries: Counter[tuple[str, int]] = Counter()
        self._said: str | None = None

    def send(self, plan: Plan) -> Sent:
        """Send, and say once what SLURM refuses; that waits for the next time."""
        start = [run for run in plan.start if self._tries[_try(run)] < _TRIES]
        if not start:
            return Sent()
        sent = self._send(replace(plan, start=start))
        if sent.refusal is not None and sent.refusal != self._said:
            self._actions.note(sent.refusal)
        self._said = sent.refusal
        if sent.run_count == len(start):
            self._tries.update(_try(run) for run in start if run.standing.state != State.PLANNED)
        return sent

    def _send(self, plan: Plan) -> Sent:
        try:
            return self._actions.submit(plan)
        except SchedulerError as error:  # it does not even tell its limits
            return Sent(refusal=str(error))


def _try(run: PlannedRun) -> tuple[str, int]:
    return run.run_id, run.standing.attempt


class _Pause:
    """Longer and longer while nothing changes, for SLURM's sake."""

    def __init__(self) -> None:
        self._seconds = _SHORTEST_S
        self._seen: list[object] = []

    def sleep(self, plan: Plan, interrupts: Interrupts) -> None:
        """Wait; an interrupt ends it."""
        seen = [(run.standing.state, run.standing.attempt) for run in plan.runs]
        self._seconds = (
            _SHORTEST_S if seen != self._seen else min(_LONGEST_S, self._seconds * _GROWTH)
        )
        self._seen = [*seen]
        until = time.monotonic() + self._seconds
        while time.monotonic() < until and interrupts.reason() is None:
            time.sleep(_NAP_S)
