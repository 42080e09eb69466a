"""Checks the partitions: which are up or have GPUs, their limits, and whether a request fits."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.doctor.finding import Finding, fail, ok, warn
from orchestrator.slurm.commands import ask
from orchestrator.slurm.durations import seconds_of
from orchestrator.slurm.nodes import Nodes, unfit
from orchestrator.spec import Resources

_FORMAT = "%P|%a|%l|%D|%G"


@dataclass(frozen=True)
class Partition:
    """Describes a partition.

    Attributes:
        name: as jobs ask for it.
        is_default: whether jobs that ask for none go there.
        is_up: whether it takes jobs.
        limit_min: how long a job may run; None for no limit.
        nodes: how many it has.
        gres: what each kind of node offers, e.g. `gpu:4`.
    """

    name: str
    is_default: bool
    is_up: bool
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


def read_settings() -> dict[str, dict[str, str]]:
    """Return name → settings of `scontrol show partition`.

    Raises:
        SchedulerError: SLURM did not answer.
    """
    by_name = {}
    for line in ask("scontrol", "--oneliner", "show", "partition").splitlines():
        settings = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "PartitionName" in settings:
            by_name[settings["PartitionName"]] = settings
    return by_name


def check_partitions(
    partitions: Sequence[Partition], wanted: Sequence[Resources], nodes: Sequence[Nodes] = ()
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
        yield fits(partitions, request, nodes)


def fits(
    partitions: Sequence[Partition], wanted: Resources, nodes: Sequence[Nodes] = ()
) -> Finding:
    """Check a spec's `resources` against its partition, and the nodes of that."""
    chosen = _chosen(partitions, wanted.partition)
    if chosen is None:
        text = "no default partition"
        if wanted.partition:
            text = f"partition {wanted.partition!r} does not exist"
        names = ", ".join(partition.name for partition in partitions)
        return fail("resources", text, f"set resources.partition to one of: {names}")

    # It exists; it must also have what is asked for.
    if wanted.gpus and not chosen.has_gpus:
        others = ", ".join(partition.name for partition in partitions if partition.has_gpus)
        return fail(
            "resources",
            f"{wanted.gpus} GPUs asked for, {chosen.name} has none",
            f"partitions with GPUs: {others or 'none has'}",
        )
    if chosen.limit_min is not None and wanted.timeout_min > chosen.limit_min:
        text = (
            f"timeout_min {wanted.timeout_min} is above {chosen.name}'s limit "
            f"of {chosen.limit_min:g} min"
        )
        return fail(
            "resources",
            text,
            "lower resources.timeout_min: runs go on from their checkpoint in the next job",
        )
    lacking = unfit(wanted, nodes)
    if lacking:
        return fail(
            "resources",
            "; ".join(lacking),
            "change that: sbatch would refuse such a job, or it would wait for ever",
        )
    return ok(
        "resources",
        f"{wanted.gpus} GPUs, {wanted.cpus} CPUs, {wanted.timeout_min} min fit {chosen.name}",
    )


def _chosen(partitions: Sequence[Partition], asked_for: str | None) -> Partition | None:
    """Return the partition that a job would go to; None where there is none."""
    # Of several names, SLURM takes the first partition that is free.
    if asked_for:
        names = asked_for.split(",")
        candidates = [partition for partition in partitions if partition.name in names]
    else:
        candidates = [partition for partition in partitions if partition.is_default]
    return candidates[0] if candidates else None


def _describe(partition: Partition) -> Finding:
    limit = "no time limit"
    if partition.limit_min is not None:
        limit = f"at most {partition.limit_min:g} min"
    gpus = ", ".join(gres for gres in partition.gres if "gpu" in gres) or "no GPUs"
    text = f"nodes: {partition.nodes}, {gpus}, {limit}"
    if partition.is_default:
        text += ", default"

    name = f"partition {partition.name}"
    if partition.is_up:
        return ok(name, text)
    return warn(name, f"{text}, down", "choose another resources.partition")


def _partition(name: str, rows: list[list[str]]) -> Partition:
    """Join the rows of sinfo, one for each kind of node."""
    limit_s = seconds_of(rows[0][2])
    return Partition(
        name=name.rstrip("*"),
        is_default=name.endswith("*"),
        is_up=any(row[1] == "up" for row in rows),
        limit_min=None if limit_s is None else limit_s / 60,
        nodes=sum(int(row[3]) for row in rows),
        gres=tuple(dict.fromkeys(row[4] for row in rows)),
    )
