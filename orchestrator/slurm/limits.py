"""Asks how much a cluster takes at once: the size of an array, and the jobs of a user.

It is read from SLURM before each submission. What cannot be read, as where there is no accounting,
counts as no limit: a submission that SLURM refuses all the same stays planned.
"""

import getpass
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask
from orchestrator.slurm.partitions import Settings, read_settings

_BY_USER, _BY_ACCOUNT, _BY_GROUP = "user", "account", "group"
_FIRST_QOS_RANK, _PARTITION_RANK, _QOS_RANK, _ASSOCIATION_RANK = 1, 2, 3, 4
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
    partition: str | None = None


@dataclass
class Limit:
    """Says how many jobs of an account, QOS or partition may wait or run at most.

    Attributes:
        name: what sets it.
        jobs: how many may.
        accounts: whose jobs count, those of accounts below too; None for any.
        qos: whose jobs count; None for any.
        partitions: whose jobs count; None for any.
        counts: whether it counts the jobs of this user, or also of others.
        rank: of the limits that count alike, SLURM looks at those of the lowest rank alone; one of
            rank 0 always counts.
        queued: how many wait or run now.
    """

    name: str
    jobs: int
    accounts: frozenset[str] | None = None
    qos: str | None = None
    partitions: frozenset[str] | None = None
    counts: str = _BY_USER
    rank: int = 0
    queued: int = 0

    def covers(self, charge: Charge) -> bool:
        """Tell whether a job counts against this limit."""
        partitions = (charge.partition or "").split(",")
        return (
            self.qos in (None, charge.qos)
            and (self.accounts is None or charge.account in self.accounts)
            and (self.partitions is None or not self.partitions.isdisjoint(partitions))
        )


@dataclass
class Room:
    """Tells job by job what may still be submitted.

    Attributes:
        limits: all that are known.
        usual: account → QOS that SLURM chooses for it.
        usual_partition: that SLURM chooses; None where that is not known.
    """

    limits: list[Limit] = field(default_factory=list)
    usual: dict[str, str] = field(default_factory=dict)
    usual_partition: str | None = None

    def take(self, charge: Charge) -> str | None:
        """Count one more job; where a limit is reached, count none and say which limit it is."""
        settled = self._settled(charge)
        covering = [limit for limit in self.limits if limit.covers(settled)]
        for limit in covering:
            if limit.queued >= limit.jobs and _is_in_force(limit, covering):
                return f"{limit.name} is {limit.jobs}"
        for limit in covering:
            limit.queued += 1
        return None

    def _settled(self, charge: Charge) -> Charge:
        """Fill in what SLURM chooses, as far as it is known: with several accounts it is not."""
        account = charge.account
        if not account and len(self.usual) == 1:
            (account,) = self.usual
        qos = charge.qos or self.usual.get(account or "")
        return Charge(account or None, qos, charge.partition or self.usual_partition)


def _is_in_force(limit: Limit, covering: Sequence[Limit]) -> bool:
    """Tell whether SLURM looks at a limit: that of a partition's QOS goes before that of the job's
    QOS, and both before that of an association.
    """
    alike = [other.rank for other in covering if other.counts == limit.counts]
    return limit.rank in (0, min(filter(None, alike), default=0))


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
        enforces_limits=any(word in enforced for word in ("limits", "safe", "all")),
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
        room = accounting_room(controller.cluster)

    # Two limits hold for all jobs, whatever they count against.
    if controller.max_jobs is not None:
        room.limits.append(Limit("MaxJobCount of the cluster", controller.max_jobs))
    if max_jobs is not None:
        room.limits.append(Limit("max_jobs in clusters.yaml", max_jobs))

    # Without a limit there is no need to ask what is queued; a group's counts jobs of others too.
    own = [limit for limit in room.limits if limit.counts == _BY_USER]
    shared = [limit for limit in room.limits if limit.counts != _BY_USER]
    _count(own, f"--user={getpass.getuser()}")
    _count(shared)
    return room


def accounting_room(cluster: str) -> Room:
    """Return the limits of the user's associations, of QOS levels and of partitions.

    There are none where slurmdbd is silent. MaxJobs and GrpJobs are not among them: they limit
    what runs, so jobs that wait for them may be sent.
    """
    here = f"cluster={cluster}"
    try:
        associations = accounting_table(
            "associations",
            "Account,Partition,MaxSubmitJobs,GrpSubmitJobs,DefaultQOS",
            f"user={getpass.getuser()}",
            here,
        )
        accounts = accounting_table(
            "associations", "Account,ParentName,GrpSubmitJobs", "user=", here
        )
        levels = accounting_table("qos", "Name,MaxSubmitJobsPU,MaxSubmitJobsPA,GrpSubmitJobs,Flags")
        # Of partitions, only those matter that have a QOS, or an association of their own.
        with_limits = any(any(level[1:4]) for level in levels)
        settings = {}
        if with_limits or any(row[1] for row in associations):
            settings = read_settings()
    except SchedulerError:
        return Room()

    own = [row[0] for row in associations]
    room = Room(usual={row[0]: row[4] for row in associations if not row[1]})
    for name, values in settings.items():
        if values.get("Default") == "YES":
            room.usual_partition = name
    room.limits += _of_associations(associations)
    room.limits += _of_accounts(accounts, own)
    for level in levels:
        room.limits += _of_qos(level, own, settings)
    return room


def _of_associations(rows: Sequence[Sequence[str]]) -> Iterator[Limit]:
    """Yield the limits that were set for this user in an account, perhaps in one partition of it."""
    for account, partition, max_submit, group_submit, _ in rows:
        place = f"account {account}"
        partitions = None
        if partition:
            place += f" in partition {partition}"
            partitions = frozenset([partition])
        for name, text in (("MaxSubmitJobs", max_submit), ("your GrpSubmitJobs", group_submit)):
            jobs = _number(text)
            if jobs is not None:
                accounts = frozenset([account])
                yield Limit(
                    f"{name} of {place}", jobs, accounts, None, partitions, rank=_ASSOCIATION_RANK
                )


def _of_accounts(rows: Sequence[Sequence[str]], own: Sequence[str]) -> Iterator[Limit]:
    """Yield the limits of the user's accounts and of those above, which all their users share."""
    parents = {account: parent for account, parent, _ in rows}
    for account, _, group_submit in rows:
        jobs = _number(group_submit)
        below = frozenset(name for name in parents if account in _upwards(name, parents))
        if jobs is not None and not below.isdisjoint(own):
            name = f"GrpSubmitJobs of account {account}"
            yield Limit(name, jobs, below, counts=_BY_GROUP, rank=_ASSOCIATION_RANK)


def _upwards(account: str, parents: Mapping[str, str]) -> list[str]:
    """Return an account and those above it, from below."""
    chain: list[str] = []
    while account in parents and account not in chain:
        chain.append(account)
        account = parents[account]
    return chain


def _of_qos(
    level: Sequence[str], own: Sequence[str], partitions: Mapping[str, Settings]
) -> Iterator[Limit]:
    """Yield the limits of a QOS: for jobs that ask for it, and for partitions that have it."""
    qos, per_user, per_account, group, flags = level
    with_it = frozenset(name for name, values in partitions.items() if values.get("QoS") == qos)
    job_rank = _FIRST_QOS_RANK if "OverPartQOS" in flags else _QOS_RANK
    accounts = [frozenset([account]) for account in dict.fromkeys(own)]
    kinds: list[tuple[str, str, str, Sequence[frozenset[str] | None]]] = [
        ("MaxSubmitJobsPerUser", per_user, _BY_USER, [None]),
        ("MaxSubmitJobsPerAccount", per_account, _BY_ACCOUNT, accounts),
        ("GrpSubmitJobs", group, _BY_GROUP, [None]),
    ]
    for setting, text, counts, counted_apart in kinds:
        jobs = _number(text)
        if jobs is None:
            continue
        name = f"{setting} of QOS {qos}"
        for of in counted_apart:
            yield Limit(name, jobs, of, qos, None, counts, job_rank)
            if with_it:
                holder = f"{name}, that of partition {', '.join(sorted(with_it))}"
                yield Limit(holder, jobs, of, None, with_it, counts, _PARTITION_RANK)


def _count(limits: Sequence[Limit], *of: str) -> None:
    """Count what waits and runs, task by task, against each limit."""
    if not limits:
        return
    listed = ask("squeue", "--noheader", "--array", *of, "--format=%a|%q|%P")
    for line in listed.splitlines():
        if line:
            charge = Charge(*line.strip().split("|"))
            for limit in limits:
                limit.queued += limit.covers(charge)


def _number(text: str) -> int | None:
    """Return a number that is set; None for what is none, such as `N/A`."""
    return int(text) if text.isdecimal() else None
