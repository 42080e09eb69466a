"""Carries out `sweep cancel`: nobody works on these runs until a launch asks for them again.

A file in the run's folder says so. No worker begins such a run, one that works on it stops behind a
checkpoint, and its jobs are cancelled. This takes no lock: it works while a launcher waits, and on
runs that are still to be submitted.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from byol_core.config import nearest
from byol_core.files import DamagedFileError, is_there, to_json, write_many
from orchestrator.errors import UsageError
from orchestrator.slurm import submit
from orchestrator.slurm.queue import lingering_jobs
from orchestrator.store import intents
from orchestrator.store.annotations import is_forgotten
from orchestrator.store.jobs import Queue
from orchestrator.store.names import labels_of
from orchestrator.store.root import Root, SweepFolder
from orchestrator.store.standing import CANCELLED_BY_HAND, standing
from orchestrator.store.state import ACTIVE, State
from orchestrator.text import counted

_OVER = frozenset({State.COMPLETED, State.FAILED, State.OOM, State.CANCELLED})


@dataclass(frozen=True)
class Choice:
    """Says which runs are to be cancelled; an empty part of it means all.

    Attributes:
        sweeps: of these sweeps only.
        variants: of these variants only.
        run_ids: of these runs only.
    """

    sweeps: Sequence[str] = ()
    variants: Sequence[str] = ()
    run_ids: Sequence[str] = ()


@dataclass(frozen=True)
class _Wanted:
    """Says that one variant of one sweep asks for a run."""

    sweep: str
    variant: str
    run_id: str

    def is_of(self, choice: Choice) -> bool:
        return (
            (not choice.sweeps or self.sweep in choice.sweeps)
            and (not choice.variants or self.variant in choice.variants)
            and (not choice.run_ids or self.run_id in choice.run_ids)
        )


@dataclass(frozen=True)
class ChosenRuns:
    """Holds the runs that a choice comes to.

    Attributes:
        run_ids: to be cancelled.
        spared: chosen, but another sweep or variant asks for them too.
        wanted_by: the sweeps that do.
        over: chosen, but they have ended already.
    """

    run_ids: list[str]
    spared: list[str]
    wanted_by: list[str]
    over: list[str]


def find(root: Root, choice: Choice, queue: Queue) -> ChosenRuns:
    """Return which runs of a choice are to be cancelled, and which are left.

    Raises:
        UsageError: nothing is chosen, or a sweep or variant is not there.
    """
    if not (choice.sweeps or choice.variants or choice.run_ids):
        raise UsageError(
            "cancel needs a sweep, --only VARIANT or --run RUN; `sweep status` lists the sweeps"
        )
    _refuse_forgotten(root, choice.sweeps)
    wanted = _all_wanted(root)
    left = list(_all_left(root, wanted))
    known = [*wanted, *left]
    labels = {run.sweep for run in known}
    named = [label for name in choice.sweeps for label in labels_of(name, labels) or [name]]
    choice = replace(choice, sweeps=named)
    _check_names("no sweep", choice.sweeps, labels)
    _check_names("no variant", choice.variants, {run.variant for run in known} - {""})

    # Of what left a spec, only what still has a job or a process is anybody's concern.
    active = [run for run in left if run.is_of(choice) and _is_active(root, run.run_id, queue)]
    asked_for = [run for run in wanted if run.is_of(choice)]
    chosen = list(dict.fromkeys(run.run_id for run in [*asked_for, *active]))
    over = {run_id for run_id in chosen if _is_over(root, run_id, queue)}

    # A run that another sweep or variant asks for too is spared.
    others = [run for run in wanted if not run.is_of(choice) and run.run_id not in over]
    spared = {run.run_id for run in others} & set(chosen)
    return ChosenRuns(
        run_ids=[run_id for run_id in chosen if run_id not in over | spared],
        spared=sorted(spared),
        wanted_by=sorted({run.sweep for run in others if run.run_id in spared}),
        over=sorted(over),
    )


def check_idle(root: Root, label: str, queue: Queue) -> None:
    """Check that nobody works, or is about to, on runs that a sweep alone asks for.

    Raises:
        UsageError: somebody does.
    """
    chosen = find(root, Choice(sweeps=[label]), queue)
    active = [run_id for run_id in chosen.run_ids if _is_active(root, run_id, queue)]
    if active:
        raise UsageError(
            f"{label} has {counted(len(active), 'run')} queued or running; "
            f"wait for them, or end them first: sweep cancel {label}"
        )


def cancel_runs(
    root: Root, run_ids: Collection[str], queue: Queue, because: str = CANCELLED_BY_HAND
) -> int:
    """Cancel runs, and the jobs that have nothing else to do; `because` becomes their reason.

    Returns:
        How many jobs.

    Raises:
        SchedulerError: SLURM did not take it; no job begins these runs all the same.
    """
    # From here on no worker begins these runs, whatever becomes of their jobs.
    note = to_json({"cancelled_at": time.time(), "because": because})
    write_many({root.run(run_id).cancelled: note for run_id in run_ids})

    # A job goes only when none of its runs is wanted any more.
    active = queue.live.keys() | queue.unknown.keys()
    newest_jobs = intents.newest_jobs(root)
    jobs = {run_id: job_id for run_id, job_id in newest_jobs.items() if run_id in active}
    needed = {job_id for run_id, job_id in jobs.items() if _is_wanted(root, run_id, queue)}
    idle = {jobs[run_id] for run_id in run_ids if run_id in jobs} - needed
    submit.cancel_jobs(idle)
    return len(idle)


def end_lingering(root: Root, run_ids: Collection[str]) -> int:
    """Cancel the jobs that hold a node although each of their runs is done; return how many.

    Raises:
        SchedulerError: SLURM did not take it.
    """
    jobs = lingering_jobs(root, run_ids)
    submit.cancel_jobs(jobs)
    return len(jobs)


def _is_wanted(root: Root, run_id: str, queue: Queue) -> bool:
    return not is_there(root.run(run_id).cancelled) and not _is_over(root, run_id, queue)


def _is_over(root: Root, run_id: str, queue: Queue) -> bool:
    return standing(root.run(run_id), queue).state in _OVER


def _is_active(root: Root, run_id: str, queue: Queue) -> bool:
    return standing(root.run(run_id), queue).state in ACTIVE


def _all_wanted(root: Root) -> list[_Wanted]:
    wanted = []
    for sweep in _remembered(root):
        plan = _plan_of(sweep)
        if plan is not None:
            runs = plan["runs"]
            wanted += [_Wanted(plan["label"], run["variant"], run["run_id"]) for run in runs]
    return wanted


def _all_left(root: Root, wanted: Collection[_Wanted]) -> Iterator[_Wanted]:
    """Yield what sweeps asked for once: what left their spec, and what they ever submitted."""
    asked_now = {(run.sweep, run.run_id) for run in wanted}
    for sweep in _remembered(root):
        plan = _plan_of(sweep) or {}
        label = sweep.path.name
        variants = {run["run_id"]: run["variant"] for run in plan.get("left", [])}
        submitted = dict.fromkeys(intents.runs_of(sweep), "")
        for run_id, variant in (submitted | variants).items():
            if (label, run_id) not in asked_now:
                yield _Wanted(label, variant, run_id)


def _remembered(root: Root) -> list[SweepFolder]:
    """Return the sweeps that ask for runs: not those that people forgot."""
    return [sweep for sweep in root.sweeps() if not is_forgotten(sweep.path)]


def _refuse_forgotten(root: Root, names: Sequence[str]) -> None:
    """Refuse sweeps that ask for nothing any more.

    Raises:
        UsageError: a sweep is forgotten.
    """
    for name in names:
        if is_forgotten(root.sweep(name).path):
            raise UsageError(
                f"sweep {name!r} is forgotten, so it asks for no run; "
                f"to have it back: sweep forget --undo {name}"
            )


def _plan_of(sweep: SweepFolder) -> dict[str, Any] | None:
    """Return a sweep's plan; a damaged one is as good as none, and `sweep status` names it."""
    try:
        return sweep.read_plan()
    except DamagedFileError:
        return None


def _check_names(what: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if not known:
            raise UsageError(f"{what} is called {name!r}; there is none yet")
        if name not in known:
            raise UsageError(f"{what} is called {name!r}; {nearest(name, known)}")
