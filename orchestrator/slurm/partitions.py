"""Reads the settings of partitions, and says which of them a request breaks.

Unless a cluster enforces its limits (EnforcePartLimits), sbatch takes such a job, which then waits
for ever.
"""

import grp
import os
from collections.abc import Iterator, Mapping

from orchestrator.slurm.commands import ask
from orchestrator.slurm.durations import seconds_of
from orchestrator.spec import Resources

MB_PER_GB = 1024  # as sbatch reads --mem=16GB

Settings = Mapping[str, str]
"""The settings of one partition, as `scontrol show partition` names them."""

_CLOSED = {
    "DOWN": "is down: it takes jobs, and starts none now",
    "DRAIN": "takes no more jobs now (drain)",
    "INACTIVE": "takes no jobs now (inactive)",
}
"""States in which a partition starts no new job."""


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


def chosen_partitions(wanted: Resources, settings: Mapping[str, Settings]) -> list[str]:
    """Return the partitions that a job may go to: those that it names, or the default one."""
    if wanted.partition:
        return [name for name in wanted.partition.split(",") if name in settings]
    return [name for name, values in settings.items() if values.get("Default") == "YES"]


def closed(settings: Settings) -> str | None:
    """Say why a partition starts no new job; None where it does."""
    text = _CLOSED.get(settings.get("State", ""))
    return f"partition {settings['PartitionName']} {text}" if text else None


def broken_rules(wanted: Resources, settings: Settings) -> Iterator[str]:
    """Yield what a job asks for that its partition does not allow, with what it allows."""
    place = f"partition {settings['PartitionName']}"
    if settings.get("Nodes") == "(null)":
        yield f"partition: {place} has no nodes"

    # Sizes first; a setting that is UNLIMITED is no number.
    for key, value, setting in _most(wanted):
        allowed = _number(settings.get(setting, ""))
        if allowed is not None and value > allowed:
            yield f"{key}: {place} allows at most {_in_unit(key, allowed)} ({setting})"
    fewest = _number(settings.get("MinNodes", "")) or 0
    if wanted.nodes < fewest:
        yield f"nodes {wanted.nodes}: {place} wants at least {fewest} (MinNodes)"
    limit_s = seconds_of(settings.get("MaxTime", ""))
    if limit_s is not None and wanted.timeout_min * 60 > limit_s:
        yield f"timeout_min {wanted.timeout_min}: {place} allows at most {limit_s / 60:g}"

    # Then who may use it, and by which way.
    yield from _names_not_allowed("account", wanted.account, settings, "Accounts", place)
    yield from _names_not_allowed("qos", wanted.qos, settings, "Qos", place)
    groups = _names(settings.get("AllowGroups", "ALL"))
    if groups and not groups & _own_groups():
        yield f"partition: {place} is for groups {_listed(groups)} alone"
    if settings.get("ReqResv") == "YES" and not wanted.reservation:
        yield f"reservation not set: {place} wants one"
    if settings.get("RootOnly") == "YES":
        yield f"partition: {place} takes jobs of root alone"


def _most(wanted: Resources) -> Iterator[tuple[str, int, str]]:
    """Yield the key as it was asked for, its value, and the setting that limits it."""
    cpus = wanted.cpus * wanted.tasks
    tasks = f" x tasks {wanted.tasks}" if wanted.tasks > 1 else ""
    yield f"nodes {wanted.nodes}", wanted.nodes, "MaxNodes"
    yield f"cpus {wanted.cpus}{tasks}", cpus, "MaxCPUsPerNode"
    yield f"mem_gb {wanted.mem_gb}", wanted.mem_gb * MB_PER_GB, "MaxMemPerNode"


def _in_unit(key: str, allowed: int) -> str:
    if key.startswith("mem_gb"):
        return f"{allowed / MB_PER_GB:.3g}"
    return str(allowed)


def _names_not_allowed(
    key: str, name: str | None, settings: Settings, kind: str, place: str
) -> Iterator[str]:
    """Yield that an account or QOS may not use the partition; nothing where SLURM chooses it."""
    allowed = _names(settings.get(f"Allow{kind}", "ALL"))
    if name and allowed and name not in allowed:
        yield f"{key} {name}: {place} takes {_listed(allowed)}"
    if name and name in _names(settings.get(f"Deny{kind}", "")):
        yield f"{key} {name}: {place} does not take it"


def _names(text: str) -> frozenset[str]:
    """Return the names of a list; none for one that stands for all, or nothing."""
    return frozenset(text.split(",")) - {"", "ALL", "NONE", "(null)", "N/A"}


def _own_groups() -> set[str]:
    names = set()
    for number in {*os.getgroups(), os.getgid()}:
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:  # a group without a name here
            continue
    return names


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
