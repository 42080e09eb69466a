"""Tells what nodes have, which to avoid, and what no node can give a job."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask
from orchestrator.spec import Resources

_FORMAT = "%P|%D|%c|%m|%G|%f"
_MB_PER_GB = 1024  # as sbatch reads --mem=16GB


@dataclass(frozen=True)
class Nodes:
    """Describes nodes of a partition that are alike.

    Attributes:
        partition: its name.
        is_default: whether jobs that ask for no partition go there.
        count: how many they are.
        cpus: of each.
        memory_mb: of each.
        gpus: kind → how many of it each has; kind is empty where SLURM names none.
        features: which a constraint can name.
    """

    partition: str
    is_default: bool
    count: int
    cpus: int
    memory_mb: int
    gpus: dict[str, int]
    features: frozenset[str]


def read_nodes() -> list[Nodes]:
    """Return what `sinfo` tells of nodes; those it does not tell plainly are left out.

    Raises:
        SchedulerError: SLURM did not answer.
    """
    listed = ask("sinfo", "--noheader", "--exact", f"--format={_FORMAT}")
    rows = [line.strip().split("|") for line in listed.splitlines()]
    return [_nodes(row) for row in rows if len(row) == 6 and all(map(str.isdecimal, row[1:4]))]


def unfit(wanted: Resources, all_nodes: Sequence[Nodes]) -> list[str]:
    """Say what a job asks for that no node of its partition has; empty where it fits, or nobody
    knows.
    """
    nodes = [kind for kind in all_nodes if _is_meant(kind, wanted.partition)]
    if not nodes:
        return []
    place = f"of partition {', '.join(sorted({kind.partition for kind in nodes}))}"
    return [f"resources.{text}" for text in _lacking(wanted, nodes, place)]


def without(failed: Collection[str]) -> list[str]:
    """Return which failed nodes to exclude; none where no other node would be left."""
    if not failed:
        return []
    try:
        known = set(ask("sinfo", "--noheader", "--Node", "--format=%N").split())
    except SchedulerError:
        return []
    return sorted(failed) if known - set(failed) else []


def _nodes(row: Sequence[str]) -> Nodes:
    name, count, cpus, memory_mb, gres, features = row
    named = frozenset(features.split(",")) - {"(null)", ""}
    gpus = _gpus(gres)
    return Nodes(
        name.rstrip("*"), name.endswith("*"), int(count), int(cpus), int(memory_mb), gpus, named
    )


def _gpus(gres: str) -> dict[str, int]:
    """Read `gpu:a100:4(S:0-1),gpu:v100:2` or `gpu:4`."""
    gpus: dict[str, int] = {}
    for kind, count in re.findall(r"gpu:(?:([^:,(]+):)?(\d+)", gres):
        gpus[kind] = gpus.get(kind, 0) + int(count)
    return gpus


def _is_meant(nodes: Nodes, partition: str | None) -> bool:
    if partition:
        return nodes.partition in partition.split(",")
    return nodes.is_default


def _lacking(wanted: Resources, nodes: Sequence[Nodes], place: str) -> Iterator[str]:
    cpus = wanted.cpus * wanted.tasks
    most_cpus = max(kind.cpus for kind in nodes)
    if cpus > most_cpus:
        tasks = f" x tasks {wanted.tasks}" if wanted.tasks > 1 else ""
        yield f"cpus {wanted.cpus}{tasks}: a node {place} has at most {most_cpus}"

    most_mb = max(kind.memory_mb for kind in nodes)
    if wanted.mem_gb * _MB_PER_GB > most_mb:
        yield f"mem_gb {wanted.mem_gb}: a node {place} has at most {most_mb // _MB_PER_GB}"

    if wanted.gpus:
        yield from _lacking_gpus(wanted, nodes, place)

    count = max(_in_partition(nodes, kind.partition) for kind in nodes)
    if wanted.nodes > count:
        yield f"nodes {wanted.nodes}: {place.removeprefix('of ')} has {count}"

    features = frozenset[str]().union(*(kind.features for kind in nodes))
    for name in re.findall(r"[A-Za-z_][\w.-]*", wanted.constraint or ""):
        if name not in features:
            yield f"constraint {name}: nodes {place} have {_listed(features)}"


def _lacking_gpus(wanted: Resources, nodes: Sequence[Nodes], place: str) -> Iterator[str]:
    kinds = {name for kind in nodes for name in kind.gpus if name}
    if wanted.gpu_type and wanted.gpu_type not in kinds:
        yield f"gpu_type {wanted.gpu_type}: nodes {place} have {_listed(kinds)}"
        return
    counts = [_gpu_count(kind, wanted.gpu_type) for kind in nodes]
    most = max(counts)
    if wanted.gpus > most:
        yield f"gpus {wanted.gpus}: a node {place} has {most or 'none'}"


def _gpu_count(nodes: Nodes, gpu_type: str | None) -> int:
    if gpu_type:
        return nodes.gpus.get(gpu_type, 0)
    return sum(nodes.gpus.values())


def _in_partition(nodes: Sequence[Nodes], partition: str) -> int:
    return sum(kind.count for kind in nodes if kind.partition == partition)


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"
