"""How much a cluster takes at once: the size of an array, and how many jobs of a user may wait and
run.

Read from SLURM before each submission. What cannot be read, as where there is no accounting, counts
as no limit: a submission that SLURM refuses all the same stays planned.
"""

import getpass
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask

_DEFAULT_ARRAY_SIZE = 1001  # SLURM's own, where scontrol does not tell


@dataclass(frozen=True)
class Controller:
    """What slurmctld is set to.

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
    """What a job counts against; None for what SLURM chooses."""

    account: str | None
    qos: str | None


@dataclass
class Limit:
    """At most `jobs` jobs of an account or QOS (None for any) may wait or run; `queued` do."""

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
    """What may still be submitted, told job by job.

    Attributes:
        limits: all that are known.
        usual: account → QOS that SLURM chooses for it.
    """

    limits: list[Limit] = field(default_factory=list)
    usual: dict[str, str] = field(default_factory=dict)

    def take(self, charge: Charge) -> str | None:
        """Count one more job; where a limit is reached, count nothing and return that limit in
        words.
        """
        covering = [limit for limit in self.limits if limit.covers(self._settled(charge))]
        for limit in covering:
            if limit.queued >= limit.jobs:
                return f"{limit.name} is {limit.jobs}"
        for limit in covering:
            limit.queued += 1
        return None

    def _settled(self, charge: Charge) -> Charge:
        """Fill in what SLURM chooses, as far as it is known: with several accounts it is not."""
        account = charge.account or (next(iter(self.usual)) if len(self.usual) == 1 else None)
        return Charge(account, charge.qos or self.usual.get(account or ""))


def ask_controller() -> Controller:
    """Read the settings that limit a submission.

    Raises:
        SchedulerError: scontrol does not answer, so sbatch would not either.
    """
    values = read_config()
    enforced = values.get("AccountingStorageEnforce", "")
    return Controller(
        values.get("ClusterName", ""),
        _number(values.get("MaxArraySize")) or _DEFAULT_ARRAY_SIZE,
        _number(values.get("MaxJobCount")),
        any(word in enforced for word in ("limits", "safe", "qos", "all")),
    )


def read_config() -> dict[str, str]:
    """Return the keys of `scontrol show config`.

    Raises:
        SchedulerError: scontrol does not answer.
    """
    pairs = (
        line.partition("=")
        for line in ask("scontrol", "show", "config").splitlines()
        if "=" in line
    )
    return {key.strip(): value.strip() for key, _, value in pairs}


def accounting_table(what: str, fields: str, *conditions: str) -> list[list[str]]:
    """Return rows of `sacctmgr show`; a torn last line is left out.

    Raises:
        SchedulerError: there is no accounting, or it does not answer.
    """
    listed = ask(
        "sacctmgr", "--noheader", "--parsable2", "show", what, *conditions, f"format={fields}"
    )
    rows = [line.split("|") for line in listed.splitlines() if line.strip()]
    return [row for row in rows if len(row) == len(fields.split(","))]


def ask_room(controller: Controller, max_jobs: int | None) -> Room:
    """Tell how many more jobs this user may submit.

    Args:
        controller: of the cluster.
        max_jobs: a limit that clusters.yaml tells.

    Raises:
        SchedulerError: squeue did not answer.
    """
    room = _accounting_room() if controller.enforces_limits else Room()
    of_all = (
        ("MaxJobCount of the cluster", controller.max_jobs),
        ("max_jobs in clusters.yaml", max_jobs),
    )
    room.limits += [Limit(name, jobs) for name, jobs in of_all if jobs is not None]
    for charge in _queued() if room.limits else []:
        for limit in room.limits:
            limit.queued += limit.covers(charge)
    return room


def _accounting_room() -> Room:
    """Return the limits of the user's associations and of the QOS; none where slurmdbd does not
    tell.
    """
    try:
        associations = accounting_table(
            "associations",
            "Account,MaxSubmitJobs,GrpSubmitJobs,DefaultQOS",
            f"user={getpass.getuser()}",
        )
        levels = accounting_table("qos", "Name,MaxSubmitJobsPU,GrpSubmitJobs")
    except SchedulerError:
        return Room()
    limits = [
        Limit(f"MaxSubmitJobs of account {row[0]}", jobs, account=row[0])
        for row in associations
        for jobs in _numbers(row)
    ]
    limits += [
        Limit(f"MaxSubmitJobs of QOS {row[0]}", jobs, qos=row[0])
        for row in levels
        for jobs in _numbers(row)
    ]
    return Room(limits, {row[0]: row[3] for row in associations})


def _queued() -> list[Charge]:
    """Return what each job of the user that waits or runs counts against, array tasks one by one."""
    listed = ask("squeue", "--noheader", "--array", f"--user={getpass.getuser()}", "--format=%a|%q")
    return [
        Charge(account, qos)
        for account, _, qos in (line.strip().partition("|") for line in listed.splitlines() if line)
    ]


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _numbers(row: Sequence[str]) -> list[int]:
    """Return the two limits behind a name, as far as they are set."""
    return [int(text) for text in row[:2] if text.isdecimal()]
