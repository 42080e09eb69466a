"""`sweep launch`: plan, write the plan, submit or run what is missing, collect. Run again, it does only what is left."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from orchestrator.errors import BrokenSweepError, SchedulerError, UsageError
from orchestrator.executors.inline import run_inline
from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.local import find_slots, run_local
from orchestrator.executors.worker import Job
from orchestrator.launch.cancel import cancel_runs
from orchestrator.launch.circuit_breaker import Breaker, broken
from orchestrator.launch.plan import Narrowing, Plan, PlannedRun, make_plan, write_plan
from orchestrator.launch.requests import Asking
from orchestrator.launch.send import Sent, Wish, send
from orchestrator.launch.wait import Steps, follow
from orchestrator.machine.processes import Process, is_alive
from orchestrator.provenance.origin import record_code
from orchestrator.slurm import submit
from orchestrator.slurm.commands import has_slurm, inside_job
from orchestrator.slurm.queue import look_at_queue
from orchestrator.spec import Sweep
from orchestrator.store import intents
from orchestrator.store.locks import launcher_lock
from orchestrator.store.retry import RULES
from orchestrator.store.root import Root
from orchestrator.store.standing import Queue, State

EXECUTORS = ("auto", "slurm", "local", "inline")
_LEAVING_S = 30.0


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


@dataclass(frozen=True)
class Request:
    """What is asked of one launch.

    Attributes:
        sweep: what to bring closer to its spec.
        narrowing: what this launch is limited to.
        executor: one of `EXECUTORS`.
        slots: how many runs at once; None for the executor's choice.
        cluster: whose defaults in clusters.yaml count; None for the one that SLURM names.
        rerun: train again what is done already.
        prune: cancel the jobs of what left the spec.
        dry_run: plan only.
        wait: follow the sweep to its end; None for the executor's way: slurm returns, the others wait.
    """

    sweep: Sweep
    narrowing: Narrowing
    executor: str = "auto"
    slots: int | None = None
    cluster: str | None = None
    rerun: bool = False
    prune: bool = False
    dry_run: bool = False
    wait: bool | None = None


def launch(request: Request, root: Root, reporter: Reporter) -> Launch:
    """Bring a sweep closer to its spec.

    Raises:
        SweepError: see `make_plan`, `launcher_lock`, `send`.

    Side effects:
        Files below the root; processes or jobs. The database is the caller's.
    """
    executor = choose_executor(request.executor)
    asking = Asking(executor, request.cluster)
    _check_wait(request, executor)
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
        plan = _settled_plan(request.sweep, root, narrowing, asking)
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


def choose_executor(name: str) -> str:
    """Return the executor meant by `name`; `auto` is slurm on a login node and local elsewhere, inside a job too.

    Raises:
        UsageError: no such executor.
        SchedulerError: slurm is asked for and not here.
    """
    if name not in EXECUTORS:
        raise UsageError(f"--executor {name!r} does not exist; allowed: {', '.join(EXECUTORS)}")
    if name == "auto":
        return "slurm" if has_slurm() and not inside_job() else "local"
    if name == "slurm" and not has_slurm():
        raise SchedulerError("--executor slurm: sbatch is not on this machine; use --executor local, or a login node")
    return name


def _check_wait(request: Request, executor: str) -> None:
    if executor != "slurm" and request.wait is False:
        raise UsageError(f"--no-wait: {executor} runs end with their launcher; use --executor slurm, or leave it out")
    if executor == "slurm" and request.wait and request.rerun:
        raise UsageError("--wait does not go with --rerun: runs have a result all the time; follow them with `sweep status`")


def _settled_plan(sweep: Sweep, root: Root, narrowing: Narrowing, asking: Asking) -> Plan:
    """Plan; where runs of a launcher that died on this machine are just leaving, wait for their checkpoints first."""
    deadline_s = time.monotonic() + _LEAVING_S
    while True:
        plan = make_plan(sweep, root, narrowing, look_at_queue(root), asking)
        if not any(_is_leaving(root, run) for run in plan.active):
            return plan
        if time.monotonic() > deadline_s:
            return _overtake(plan, root)
        time.sleep(0.2)


def _is_leaving(root: Root, run: PlannedRun) -> bool:
    """Tell whether a local process runs it: we hold the launcher's lock, so its launcher is dead and it will stop."""
    from byol_core.files import read_json

    attempts = root.run(run.run_id).attempts()
    claim = read_json(attempts[-1].claim) if attempts else None
    return claim is not None and claim["job"]["executor"] != "slurm" and is_alive(Process(**claim["process"])) is True


def _overtake(plan: Plan, root: Root) -> Plan:
    """Start anew what did not leave in time: the new attempt fences the old one off."""
    stuck = [run for run in plan.active if _is_leaving(root, run)]
    active = [run for run in plan.active if run not in stuck]
    return replace(plan, start=[*plan.start, *stuck], active=active)


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


def parse_retry(text: str) -> frozenset[State]:
    """Return the states of `--retry failed,oom`.

    Raises:
        UsageError: a word is no state that can be retried.
    """
    allowed = {state.value.lower(): state for state in RULES}
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in allowed:
            raise UsageError(f"--retry {word!r} is no state to retry; allowed: {', '.join(sorted(allowed))}")
    return frozenset(allowed[word] for word in words)
