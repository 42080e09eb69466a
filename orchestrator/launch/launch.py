"""`sweep launch`: plan, write the plan, submit or run what is missing, collect. Run again, it does only what is left."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestrator.errors import BrokenSweepError
from orchestrator.executors.inline import run_inline
from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.local import find_slots, run_local
from orchestrator.executors.worker import Job
from orchestrator.launch.cancel import cancel_runs
from orchestrator.launch.circuit_breaker import Breaker, broken
from orchestrator.launch.leftovers import settled_plan
from orchestrator.launch.options import Request, check_wait, choose_executor
from orchestrator.launch.plan import Plan, make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.requests import Asking
from orchestrator.launch.selection import Narrowing
from orchestrator.launch.send import Sent, Wish, send
from orchestrator.launch.wait import Steps, follow
from orchestrator.provenance.origin import record_code
from orchestrator.slurm import submit
from orchestrator.slurm.queue import look_at_queue
from orchestrator.store import intents
from orchestrator.store.jobs import Queue
from orchestrator.store.locks import launcher_lock
from orchestrator.store.root import Root
from orchestrator.store.state import State


@dataclass(frozen=True)
class Launch:
    """What was done.

    Attributes:
        plan: as it was before anything started.
        executor: that was used.
        sent: what went to SLURM.
        waited: the runs have ended, as far as they will; False where jobs were sent and left to themselves.
        interrupted: by which signal it stopped early, None where it did not.
        stopped: why the sweep was stopped, None where it was not.
    """

    plan: Plan
    executor: str
    sent: Sent
    waited: bool = True
    interrupted: str | None = None
    stopped: str | None = None


@dataclass(frozen=True)
class Reporter:
    """Who is told: of the plan before anything starts, of repairs, and, while runs run, of every moment and what SLURM says."""

    planned: Callable[[Plan, Asking], None]
    note: Callable[[str], None]
    tick: Callable[[Queue], None]


def launch(request: Request, root: Root, reporter: Reporter) -> Launch:
    """Bring a sweep closer to its spec.

    Raises:
        SweepError: see `make_plan`, `launcher_lock`, `send`.

    Side effects:
        Files below the root; processes or jobs. The database is the caller's.
    """
    executor = choose_executor(request.executor)
    asking = Asking(executor, request.cluster)
    check_wait(request, executor)
    narrowing = request.narrowing
    if request.rerun:
        narrowing = replace(narrowing, retry=narrowing.retry | {State.COMPLETED})
    if request.dry_run:
        plan = make_plan(request.sweep, root, narrowing, look_at_queue(root), asking)
        reporter.planned(plan, asking)
        return Launch(plan, executor, Sent())
    root.create()
    with launcher_lock(root):
        for repair in intents.recover(root, submit.cancel, submit.release):
            reporter.note(repair)
        plan = settled_plan(request.sweep, root, narrowing, asking)
        reporter.planned(plan, asking)
        if request.prune:
            reporter.note(_prune(plan, root))
        write_plan(plan, root, request.prune)
        _refuse_if_broken(plan, root, narrowing)
        record_code(root)
        if executor != "slurm":
            return _run_here(plan, root, executor, request, reporter)
        sent = send(plan, root, _wish(request, plan))
        if not request.wait:
            return Launch(plan, executor, sent, waited=False)
        followed = follow(root, _steps(request, root, reporter, asking), sent)
        return Launch(plan, executor, followed.sent, True, followed.interrupted, followed.stopped)


def _wish(request: Request, plan: Plan) -> Wish:
    avoid = frozenset(run.standing.failed_node for run in plan.start) - {""}
    return Wish(request.slots, request.rerun, request.cluster, avoid)


def _refuse_if_broken(plan: Plan, root: Root, narrowing: Narrowing) -> None:
    """Start nothing of a sweep whose first runs failed before they trained, unless they are to be tried again."""
    why = broken(plan.runs, root) if plan.start and State.FAILED not in narrowing.retry else None
    if why is not None:
        raise BrokenSweepError(why)


def _steps(request: Request, root: Root, reporter: Reporter, asking: Asking) -> Steps:
    """Return what following a sweep takes; what was asked to be tried again was, once."""
    narrowing = replace(request.narrowing, retry=frozenset())
    return Steps(
        look=lambda: look_at_queue(root),
        plan=lambda queue: make_plan(request.sweep, root, narrowing, queue, asking),
        submit=lambda plan: send(plan, root, _wish(request, plan)),
        cancel=lambda run_ids: cancel_runs(root, run_ids, look_at_queue(root)),
        tick=reporter.tick,
        note=reporter.note,
    )


def _prune(plan: Plan, root: Root) -> str:
    """Cancel runs that left the spec and that no other sweep asks for."""
    jobs = cancel_runs(root, plan.pruned, look_at_queue(root))
    return f"pruned {len(plan.pruned)} runs that left the spec, {jobs} jobs cancelled; what they computed is kept"


def _run_here(plan: Plan, root: Root, executor: str, request: Request, reporter: Reporter) -> Launch:
    run_ids = [run.run_id for run in plan.start]
    breaker = Breaker(plan.runs, root)
    with Interrupts() as interrupts:

        def tick() -> None:
            reporter.tick(Queue())
            if breaker.trips():
                interrupts.stop(str(breaker.reason))

        if executor == "inline":
            run_inline(root.path, run_ids, Job("inline", capture=False, rerun=request.rerun), interrupts, tick)
        elif run_ids:
            run_local(root.path, run_ids, Job("local", rerun=request.rerun), find_slots(request.slots), interrupts, tick)
    if breaker.reason is not None:
        return Launch(plan, executor, Sent(), stopped=breaker.reason)
    return Launch(plan, executor, Sent(), interrupted=interrupts.reason())
