"""Sends a plan's runs to SLURM: as jobs, in arrays no larger than the cluster takes.

There is one array per kind of resources and per MaxArraySize jobs; each is a submission of its own
in the intent log. Jobs keep the plan's order, so that what limits hold back is the end of the
sweep. Where `slots` limits how many run at once, arrays start one after the other, so that the
limit holds over all of them.
"""

import itertools
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.errors import SchedulerError, SchedulerSilentError
from orchestrator.executors.slurm_job import work
from orchestrator.launch.doubtful_logs import refuse_doubles
from orchestrator.launch.plan import Plan
from orchestrator.launch.requests import request_of
from orchestrator.provenance.snapshot import take_snapshot
from orchestrator.slurm import submit
from orchestrator.slurm.limits import Charge, Room, ask_controller, ask_room
from orchestrator.slurm.listing import words
from orchestrator.slurm.nodes import without
from orchestrator.slurm.refusals import advice
from orchestrator.slurm.submit import Array
from orchestrator.spec import Resources, resources_of
from orchestrator.spec.clusters import cluster_defaults
from orchestrator.store import intents
from orchestrator.store.root import Root

_AGAIN = "what did not go out stays planned: run the same launch again"


@dataclass(frozen=True)
class SendOptions:
    """Says how runs are to be sent.

    Attributes:
        slots: how many runs at once; None for no limit.
        rerun: train again what is done already.
        cluster: whose defaults count; None for the one that SLURM names.
        avoid: nodes that took runs down with them.
    """

    slots: int | None = None
    rerun: bool = False
    cluster: str | None = None
    avoid: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sent:
    """Says what came of sending runs.

    Attributes:
        job_ids: of jobs that SLURM has.
        run_count: how many runs these jobs make.
        held_back: runs that limits leave for a later launch.
        limit: which limit, in words.
        refusal: why SLURM did not take the rest, and what to do about it; None where it took all
            that it was given.
        for_good: the refusal would come again, so it is of no use to send the same once more.
    """

    job_ids: list[str] = field(default_factory=list)
    run_count: int = 0
    held_back: int = 0
    limit: str | None = None
    refusal: str | None = None
    for_good: bool = False

    def and_then(self, later: "Sent") -> "Sent":
        """Return both together; what was held back or refused counts as it was in the later one."""
        return replace(
            later,
            job_ids=self.job_ids + later.job_ids,
            run_count=self.run_count + later.run_count,
        )


@dataclass
class _Bundle:
    """Holds the runs of one job, and what it asks for; jobs of one `kind` ask for the same."""

    kind: str
    resources: Resources
    run_ids: list[str] = field(default_factory=list)

    def is_full(self) -> bool:
        return len(self.run_ids) == self.resources.runs_per_job


def send(plan: Plan, root: Root, options: SendOptions) -> Sent:
    """Submit the runs that a plan starts, as far as the cluster takes them.

    Call it under the launcher lock. Where SLURM refuses an array, the result holds the jobs of the
    arrays before it and the refusal.

    Raises:
        SpecError: clusters.yaml is not valid, or contradicts the spec.
        UsageError: the cluster that is asked for is not described.
        SchedulerError: SLURM does not tell its limits.
        StoreError: see `refuse_doubles`.
    """
    if not plan.start:
        return Sent()

    # A log may have been damaged while this launch waits.
    refuse_doubles(plan, root, "slurm")

    # Runs become jobs, and limits of the cluster or the account hold back the last of them.
    controller = ask_controller()
    cluster = cluster_defaults(controller.cluster, options.cluster)
    bundles = _bundles(plan, cluster, without(options.avoid))
    fitting, limit = _fitting(bundles, ask_room(controller, cluster.max_jobs))
    held_back = sum(len(bundle.run_ids) for bundle in bundles[len(fitting) :])

    # Each launch has a name of its own: of its log, its folder and its jobs.
    launcher = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(4)
    folder = root.sweep(plan.sweep.label).launches / launcher
    arrays = _arrays(fitting, launcher, options.slots, controller.array_size, take_snapshot(root))

    sent = Sent()
    refused: list[Sent] = []
    for sent_array in _send_arrays(arrays, folder, root, options):
        sent = sent.and_then(sent_array)
        if sent_array.refusal is not None:
            refused.append(sent_array)
    if refused:
        texts = dict.fromkeys(str(array.refusal) for array in refused)
        for_good = all(array.for_good for array in refused)
        sent = replace(sent, refusal="; ".join(texts), for_good=for_good)
    return replace(sent, held_back=held_back, limit=limit)


def _bundles(plan: Plan, defaults: Resources, avoid: Sequence[str]) -> list[_Bundle]:
    """Fill jobs with runs of equal resources, in the plan's order."""
    resources = {
        run.variant.name: _away_from(avoid, resources_of(plan.sweep, run.variant, defaults))
        for run in plan.start
    }
    kinds = {name: resources[name].model_dump_json() for name in resources}

    # A run goes into the last job of its kind, or opens a new one where that is full.
    bundles: list[_Bundle] = []
    last_of_kind: dict[str, _Bundle] = {}
    for run in plan.start:
        kind = kinds[run.variant.name]
        if kind not in last_of_kind or last_of_kind[kind].is_full():
            last_of_kind[kind] = _Bundle(kind, resources[run.variant.name])
            bundles.append(last_of_kind[kind])
        last_of_kind[kind].run_ids.append(run.run_id)
    return bundles


def _away_from(nodes: Sequence[str], resources: Resources) -> Resources:
    """Return resources that exclude these nodes too."""
    if not nodes:
        return resources
    excluded = list(nodes)
    if resources.exclude:
        excluded.insert(0, resources.exclude)
    return resources.model_copy(update={"exclude": ",".join(excluded)})


def _fitting(bundles: Sequence[_Bundle], room: Room) -> tuple[Sequence[_Bundle], str | None]:
    """Return the first jobs, as many as there is room for, and what limits them."""
    for count, bundle in enumerate(bundles):
        resources = bundle.resources
        limit = room.take(Charge(resources.account, resources.qos, resources.partition))
        if limit is not None:
            return bundles[:count], limit
    return bundles, None


def _arrays(
    bundles: Iterable[_Bundle], launcher: str, slots: int | None, size: int, code: Path
) -> Iterator[Array]:
    """Sort jobs into arrays of one kind, none larger than `size`."""
    of_kind: dict[str, list[_Bundle]] = {}
    for bundle in bundles:
        of_kind.setdefault(bundle.kind, []).append(bundle)

    numbers = itertools.count()
    for alike in of_kind.values():
        resources = alike[0].resources
        parallel = None
        if slots:  # they count runs, and an array is limited in jobs
            parallel = max(1, slots // resources.side_by_side)
        for start in range(0, len(alike), size):
            key = f"sweep-{launcher}-{next(numbers)}"
            run_ids = [bundle.run_ids for bundle in alike[start : start + size]]
            yield Array(key, run_ids, resources, parallel, code=code)


def _send_arrays(
    arrays: Iterable[Array], folder: Path, root: Root, options: SendOptions
) -> Iterator[Sent]:
    """Submit arrays one by one; yield what came of each.

    After a refusal for good, arrays that ask for something else still go out; after any other, none.
    """
    before: str | None = None
    refused: list[Resources] = []
    for array in arrays:
        if array.resources in refused:
            continue
        sent = _send_array(replace(array, after=before), folder, root, options.rerun)
        yield sent
        if sent.for_good:
            refused.append(array.resources)
        elif sent.refusal is not None:
            return
        elif options.slots:  # arrays that ran at once would each have as many
            before = sent.job_ids[0].partition("_")[0]


def _send_array(array: Array, folder: Path, root: Root, rerun: bool) -> Sent:
    """Submit one array, held, with its intent in the log; then let it start."""
    log_file = folder.with_suffix(".jsonl")
    bundles = [list(bundle) for bundle in array.bundles]
    resources = array.resources

    request = request_of(resources)

    def submit_held() -> list[str]:
        place = (str(root.path), bundles, resources.side_by_side, rerun, request)
        return submit.submit_held(folder, array, work, *place)

    try:
        job_ids = intents.submit(
            root, log_file, array.key, bundles, request, submit_held, submit.cancel
        )
    except SchedulerError as error:
        return _refused(error, resources)

    # From here on SLURM has the jobs, also where it does not let them start.
    sent = Sent(job_ids, sum(map(len, bundles)))
    try:
        intents.release(log_file, array.key, job_ids, submit.release)
    except SchedulerSilentError as error:
        return replace(sent, refusal=f"{error}; {_AGAIN}")
    except SchedulerError as error:
        return _taken_back(sent, error, log_file, array)
    return sent


def _refused(error: SchedulerError, resources: Resources) -> Sent:
    """Return a refusal with what mends it."""
    mend = None
    if not isinstance(error, SchedulerSilentError):
        mend = advice(str(error), resources)
    next_step = _AGAIN
    if mend is not None:
        next_step = f"{mend}; then run the launch again: what did not go out stays planned"
    return Sent(refusal=f"{error}; {next_step}", for_good=mend is not None)


def _taken_back(sent: Sent, error: SchedulerError, log_file: Path, array: Array) -> Sent:
    """Return what is left of an array that SLURM took and refuses to let start."""
    try:
        done = intents.give_up(log_file, array.key, submit.cancel, words)
    except SchedulerError as silence:
        return replace(sent, refusal=f"{error}; {silence}; {_AGAIN}")
    if done is None:
        return replace(sent, refusal=f"{error}; {_AGAIN}")
    return _refused(error, array.resources)
