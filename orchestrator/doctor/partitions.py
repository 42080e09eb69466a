"""Checks the partitions: which are up or have GPUs, their limits, and whether a request fits."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.doctor.finding import Finding, fail, ok, warn
from orchestrator.slurm.commands import ask
from orchestrator.slurm.durations import seconds_of
from orchestrator.slurm.nodes import Node, out_of_service, unfit
from orchestrator.slurm.partitions import Settings
from orchestrator.slurm.qos import QosRules, beyond_qos
from orchestrator.spec import Resources

_FORMAT = "%P|%a|%l|%D|%G"


class Offers(NamedTuple):
    """Holds what the cluster offers: nodes, settings of each partition by name, rules of QOS."""

    nodes: Sequence[Node] = ()
    settings: Mapping[str, Settings] = {}
    qos: QosRules = QosRules()


@dataclass(frozen=True)
class Partition:
    """Describes a partition.

    Attributes:
        name: as jobs ask for it.
        is_default: whether jobs that ask for none go there.
        availability: `up`, or why it starts no new jobs: `down`, `drain`, `inactive`.
        limit_min: how long a job may run; None for no limit.
        nodes: how many it has.
        gres: what each kind of node offers, e.g. `gpu:4`.
    """

    name: str
    is_default: bool
    availability: str
    limit_min: float | None
    nodes: int
    gres: tuple[str, ...]

    @property
    def has_gpus(self) -> bool:
        """Tell whether any of its nodes has a GPU."""
        return any("gpu" in gres for gres in self.gres)


def read_partitions() -> list[Partition]:
    """Return the partitions that `sinfo` lists.

    Raises:
        SchedulerError: SLURM did not answer.
    """
    rows = defaultdict(list)
    for line in ask("sinfo", "--noheader", f"--format={_FORMAT}").splitlines():
        fields = line.strip().split("|")
        if len(fields) == 5:
            rows[fields[0]].append(fields)
    return [_partition(name, lines) for name, lines in rows.items()]


def check_partitions(
    partitions: Sequence[Partition], wanted: Sequence[Resources], cluster: Offers
) -> Iterator[Finding]:
    """Describe each partition, and check that each request of a spec fits where it would go."""
    if not partitions:
        yield fail(
            "partitions", "none that you may use", "ask your site for an account with a partition"
        )
        return
    for partition in partitions:
        yield _describe(partition)
    for request in wanted:
        yield fits(partitions, request, cluster)


def fits(partitions: Sequence[Partition], wanted: Resources, cluster: Offers) -> Finding:
    """Check a spec's `resources` against its partition, and the nodes of that."""
    chosen = _chosen(partitions, wanted.partition)
    if not chosen:
        return _no_partition(partitions, wanted)

    # It exists; it must also have what is asked for, and take jobs.
    if wanted.gpus and not any(partition.has_gpus for partition in chosen):
        others = ", ".join(partition.name for partition in partitions if partition.has_gpus)
        return fail(
            "resources",
            f"{wanted.gpus} GPUs asked for, {_names(chosen)} has none",
            f"partitions with GPUs: {others or 'none has'}",
        )
    lacking = unfit(wanted, cluster.nodes, cluster.settings)
    if lacking:
        return fail("resources", "; ".join(lacking), _way_out(partitions, wanted, cluster))
    beyond = beyond_qos(wanted, cluster.qos)
    if beyond:
        fix = "such a job waits for ever: ask for less, or use another resources.qos"
        return fail("resources", "; ".join(beyond), fix)
    reason = out_of_service(wanted, cluster.nodes, cluster.settings)
    if reason is not None:
        fix = "jobs would wait until that ends: ask your site, or use another resources.partition"
        return warn("resources", reason, fix)
    return ok(
        "resources",
        f"{wanted.gpus} GPUs, {wanted.cpus} CPUs, {wanted.timeout_min} min fit {_names(chosen)}",
    )


def _no_partition(partitions: Sequence[Partition], wanted: Resources) -> Finding:
    text = "no default partition"
    if wanted.partition:
        text = f"partition {wanted.partition!r} does not exist"
    return fail("resources", text, f"set resources.partition to one of: {_names(partitions)}")


def _way_out(partitions: Sequence[Partition], wanted: Resources, cluster: Offers) -> str:
    """Return what to change, and which other partitions would take the request as it is."""
    fix = "change that in the spec: sbatch would refuse such a job, or it would wait for ever"
    others = []
    for partition in partitions:
        elsewhere = wanted.model_copy(update={"partition": partition.name})
        if not unfit(elsewhere, cluster.nodes, cluster.settings):
            others.append(partition.name)
    if others:
        fix += f"; it would fit partition {' or '.join(others)}"
    return fix


def _chosen(partitions: Sequence[Partition], names: str | None) -> list[Partition]:
    """Return the partitions that a job could go to."""
    if names:
        return [partition for partition in partitions if partition.name in names.split(",")]
    return [partition for partition in partitions if partition.is_default]


def _names(partitions: Sequence[Partition]) -> str:
    return ", ".join(partition.name for partition in partitions)


def _describe(partition: Partition) -> Finding:
    limit = "no time limit"
    if partition.limit_min is not None:
        limit = f"at most {partition.limit_min:g} min"
    gpus = ", ".join(gres for gres in partition.gres if "gpu" in gres) or "no GPUs"
    text = f"nodes: {partition.nodes}, {gpus}, {limit}"
    if partition.is_default:
        text += ", default"

    name = f"partition {partition.name}"
    if partition.availability == "up":
        return ok(name, text)
    return warn(name, f"{text}, {partition.availability}", "choose another resources.partition")


def _partition(name: str, rows: list[list[str]]) -> Partition:
    """Join the rows of sinfo, one for each kind of node."""
    limit_s = seconds_of(rows[0][2])
    return Partition(
        name=name.rstrip("*"),
        is_default=name.endswith("*"),
        availability=rows[0][1],
        limit_min=None if limit_s is None else limit_s / 60,
        nodes=sum(int(row[3]) for row in rows),
        gres=tuple(dict.fromkeys(row[4] for row in rows)),
    )
