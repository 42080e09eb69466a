"""`sweep cancel`: runs that nobody is to work on any more, until a launch asks for them again.

A file in the run's folder says so. No worker begins such a run, one that works on it stops behind a
checkpoint, and its jobs are cancelled. This takes no lock: it works while a launcher waits, and on
runs that are still to be submitted.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from byol_core.config import nearest
from byol_core.files import read_json, to_json, write_many
from orchestrator.errors import UsageError
from orchestrator.slurm import submit
from orchestrator.store import intents
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State

_OVER = frozenset({State.COMPLETED, State.FAILED, State.OOM, State.CANCELLED})


@dataclass(frozen=True)
class Choice:
    """What is to be cancelled; empty for all.

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
    """A run as one variant of one sweep asks for it."""

    sweep: str
    variant: str
    run_id: str

    def is_of(self, choice: Choice) -> bool:
        chosen = (
            (self.sweep, choice.sweeps),
            (self.variant, choice.variants),
            (self.run_id, choice.run_ids),
        )
        return all(value in names for value, names in chosen if names)


@dataclass(frozen=True)
class Found:
    """What a choice comes to.

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


def find(root: Root, choice: Choice, queue: Queue) -> Found:
    """Sort out which runs of a choice are to be cancelled.

    Raises:
        UsageError: nothing is chosen, or a sweep or variant is not there.
    """
    if not (choice.sweeps or choice.variants or choice.run_ids):
        raise UsageError(
            "cancel needs a sweep, --only VARIANT or --run RUN; `sweep status` lists the sweeps"
        )
    all_ = _all_wanted(root)
    _check_names("no sweep", choice.sweeps, {one.sweep for one in all_})
    _check_names("no variant", choice.variants, {one.variant for one in all_})
    chosen = list(dict.fromkeys(one.run_id for one in all_ if one.is_of(choice)))
    over = {run_id for run_id in chosen if _is_over(root, run_id, queue)}
    others = [one for one in all_ if not one.is_of(choice) and one.run_id not in over]
    spared = {one.run_id for one in others} & set(chosen)
    return Found(
        [run_id for run_id in chosen if run_id not in over | spared],
        sorted(spared),
        sorted({one.sweep for one in others if one.run_id in spared}),
        sorted(over),
    )


def cancel_runs(root: Root, run_ids: Collection[str], queue: Queue) -> int:
    """Cancel runs, and the jobs that have nothing else to do.

    Returns:
        How many jobs.

    Raises:
        SchedulerError: SLURM did not take it; no job begins these runs all the same.
    """
    note = to_json({"cancelled_at": time.time()})
    write_many({root.run(run_id).cancelled: note for run_id in run_ids})
    active = queue.live.keys() | queue.unknown.keys()
    jobs = {
        run_id: job_id for run_id, job_id in intents.newest_jobs(root).items() if run_id in active
    }
    needed = {job_id for run_id, job_id in jobs.items() if _is_wanted(root, run_id, queue)}
    idle = {jobs[run_id] for run_id in run_ids if run_id in jobs} - needed
    submit.cancel_jobs(idle)
    return len(idle)


def _is_wanted(root: Root, run_id: str, queue: Queue) -> bool:
    return not root.run(run_id).cancelled.exists() and not _is_over(root, run_id, queue)


def _is_over(root: Root, run_id: str, queue: Queue) -> bool:
    return standing(root.run(run_id), queue).state in _OVER


def _all_wanted(root: Root) -> list[_Wanted]:
    plans = [read_json(sweep.plan) or {"label": "", "runs": []} for sweep in root.sweeps()]
    return [
        _Wanted(plan["label"], run["variant"], run["run_id"])
        for plan in plans
        for run in plan["runs"]
    ]


def _check_names(what: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(
                f"{what} is called {name!r}; {nearest(name, known) if known else 'there is none yet'}"
            )
