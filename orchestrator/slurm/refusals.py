"""Says of a refusal that would come again what to change, and what is allowed here."""

import getpass
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask
from orchestrator.slurm.limits import accounting_table
from orchestrator.slurm.nodes import read_nodes, unfit
from orchestrator.slurm.partitions import read_settings
from orchestrator.slurm.reasons import explain, is_stuck
from orchestrator.spec import Resources

_LISTED_NODES = 20


class _Cause(NamedTuple):
    """Says which keys of `resources` a refusal is about, by words that SLURM uses in it."""

    words: tuple[str, ...]
    keys: tuple[str, ...]


_CAUSES = (
    _Cause(("invalid partition", "permitted to use this partition"), ("partition",)),
    _Cause(("required partition not available", "partition is unavailable"), ("partition",)),
    _Cause(("access/permission denied",), ("partition", "account", "reservation")),
    _Cause(("invalid account",), ("account", "partition")),
    _Cause(("invalid qos",), ("qos",)),
    _Cause(("preferred feature", "invalid license", "burst buffer", "wckey"), ("sbatch",)),
    _Cause(("invalid feature",), ("constraint",)),
    _Cause(("generic resource", "invalid trackable"), ("gpus", "gpu_type")),
    _Cause(("memory specification", "memory required by task"), ("mem_gb",)),
    _Cause(("time limit is invalid", "--time specification"), ("timeout_min", "partition")),
    _Cause(("node count specification", "too many nodes"), ("nodes",)),
    _Cause(("more processors requested", "cpu count"), ("cpus", "tasks")),
    _Cause(("invalid node name",), ("nodelist", "exclude")),
    _Cause(("reservation",), ("reservation",)),
    _Cause(
        ("node configuration is not available",),
        ("cpus", "mem_gb", "gpus", "gpu_type", "constraint", "nodes", "exclude", "nodelist"),
    ),
    _Cause(
        ("unrecognized option", "invalid option", "unknown option", "mutually exclusive"),
        ("sbatch",),
    ),
)
"""The first that fits counts."""

_OF_OPTION = re.compile(r"invalid --[a-z-]+ specification")
_NO_ARRAYS = "invalid job array specification"
_LIMIT_WORD = re.compile(r"\b(?:QOS|Assoc|Max)[A-Za-z]+\b")
"""SLURM's name of the limit, in a line of its own before the refusal."""


def advice(refusal: str, wanted: Resources) -> str | None:
    """Return what to change after a refusal; None for one that may not come again.

    Args:
        refusal: in SLURM's words.
        wanted: what the job asked for.
    """
    # A limit of what one job may ask for does not pass; one of how many jobs there are does.
    stuck = [word for word in _LIMIT_WORD.findall(refusal) if is_stuck(word)]
    if stuck:
        return explain(stuck[0])

    lowered = refusal.lower()
    for cause in _CAUSES:
        if any(words in lowered for words in cause.words):
            return _advice(cause, wanted)
    if _OF_OPTION.search(lowered):
        return _advice(_Cause((), ("sbatch",)), wanted)
    if _NO_ARRAYS in lowered:
        return (
            "this cluster takes no job arrays (MaxArraySize in `scontrol show config`): ask your "
            "site, or use --executor local in a job"
        )
    return None


def _advice(cause: _Cause, wanted: Resources) -> str:
    given = [f"{key} ({_shown(getattr(wanted, key))})" for key in cause.keys]
    text = f"change resources.{' or '.join(given)}"
    known = "; ".join([*_too_much(wanted), *_allowed(cause)])
    return f"{text}; {known}" if known else text


def _shown(value: object) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{name}: {setting}" for name, setting in value.items())
    return str(value or "not set")


def _too_much(wanted: Resources) -> list[str]:
    try:
        return unfit(wanted, read_nodes(), read_settings())
    except SchedulerError:
        return []


def _allowed(cause: _Cause) -> Iterator[str]:
    """Yield what may be asked for here, as far as SLURM tells."""
    for key in cause.keys:
        if key not in _LISTS:
            continue
        try:
            names = sorted(_LISTS[key]())
        except (SchedulerError, OSError):
            continue
        if names:
            yield f"{key} here: {', '.join(names)}"


def _partitions() -> set[str]:
    """Return the partitions that take jobs."""
    rows = ask("sinfo", "--noheader", "--format=%P|%a").split()
    return {name.partition("*")[0].partition("|")[0] for name in rows if name.endswith("|up")}


def _time_limits() -> set[str]:
    rows = ask("sinfo", "--noheader", "--format=%P|%l").split()
    return {
        f"at most {row.partition('|')[2]} in {row.partition('|')[0].rstrip('*')}" for row in rows
    }


def _features() -> set[str]:
    return set[str]().union(*(nodes.features for nodes in read_nodes()))


def _of_user(field: str) -> set[str]:
    """Return what the user's associations allow."""
    rows = accounting_table("associations", field, f"user={getpass.getuser()}")
    return {name for (value,) in rows for name in value.split(",") if name}


def _gpu_types() -> set[str]:
    return {kind for node in read_nodes() for kind in node.gpus if kind}


def _nodes() -> set[str]:
    """Return the first nodes: a list of thousands helps nobody."""
    names = sorted({node.name for node in read_nodes()})
    if len(names) <= _LISTED_NODES:
        return set(names)
    return {f"{', '.join(names[:_LISTED_NODES])} and {len(names) - _LISTED_NODES} more"}


def _reservations() -> set[str]:
    listed = ask("scontrol", "--oneliner", "show", "reservation")
    return set(re.findall(r"ReservationName=(\S+)", listed))


_LISTS: dict[str, Callable[[], set[str]]] = {
    "partition": _partitions,
    "timeout_min": _time_limits,
    "constraint": _features,
    "gpu_type": _gpu_types,
    "nodelist": _nodes,
    "reservation": _reservations,
    "account": lambda: _of_user("Account"),
    "qos": lambda: _of_user("QOS"),
}
