"""Tells what nodes have, which to avoid, and what no node can give a job."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.errors import SchedulerError
from orchestrator.slurm import features
from orchestrator.slurm.commands import ask
from orchestrator.slurm.partitions import (
    MB_PER_GB,
    Settings,
    broken_rules,
    chosen_partitions,
    closed,
    read_settings,
)
from orchestrator.spec import Resources

_FORMAT = "%P|%N|%T|%c|%m|%G|%f"
_NAMED_NODES = 3
_OUT_OF_SERVICE = ("drain", "down", "fail", "inval", "error", "maint")
"""Beginnings of the states of a node that starts no job."""


@dataclass(frozen=True)
class Node:
    """Describes a node, in one of its partitions.

    Attributes:
        partition: its name.
        is_default: whether jobs that ask for no partition go there.
        name: the node's.
        state: as SLURM calls it, `idle` or `drained*`.
        cpus: that it has.
        memory_mb: that it has.
        gpus: kind → how many of it; kind is empty where SLURM names none.
        features: which a constraint can name.
    """

    partition: str
    is_default: bool
    name: str
    state: str
    cpus: int
    memory_mb: int
    gpus: dict[str, int]
    features: frozenset[str]

    @property
    def is_out_of_service(self) -> bool:
        """Tell whether it starts no job until somebody brings it back."""
        return self.state.startswith(_OUT_OF_SERVICE)


def read_nodes() -> list[Node]:
    """Return what `sinfo` tells of nodes; those it does not tell plainly are left out.

    Raises:
        SchedulerError: SLURM did not answer.
    """
    listed = ask("sinfo", "--noheader", "--exact", "--Node", f"--format={_FORMAT}")
    rows = [line.strip().split("|") for line in listed.splitlines()]
    return [_node(row) for row in rows if len(row) == 7 and all(map(str.isdecimal, row[3:5]))]


def unfit(
    wanted: Resources, all_nodes: Sequence[Node], settings: Mapping[str, Settings] | None = None
) -> list[str]:
    """Say what a job asks for that its partition cannot give; empty where it fits, or nobody knows.

    A job that names several partitions fits where one of them can give it all.

    Args:
        wanted: what the job asks for.
        all_nodes: of the cluster.
        settings: of its partitions; None to compare with nodes alone.
    """
    texts: list[str] = []
    rules = settings or {}
    for name in _meant(wanted, all_nodes, rules):
        lacking = list(broken_rules(wanted, rules[name])) if name in rules else []
        nodes = [node for node in all_nodes if node.partition == name]
        if nodes:
            lacking += _lacking(wanted, nodes, all_nodes)
        if not lacking:
            return []
        texts += [f"resources.{text}" for text in lacking]
    return list(dict.fromkeys(texts))


def out_of_service(
    wanted: Resources, all_nodes: Sequence[Node], settings: Mapping[str, Settings]
) -> str | None:
    """Say why a job that fits would not start now; None where a partition and a node take jobs."""
    texts = []
    for name in _meant(wanted, all_nodes, settings):
        text = closed(settings[name]) if name in settings else None
        text = text or _all_nodes_are_out(wanted, name, all_nodes)
        if text is None:
            return None
        texts.append(text)
    return "; ".join(texts) or None


def obstacles(requests: Iterable[Resources]) -> list[str]:
    """Say why jobs with these requests would not start here; empty where SLURM does not tell."""
    try:
        nodes, settings = read_nodes(), read_settings()
    except SchedulerError:
        return []
    texts: list[str] = []
    for wanted in requests:
        lacking = unfit(wanted, nodes, settings)
        now = out_of_service(wanted, nodes, settings)
        if not lacking and now is not None:
            lacking = [now]
        texts += lacking
    return list(dict.fromkeys(texts))


def without(failed: Collection[str]) -> list[str]:
    """Return which failed nodes to exclude; none where no other node would be left."""
    if not failed:
        return []
    try:
        known = set(ask("sinfo", "--noheader", "--Node", "--format=%N").split())
    except SchedulerError:
        return []
    return sorted(failed) if known - set(failed) else []


def host_names(text: str) -> set[str]:
    """Return the hosts of a list such as `n[01-03,7],login`."""
    names = set()
    for word in re.findall(r"[^,\[]+(?:\[[^\]]*\][^,\[]*)*", text):
        names |= set(_expanded(word))
    return names


def _expanded(word: str) -> Iterator[str]:
    parts = re.fullmatch(r"([^\[]*)\[([^\]]*)\](.*)", word)
    if parts is None:
        yield word
        return
    head, ranges, tail = parts.groups()
    for item in ranges.split(","):
        first, _, last = item.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            continue
        for number in range(int(first), int(last or first) + 1):
            yield from _expanded(f"{head}{number:0{len(first)}}{tail}")


def _node(row: Sequence[str]) -> Node:
    partition, name, state, cpus, memory_mb, gres, named = row
    return Node(
        partition=partition.rstrip("*"),
        is_default=partition.endswith("*"),
        name=name,
        state=state.lower(),
        cpus=int(cpus),
        memory_mb=int(memory_mb),
        gpus=_gpus(gres),
        features=frozenset(named.split(",")) - {"(null)", ""},
    )


def _gpus(gres: str) -> dict[str, int]:
    """Read `gpu:a100:4(S:0-1),gpu:v100:2` or `gpu:4`."""
    gpus: dict[str, int] = {}
    for kind, count in re.findall(r"gpu:(?:([^:,(]+):)?(\d+)", gres):
        gpus[kind] = gpus.get(kind, 0) + int(count)
    return gpus


def _meant(wanted: Resources, nodes: Sequence[Node], settings: Mapping[str, Settings]) -> list[str]:
    """Return the partitions that a job may go to, as far as they are known."""
    if wanted.partition:
        from_nodes = wanted.partition.split(",")
    else:
        from_nodes = [node.partition for node in nodes if node.is_default]
    known = {node.partition for node in nodes}
    names = [name for name in from_nodes if name in known]
    return list(dict.fromkeys([*chosen_partitions(wanted, settings), *names]))


def _lacking(wanted: Resources, nodes: Sequence[Node], all_nodes: Sequence[Node]) -> Iterator[str]:
    """Yield what no node of one partition has; nothing where enough of them have all."""
    place = f"partition {nodes[0].partition}"
    left = _allowed(wanted, nodes)
    if not left:
        yield f"{_narrowing(wanted)}: leaves no node of {place}, which has {_some(nodes)}"
        return
    texts = list(_lacking_alone(wanted, left, all_nodes, f"of {place}"))
    yield from texts

    # Each wish can be met, yet perhaps not by the same nodes.
    fitting = [node for node in left if _fits(wanted, node)]
    if not texts and not fitting:
        yield f"{_all_keys(wanted)}: no node of {place} has all of these together"
    elif not texts and wanted.nodes > len(fitting):
        yield f"nodes {wanted.nodes}: {place} has {len(fitting)} that can take the job"


def _allowed(wanted: Resources, nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes that `exclude` and `nodelist` leave."""
    excluded = host_names(wanted.exclude or "")
    left = [node for node in nodes if node.name not in excluded]
    if not wanted.nodelist:
        return left
    named = host_names(wanted.nodelist)

    # A job that wants more nodes than it names gets others besides.
    if wanted.nodes > len(named):
        return left if any(node.name in named for node in left) else []
    return [node for node in left if node.name in named]


def _narrowing(wanted: Resources) -> str:
    keys = [f"{key} {getattr(wanted, key)}" for key in ("exclude", "nodelist")]
    return " and ".join(key for key in keys if not key.endswith(" None"))


def _lacking_alone(
    wanted: Resources, nodes: Sequence[Node], all_nodes: Sequence[Node], place: str
) -> Iterator[str]:
    """Yield each wish that no node can meet, whatever the others are."""
    most_cpus = max(node.cpus for node in nodes)
    if wanted.cpus * wanted.tasks > most_cpus:
        tasks = f" x tasks {wanted.tasks}" if wanted.tasks > 1 else ""
        yield f"cpus {wanted.cpus}{tasks}: a node {place} has at most {most_cpus}"

    most_mb = max(node.memory_mb for node in nodes)
    if wanted.mem_gb * MB_PER_GB > most_mb:
        yield f"mem_gb {wanted.mem_gb}: a node {place} has at most {most_mb // MB_PER_GB}"

    if wanted.gpus:
        yield from _lacking_gpus(wanted, nodes, place)
    if wanted.nodes > len(nodes):
        yield f"nodes {wanted.nodes}: {place.removeprefix('of ')} has {len(nodes)}"
    if wanted.constraint:
        yield from _lacking_features(wanted.constraint, nodes, all_nodes, place)


def _lacking_gpus(wanted: Resources, nodes: Sequence[Node], place: str) -> Iterator[str]:
    kinds = {name for node in nodes for name in node.gpus if name}
    if wanted.gpu_type and wanted.gpu_type not in kinds:
        yield f"gpu_type {wanted.gpu_type}: nodes {place} have {_listed(kinds)}"
        return
    most = max(_gpu_count(node, wanted.gpu_type) for node in nodes)
    if wanted.gpus > most:
        yield f"gpus {wanted.gpus}: a node {place} has {most or 'none'}"


def _lacking_features(
    constraint: str, nodes: Sequence[Node], all_nodes: Sequence[Node], place: str
) -> Iterator[str]:
    # SLURM refuses a name that no node of the cluster has, also beside one that is there.
    here = frozenset[str]().union(*(node.features for node in nodes))
    everywhere = here.union(*(node.features for node in all_nodes))
    unknown = sorted(features.names(constraint) - everywhere)
    for name in unknown:
        yield f"constraint {name}: nodes {place} have {_listed(here)}"
    if unknown or any(features.is_met(constraint, node.features) for node in nodes):
        return
    sets = {_listed(node.features) for node in nodes}
    yield f"constraint {constraint}: nodes {place} have {' or '.join(sorted(sets))}"


def _fits(wanted: Resources, node: Node) -> bool:
    """Tell whether a node alone has all that a job wants of each."""
    return (
        wanted.cpus * wanted.tasks <= node.cpus
        and wanted.mem_gb * MB_PER_GB <= node.memory_mb
        and wanted.gpus <= _gpu_count(node, wanted.gpu_type)
        and features.is_met(wanted.constraint or "", node.features)
    )


def _all_keys(wanted: Resources) -> str:
    keys = ("cpus", "mem_gb", "gpus", "gpu_type", "constraint")
    return ", ".join(f"{key} {getattr(wanted, key)}" for key in keys if getattr(wanted, key))


def _gpu_count(node: Node, gpu_type: str | None) -> int:
    if gpu_type:
        return node.gpus.get(gpu_type, 0)
    return sum(node.gpus.values())


def _all_nodes_are_out(wanted: Resources, partition: str, all_nodes: Sequence[Node]) -> str | None:
    """Say that no node that fits takes jobs now; None where enough of them do, or none is known."""
    nodes = [node for node in all_nodes if node.partition == partition]
    fitting = [node for node in _allowed(wanted, nodes) if _fits(wanted, node)]
    working = [node for node in fitting if not node.is_out_of_service]
    if not fitting or len(working) >= wanted.nodes:
        return None
    out = [node for node in fitting if node.is_out_of_service]
    return (
        f"of {len(fitting)} nodes of partition {partition} that fit, {len(working)} take jobs now: "
        f"{_some(out, lambda node: f'{node.name} is {node.state}')}"
    )


def _some(nodes: Sequence[Node], text: Callable[[Node], str] = lambda node: node.name) -> str:
    """List the first nodes."""
    listed = ", ".join(text(node) for node in nodes[:_NAMED_NODES])
    more = len(nodes) - _NAMED_NODES
    return f"{listed} and {more} more" if more > 0 else listed


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"
