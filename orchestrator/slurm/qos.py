"""Says what a request asks for beyond its QOS: SLURM takes such a job, and it waits for ever."""

import getpass
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.errors import SchedulerError
from orchestrator.slurm.durations import seconds_of
from orchestrator.slurm.limits import accounting_table, ask_controller
from orchestrator.spec import Resources

_PER = {"MaxTRES": "a job", "MaxTRESPU": "a user", "MaxTRESPA": "an account", "GrpTRES": "all"}
_KEYS = {"gres/gpu": "gpus", "cpu": "cpus", "mem": "mem_gb", "node": "nodes"}
"""SLURM's name of a resource → the key of `resources` that asks for it."""
_GB_PER_UNIT = {"K": 2**-20, "M": 2**-10, "G": 1.0, "T": 2.0**10}
_AMOUNT = re.compile(r"([\d.]+)([KMGT]?)")


@dataclass(frozen=True)
class Cap:
    """A cap is the most that a QOS lets a job, or all jobs of somebody, have of one thing."""

    key: str
    most: float
    text: str


@dataclass(frozen=True)
class QosRules:
    """Holds the caps of each QOS, and which QOS a job gets that asks for none.

    Attributes:
        caps: by the name of the QOS.
        usual: account → QOS; under "" that of any other.
    """

    caps: Mapping[str, list[Cap]] = field(default_factory=dict)
    usual: Mapping[str, str] = field(default_factory=dict)


def read_qos_rules() -> QosRules:
    """Read the caps of all QOS; none where there is no accounting, or nobody enforces limits."""
    try:
        controller = ask_controller()
        if not controller.enforces_limits:
            return QosRules()
        here = (f"user={getpass.getuser()}", f"cluster={controller.cluster}")
        levels = accounting_table("qos", ",".join(["Name", *_PER, "MaxWall"]))
        accounts = accounting_table("associations", "Account,DefaultQOS", *here)
    except SchedulerError:
        return QosRules()
    usual = {"": accounts[0][1] if accounts else ""} | dict(accounts)
    return QosRules({level[0]: list(_caps(level)) for level in levels}, usual)


def beyond_qos(wanted: Resources, rules: QosRules) -> list[str]:
    """Say what a job asks for that its QOS never lets it have; empty where it fits."""
    usual = rules.usual.get(wanted.account or "", rules.usual.get("", ""))
    name = wanted.qos or usual or "normal"
    times = f" x nodes {wanted.nodes}" if wanted.nodes > 1 else ""
    cpus = wanted.cpus * wanted.tasks
    totals = {
        "gpus": (wanted.gpus * wanted.nodes, f"gpus {wanted.gpus}{times}"),
        "cpus": (cpus * wanted.nodes, f"cpus {cpus}{times}"),
        "mem_gb": (wanted.mem_gb * wanted.nodes, f"mem_gb {wanted.mem_gb:g}{times}"),
        "nodes": (wanted.nodes, f"nodes {wanted.nodes}"),
        "timeout_min": (wanted.timeout_min, f"timeout_min {wanted.timeout_min}"),
    }
    return [
        f"resources.{totals[cap.key][1]}: QOS {name} allows {cap.text}"
        for cap in rules.caps.get(name, [])
        if totals[cap.key][0] > cap.most
    ]


def _caps(level: list[str]) -> Iterator[Cap]:
    """Yield the caps in a row of `sacctmgr show qos`."""
    _, *of_tres, wall = level
    for per, text in zip(_PER.values(), of_tres, strict=True):
        for entry in filter(None, text.split(",")):
            resource, _, amount = entry.partition("=")
            key = _KEYS.get(resource)
            most = _number(amount, in_gb=key == "mem_gb")
            if key is not None and most is not None:
                yield Cap(key, most, f"{most:g} for {per}")
    seconds = seconds_of(wall)
    if seconds is not None:
        yield Cap("timeout_min", seconds / 60, f"{seconds / 60:g} for a job")


def _number(amount: str, in_gb: bool) -> float | None:
    """Return an amount such as 8 or 64G; of memory in GB, and megabytes where it has no unit."""
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        return None
    factor = _GB_PER_UNIT[match[2] or "M"] if in_gb else 1.0
    return float(match[1]) * factor
