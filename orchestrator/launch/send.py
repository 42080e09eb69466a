"""A plan's runs on their way to SLURM: bundled into jobs, jobs into arrays, arrays cut to what the
cluster takes.

One array per kind of resources and per MaxArraySize jobs; each is a submission of its own in the
intent log. Jobs keep the plan's order, so that what limits hold back is the end of the sweep. Where
`slots` limits how many run at once, arrays start one after the other, so that the limit holds over
all of them.
"""

import itertools
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.errors import SchedulerError
from orchestrator.executors.slurm_job import work
from orchestrator.launch.plan import Plan
from orchestrator.launch.requests import request_of
from orchestrator.provenance.snapshot import take_snapshot
from orchestrator.slurm import submit
from orchestrator.slurm.limits import Charge, Room, ask_controller, ask_room
from orchestrator.slurm.nodes import without
from orchestrator.slurm.submit import Array
from orchestrator.spec import Resources, resources_of
from orchestrator.spec.clusters import cluster_defaults
from orchestrator.store import intents
from orchestrator.store.root import Root


@dataclass(frozen=True)
class SendOptions:
    """How runs are to be sent.

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


@dataclass
class Sent:
    """What came of it.

    Attributes:
        job_ids: of jobs that SLURM has.
        run_count: how many runs they make.
        held_back: runs that limits leave for a later launch.
        limit: which limit, in words.
        refusal: why SLURM did not take the rest; None where it took all that it was given.
    """

    job_ids: list[str] = field(default_factory=list)
    run_count: int = 0
    held_back: int = 0
    limit: str | None = None
    refusal: str | None = None

    def and_then(self, later: "Sent") -> "Sent":
        """Return both together; what is held back or refused is what was so the last time."""
        job_ids, run_count = [*self.job_ids, *later.job_ids], self.run_count + later.run_count
        return replace(later, job_ids=job_ids, run_count=run_count)


@dataclass
class _Bundle:
    """The runs of one job, and what it asks for; `kind` is equal where that is equal."""

    kind: str
    resources: Resources
    run_ids: list[str] = field(default_factory=list)

    def is_full(self) -> bool:
        return len(self.run_ids) == self.resources.runs_per_job


def send(plan: Plan, root: Root, options: SendOptions) -> Sent:
    """Submit the runs that a plan starts, as far as the cluster takes them; call it under the
    launcher lock.

    Raises:
        SpecError: clusters.yaml is not valid, or contradicts the spec.
        UsageError: the cluster that is asked for is not described.
        SchedulerError: SLURM does not tell its limits.
    """
    if not plan.start:
        return Sent()
    controller = ask_controller()
    cluster = cluster_defaults(controller.cluster, options.cluster)
    bundles = _bundles(plan, cluster, without(options.avoid))
    fitting, limit = _fitting(bundles, ask_room(controller, cluster.max_jobs))
    sent = Sent(
        held_back=sum(len(bundle.run_ids) for bundle in bundles[len(fitting) :]), limit=limit
    )
    launcher = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(4)
    folder = root.sweep(plan.sweep.label).launches / launcher
    arrays = _arrays(fitting, launcher, options.slots, controller.array_size, take_snapshot(root))
    try:
        _send_arrays(arrays, folder, root.path, options, sent)
    except SchedulerError as error:
        sent.refusal = str(error)
    return sent


def _bundles(plan: Plan, defaults: Resources, avoid: Sequence[str]) -> list[_Bundle]:
    """Fill jobs with runs of equal resources, in the plan's order."""
    asked = {
        run.variant.name: _away_from(avoid, resources_of(plan.sweep, run.variant, defaults))
        for run in plan.start
    }
    kinds = {name: resources.model_dump_json() for name, resources in asked.items()}
    bundles: list[_Bundle] = []
    last: dict[str, _Bundle] = {}
    for run in plan.start:
        kind = kinds[run.variant.name]
        if kind not in last or last[kind].is_full():
            last[kind] = _Bundle(kind, asked[run.variant.name])
            bundles.append(last[kind])
        last[kind].run_ids.append(run.run_id)
    return bundles


def _away_from(nodes: Sequence[str], resources: Resources) -> Resources:
    excluded = ",".join([*([resources.exclude] if resources.exclude else []), *nodes])
    return resources.model_copy(update={"exclude": excluded}) if nodes else resources


def _fitting(bundles: Sequence[_Bundle], room: Room) -> tuple[Sequence[_Bundle], str | None]:
    """Return the first jobs, as many as there is room for, and what limits them."""
    for count, bundle in enumerate(bundles):
        limit = room.take(Charge(bundle.resources.account, bundle.resources.qos))
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
    for together in of_kind.values():
        resources = together[0].resources
        parallel = max(1, slots // resources.side_by_side) if slots else None
        for start in range(0, len(together), size):
            run_ids = [bundle.run_ids for bundle in together[start : start + size]]
            yield Array(
                f"sweep-{launcher}-{next(numbers)}", run_ids, resources, parallel, code=code
            )


def _send_arrays(
    arrays: Iterable[Array], folder: Path, root: Path, options: SendOptions, sent: Sent
) -> None:
    """Submit arrays one by one, each with its intent, and note in `sent` what SLURM has."""
    log = folder.with_suffix(".jsonl")
    before: str | None = None
    for array in arrays:
        job_ids = _send_array(replace(array, after=before), log, folder, root, options.rerun)
        sent.job_ids += job_ids
        sent.run_count += sum(map(len, array.bundles))
        intents.release(log, array.key, job_ids, submit.release)
        before = job_ids[0].partition("_")[0] if options.slots else None


def _send_array(array: Array, log: Path, folder: Path, root: Path, rerun: bool) -> list[str]:
    """Submit one array; return the id of each of its jobs."""
    bundles = [list(bundle) for bundle in array.bundles]
    run_ids = [run_id for bundle in bundles for run_id in bundle]

    def submit_held() -> list[str]:
        arguments = (
            str(root),
            bundles,
            array.resources.side_by_side,
            rerun,
            request_of(array.resources),
        )
        job_ids = submit.submit_held(folder, array, work, *arguments)
        return [
            job_id for job_id, bundle in zip(job_ids, array.bundles, strict=True) for _ in bundle
        ]

    return list(dict.fromkeys(intents.submit(log, array.key, run_ids, submit_held, submit.cancel)))
