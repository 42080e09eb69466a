"""Asks how much a cluster takes at once: the size of an array, and the jobs of a user.

It is read from SLURM before each submission. What cannot be read, as where there is no accounting,
counts as no limit: a submission that SLURM refuses all the same stays planned.
"""

import getpass
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask

_DEFAULT_ARRAY_SIZE = 1001  # SLURM's own, where scontrol does not tell


@dataclass(frozen=True)
class Controller:
    """Holds the settings of slurmctld that limit a submission.

    Attributes:
        cluster: its ClusterName, empty where it has none.
        array_size: MaxArraySize, which limits the index: the highest is one less.
        max_jobs: MaxJobCount, of the whole cluster.
        enforces_limits: whether associations and QOS limit what a user may submit.
    """

    cluster: str
    array_size: int
    max_jobs: int | None
    enforces_limits: bool


class Charge(NamedTuple):
    """Names what a job counts against; None for what SLURM chooses."""

    account: str | None
    qos: str | None


@dataclass
class Limit:
    """Says how many jobs of an account or QOS may wait or run at most.

    Attributes:
        name: what sets it.
        jobs: how many may.
        account: whose jobs count; None for any.
        qos: whose jobs count; None for any.
        queued: how many wait or run now.
    """

    name: str
    jobs: int
    account: str | None = None
    qos: str | None = None
    queued: int = 0

    def covers(self, charge: Charge) -> bool:
        """Tell whether a job counts against this limit."""
        return self.account in (None, charge.account) and self.qos in (None, charge.qos)


@dataclass
class Room:
    """Tells job by job what may still be submitted.

    Attributes:
        limits: all that are known.
        usual: account → QOS that SLURM chooses for it.
    """

    limits: list[Limit] = field(default_factory=list)
    usual: dict[str, str] = field(default_factory=dict)

    def take(self, charge: Charge) -> str | None:
        """Count one more job; where a limit is reached, count none and say which limit it is."""
        settled = self._settled(charge)
        covering = [limit for limit in self.limits if limit.covers(settled)]
        for limit in covering:
            if limit.queued >= limit.jobs:
                return f"{limit.name} is {limit.jobs}"
        for limit in covering:
            limit.queued += 1
        return None

    def _settled(self, charge: Charge) -> Charge:
        """Fill in what SLURM chooses, as far as it is known: with several accounts it is not."""
        account = charge.account
        if not account and len(self.usual) == 1:
            (account,) = self.usual
        return Charge(account or None, charge.qos or self.usual.get(account or ""))


def ask_controller() -> Controller:
    """Read the settings that limit a submission.

    Raises:
        SchedulerError: scontrol does not answer, so sbatch would not either.
    """
    values = read_config()
    enforced = values.get("AccountingStorageEnforce", "")
    return Controller(
        cluster=values.get("ClusterName", ""),
        array_size=_number(values.get("MaxArraySize", "")) or _DEFAULT_ARRAY_SIZE,
        max_jobs=_number(values.get("MaxJobCount", "")),
        enforces_limits=any(word in enforced for word in ("limits", "safe", "qos", "all")),
    )


def read_config() -> dict[str, str]:
    """Return the keys of `scontrol show config`.

    Raises:
        SchedulerError: scontrol does not answer.
    """
    values = {}
    for line in ask("scontrol", "show", "config").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            values[key.strip()] = value.strip()
    return values


def accounting_table(table: str, fields: str, *conditions: str) -> list[list[str]]:
    """Return rows of `sacctmgr show`; a torn last line is left out.

    Raises:
        SchedulerError: there is no accounting, or it does not answer.
    """
    listed = ask(
        "sacctmgr", "--noheader", "--parsable2", "show", table, *conditions, f"format={fields}"
    )
    rows = [line.split("|") for line in listed.splitlines() if line.strip()]
    return [row for row in rows if len(row) == len(fields.split(","))]


def ask_room(controller: Controller, max_jobs: int | None) -> Room:
    """Ask how many more jobs this user may submit.

    Args:
        controller: of the cluster.
        max_jobs: a limit that clusters.yaml tells.

    Raises:
        SchedulerError: squeue did not answer.
    """
    room = Room()
    if controller.enforces_limits:
        room = _accounting_room()

    # Two limits hold for all jobs, whatever they count against.
    if controller.max_jobs is not None:
        room.limits.append(Limit("MaxJobCount of the cluster", controller.max_jobs))
    if max_jobs is not None:
        room.limits.append(Limit("max_jobs in clusters.yaml", max_jobs))

    # Without a limit there is no need to ask what is queued.
    if room.limits:
        for charge in _queued():
            for limit in room.limits:
                limit.queued += limit.covers(charge)
    return room


def _accounting_room() -> Room:
    """Return the limits of the user's accounts and of the QOS; none where slurmdbd is silent."""
    try:
        associations = accounting_table(
            "associations", "Account,MaxSubmitJobs,DefaultQOS", f"user={getpass.getuser()}"
        )
        levels = accounting_table("qos", "Name,MaxSubmitJobsPU")
    except SchedulerError:
        return Room()

    room = Room()
    for account, max_submit, default_qos in associations:
        room.usual[account] = default_qos
        jobs = _number(max_submit)
        if jobs is not None:
            room.limits.append(Limit(f"MaxSubmitJobs of account {account}", jobs, account=account))
    for qos, max_submit in levels:
        jobs = _number(max_submit)
        if jobs is not None:
            room.limits.append(Limit(f"MaxSubmitJobs of QOS {qos}", jobs, qos=qos))
    return room


def _queued() -> list[Charge]:
    """Return what each waiting or running job of the user counts against, task by task."""
    listed = ask("squeue", "--noheader", "--array", f"--user={getpass.getuser()}", "--format=%a|%q")
    charges = []
    for line in listed.splitlines():
        if line:
            account, _, qos = line.strip().partition("|")
            charges.append(Charge(account, qos))
    return charges


def _number(text: str) -> int | None:
    """Return a number that is set; None for what is none, such as `N/A`."""
    return int(text) if text.isdecimal() else None
