"""Says of a refusal that would come again what to change, and what is allowed here."""

import getpass
from collections.abc import Callable, Iterator
from typing import NamedTuple

from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask
from orchestrator.slurm.limits import accounting_table
from orchestrator.slurm.nodes import read_nodes, unfit
from orchestrator.slurm.partitions import read_settings
from orchestrator.spec import Resources


class _Cause(NamedTuple):
    """Says which keys of `resources` a refusal is about, by words that SLURM uses in it."""

    words: tuple[str, ...]
    keys: tuple[str, ...]


_CAUSES = (
    _Cause(("invalid partition", "permitted to use this partition"), ("partition",)),
    _Cause(("invalid account",), ("account", "partition")),
    _Cause(("invalid qos",), ("qos",)),
    _Cause(("invalid feature",), ("constraint",)),
    _Cause(("invalid generic resource", "invalid trackable"), ("gpus", "gpu_type")),
    _Cause(("memory specification",), ("mem_gb",)),
    _Cause(("time limit is invalid", "time limit specification"), ("timeout_min", "partition")),
    _Cause(("node count specification", "too many nodes"), ("nodes",)),
    _Cause(("more processors requested",), ("cpus",)),
    _Cause(("invalid node name",), ("nodelist", "exclude")),
    _Cause(("reservation",), ("reservation",)),
    _Cause(
        ("node configuration is not available",),
        ("cpus", "mem_gb", "gpus", "gpu_type", "constraint", "nodes"),
    ),
    _Cause(("unrecognized option", "invalid option", "unknown option"), ("sbatch",)),
)
"""The first that fits counts."""


def advice(refusal: str, wanted: Resources) -> str | None:
    """Return what to change after a refusal; None for one that may not come again.

    Args:
        refusal: in SLURM's words.
        wanted: what the job asked for.
    """
    lowered = refusal.lower()
    for cause in _CAUSES:
        if any(words in lowered for words in cause.words):
            return _advice(cause, wanted)
    return None


def _advice(cause: _Cause, wanted: Resources) -> str:
    given = [f"{key} ({getattr(wanted, key) or 'not set'})" for key in cause.keys]
    text = f"change resources.{' or '.join(given)}"
    known = "; ".join([*_too_much(wanted), *_allowed(cause)])
    return f"{text}; {known}" if known else text


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
    return {name.rstrip("*") for name in ask("sinfo", "--noheader", "--format=%P").split()}


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


_LISTS: dict[str, Callable[[], set[str]]] = {
    "partition": _partitions,
    "timeout_min": _time_limits,
    "constraint": _features,
    "account": lambda: _of_user("Account"),
    "qos": lambda: _of_user("QOS"),
}
