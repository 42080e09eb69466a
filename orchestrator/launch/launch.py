"""Carries out `sweep launch`: plan, write the plan, submit or run what is missing.

Run again, it does only what is left.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from orchestrator.errors import BrokenSweepError, SchedulerError
from orchestrator.executors.inline import run_inline
from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.local import find_slots, run_local
from orchestrator.executors.worker import AttemptContext
from orchestrator.launch.cancel import cancel_runs
from orchestrator.launch.circuit_breaker import (
    FIRST_RUNS_FAILED,
    CircuitBreaker,
    failure_of_first_runs,
)
from orchestrator.launch.doubtful_logs import refuse_doubles
from orchestrator.launch.leftovers import settled_plan
from orchestrator.launch.options import LaunchOptions, check_path, check_wait, choose_executor
from orchestrator.launch.plan import Plan, make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.requests import ResourceRequests
from orchestrator.launch.selection import Selection
from orchestrator.launch.send import SendOptions, Sent, send
from orchestrator.launch.wait import WaitActions, wait
from orchestrator.provenance.origin import record_code
from orchestrator.provenance.snapshot import take_plugins, take_snapshot
from orchestrator.slurm import submit
from orchestrator.slurm.listing import words
from orchestrator.slurm.queue import look_at_queue
from orchestrator.store import intents
from orchestrator.store.annotations import Kind, annotate, is_forgotten
from orchestrator.store.jobs import Queue
from orchestrator.store.locks import launcher_lock
from orchestrator.store.root import Root
from orchestrator.store.state import State
from orchestrator.text import counted


@dataclass(frozen=True, repr=False)
class LaunchResult:
    """Says what a launch has done.

    Attributes:
        plan: as it was before anything started.
        executor: that was used.
        sent: what went to SLURM.
        waited: the runs have ended, as far as they will; False where jobs were sent and left to
            themselves.
        interrupted: by which signal it stopped early, None where it did not.
        stopped: why the sweep was stopped, None where it was not.
    """

    plan: Plan
    executor: str
    sent: Sent
    waited: bool = True
    interrupted: str | None = None
    stopped: str | None = None

    def __repr__(self) -> str:
        """Return what came of it in a few words, as for the last line of a notebook's cell."""
        ended = self.stopped or self.interrupted or ("waited" if self.waited else "sent")
        return f"LaunchResult({self.plan!r}, executor={self.executor!r}, {ended})"


@dataclass(frozen=True)
class Reporter:
    """Holds the functions that a launch reports to.

    Attributes:
        planned: called with the plan before anything starts.
        note: called with a sentence, such as one about a repair.
        tick: called again and again while runs run, with what SLURM says.
    """

    planned: Callable[[Plan, ResourceRequests], None]
    note: Callable[[str], None]
    tick: Callable[[Queue], None]


def launch(options: LaunchOptions, root: Root, reporter: Reporter) -> LaunchResult:
    """Bring a sweep closer to its spec.

    Raises:
        SweepError: see `make_plan`, `launcher_lock`, `send`.

    Side effects:
        Files below the root; processes or jobs. The database is the caller's.
    """
    # Options that contradict each other or this machine are refused before anything is read.
    executor = choose_executor(options.executor)
    check_wait(options, executor)
    check_path(root.path, executor)
    requests = ResourceRequests(executor, options.cluster)
    selection = options.selection
    if options.rerun:
        selection = replace(selection, retry=selection.retry | {State.COMPLETED})

    # A dry run stops here: it takes no lock and writes nothing.
    if options.dry_run:
        plan = make_plan(options.sweep, root, selection, look_at_queue(root), requests)
        reporter.planned(plan, requests)
        try:
            _ask_slurm(plan, requests)
        except SchedulerError as error:
            reporter.note(f"a launch would send nothing now: {error}")
        return LaunchResult(plan, executor, Sent())

    root.create()
    queue_note = _waits_for(reporter) if options.queue else None
    with launcher_lock(root, queue_note):
        # What an earlier launcher left half done is mended first: the plan depends on it.
        for repair in intents.recover(root, submit.cancel, submit.release, words):
            reporter.note(repair)
        plan = settled_plan(options.sweep, root, selection, requests)
        reporter.planned(plan, requests)

        # Where SLURM is silent, the sweep stays as the launch before has planned it.
        _ask_slurm(plan, requests)

        # The plan is on the disk before anything starts, so that each run is known.
        if options.prune:
            reporter.note(_prune(plan, root))
        write_plan(plan, root, options.prune)
        folder = root.sweep(plan.sweep.label).path
        if is_forgotten(folder):
            annotate(folder, Kind.REMEMBER, "launched again")
            reporter.note(f"{plan.sweep.label} was forgotten; it is back")
        _refuse_if_broken(plan, root, selection)
        refuse_doubles(plan, root, executor)
        record_code(root)
        for plugins in plan.plugins:
            take_plugins(root, plugins)

        if executor != "slurm":
            return _run_here(plan, root, executor, options, reporter)
        return _run_on_slurm(plan, root, options, reporter, requests)


def _waits_for(reporter: Reporter) -> Callable[[str], None]:
    """Return what says that a launch waits for another one."""
    return lambda holder: reporter.note(f"waits for the launcher of this root: {holder}")


def _ask_slurm(plan: Plan, requests: ResourceRequests) -> None:
    """Ask SLURM what it takes to send the runs of a plan, where they are to go there.

    Raises:
        SchedulerError: it does not answer.
        SpecError: clusters.yaml is not valid, or contradicts the spec.
    """
    if requests.executor == "slurm" and plan.start:
        variants = {run.variant.name: run.variant for run in plan.start}
        requests.of_jobs(plan.sweep, variants.values())


def _prune(plan: Plan, root: Root) -> str:
    """Cancel runs that left the spec and that no other sweep asks for."""
    queue = look_at_queue(root)
    jobs = cancel_runs(root, plan.to_cancel, queue, "it left the spec: `sweep launch --prune`")
    return (
        f"pruned {counted(len(plan.to_cancel), 'run')} that left the spec, "
        f"{counted(jobs, 'job')} cancelled; "
        "what they computed is kept"
    )


def _refuse_if_broken(plan: Plan, root: Root, selection: Selection) -> None:
    """Start nothing more of a sweep whose first runs failed before they trained.

    Raises:
        BrokenSweepError: they did, and are not to be tried again.
    """
    if not plan.start or State.FAILED in selection.retry:
        return
    failure = failure_of_first_runs(plan.runs, root)
    if failure is not None:
        raise BrokenSweepError(failure)


def _run_on_slurm(
    plan: Plan,
    root: Root,
    options: LaunchOptions,
    reporter: Reporter,
    requests: ResourceRequests,
) -> LaunchResult:
    """Send runs to SLURM, and follow them where that is asked for."""
    for note in _notes_on_queued(plan, root, options, requests):
        reporter.note(note)
    sent = send(plan, root, _send_options(options, plan))
    if not options.wait:
        return LaunchResult(plan, "slurm", sent, waited=False)

    actions = _wait_actions(options, root, reporter, requests)
    result = wait(root, actions, sent)
    return LaunchResult(
        plan, "slurm", result.sent, interrupted=result.interrupted, stopped=result.stopped
    )


def _notes_on_queued(
    plan: Plan, root: Root, options: LaunchOptions, requests: ResourceRequests
) -> Iterator[str]:
    """Yield what does not hold for runs that were submitted before, though one may think so."""
    queued = [run for run in plan.active if run.standing.state == State.SUBMITTED]
    if not queued:
        return
    way_out = (
        f"to change that, `sweep cancel {plan.sweep.label}`, then launch with --retry cancelled"
    )
    if options.slots:
        runs = counted(len(queued), "queued run")
        yield (
            f"--slots {options.slots} counts for what goes out now; {runs} keep the limit of their "
            f"submission: {way_out}"
        )

    # What an older version submitted says not what it asked for.
    requested = intents.asked_by_run(root)
    changed = [
        run
        for run in queued
        if requested.get(run.run_id) not in (None, requests.for_variant(plan.sweep, run.variant))
    ]
    if changed:
        runs = counted(len(changed), "queued run")
        yield f"{runs} keep the resources that they were submitted with: {way_out}"


def _send_options(options: LaunchOptions, plan: Plan) -> SendOptions:
    avoid = frozenset(run.standing.failed_node for run in plan.start) - {""}
    return SendOptions(options.slots, options.rerun, options.cluster, avoid)


def _wait_actions(
    options: LaunchOptions, root: Root, reporter: Reporter, requests: ResourceRequests
) -> WaitActions:
    """Return what following a sweep takes."""
    # What --retry names was tried again by the first plan; once is enough.
    selection = replace(options.selection, retry=frozenset())
    return WaitActions(
        look=lambda: look_at_queue(root),
        plan=lambda queue: make_plan(options.sweep, root, selection, queue, requests),
        submit=lambda plan: send(plan, root, _send_options(options, plan)),
        stop=lambda run_ids: cancel_runs(root, run_ids, look_at_queue(root), FIRST_RUNS_FAILED),
        tick=reporter.tick,
        note=reporter.note,
    )


def _run_here(
    plan: Plan, root: Root, executor: str, options: LaunchOptions, reporter: Reporter
) -> LaunchResult:
    """Run what is to start on this machine, until it has ended or something stops it."""
    run_ids = [run.run_id for run in plan.start]
    breaker = CircuitBreaker(plan.runs, root)
    with Interrupts() as interrupts:
        was_told = False

        def tick() -> None:
            nonlocal was_told
            if interrupts.reason() is not None and not was_told:
                was_told = True
                reporter.note("stopping behind a checkpoint; Ctrl-C again does not wait for it")
            if breaker.is_open():
                interrupts.stop(str(breaker.reason))

        def show() -> None:
            reporter.tick(Queue())

        def tick_and_show() -> None:
            tick()
            show()

        # Inline output stays on the terminal: that is what a debugger needs.
        if executor == "inline":
            context = AttemptContext("inline", capture=False, rerun=options.rerun)
            run_inline(root.path, run_ids, context, interrupts, tick_and_show)
        elif run_ids:
            code = take_snapshot(root)
            context = AttemptContext("local", rerun=options.rerun, code=code.name)
            slots = find_slots(options.slots)
            run_local(root.path, run_ids, context, slots, interrupts, tick, code, show)

    if breaker.reason is not None:
        return LaunchResult(plan, executor, Sent(), stopped=breaker.reason)
    return LaunchResult(plan, executor, Sent(), interrupted=interrupts.reason())
