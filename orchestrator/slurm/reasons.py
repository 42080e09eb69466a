"""Explains why SLURM lets a job wait: its short reasons, and what they mean to the user.

squeue(1) lists them under "JOB REASON CODES". SLURM writes some of them in several cases and with
underscores for spaces, so neither counts.
"""

import re
from functools import cache

# The longest key that a reason starts with counts: `ReqNodeNotAvail, UnavailableNodes:n1` is found
# under ReqNodeNotAvail. Order does not matter.
WORDS = {
    "Assoc": "a limit of your account is reached",
    "BeginTime": "it starts at a set time; after a requeue that is two minutes",
    "BurstBuffer": "its data is being copied to or from a burst buffer",
    "BurstBufferResources": "it waits for room in a burst buffer",
    "Cleaning": "it was requeued, and its old node is being cleaned up",
    "Dependency": "it waits for another job",
    "FedJobLock": "the clusters of the federation settle which of them runs it",
    "FrontEndDown": "the cluster has no front end that can start it now",
    "InactiveLimit": "it reached the cluster's limit for jobs without activity",
    "JobArrayTaskLimit": "as many of the sweep's jobs as --slots allows are running",
    "JobLaunchFailure": "its node could not start it",
    "Licenses": "it waits for a licence",
    "MaxEnergyPerAccount": "a limit of your account is reached",
    "MaxJobPerUser": "you may run no more jobs at once",
    "NodeDown": "the node that it needs is down",
    "MaxPoweringUp": "as many nodes as the cluster allows are being switched on",
    "NonZeroExitCode": "its last attempt ended with an error",
    "Nodes required for job are DOWN": "the nodes that could run it are down, drained or kept for "
    "jobs of more priority",
    "None": "SLURM has not looked at it yet",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition takes no jobs now",
    "PowerNotAvail": "the cluster has no electric power left for it now",
    "PowerReserved": "the electric power that it needs is reserved",
    "Priority": "other jobs come first",
    "Prolog": "its node is being prepared",
    "QOS": "a limit of your QOS is reached",
    "ReqNodeNotAvail": "the node that it needs is down or reserved",
    "Reservation": "it waits for its reservation to begin",
    "Resources": "first in line, waiting for a free node",
    "SchedDefer": "SLURM was asked to let it wait before it starts",
    "SystemFailure": "SLURM itself, a file system or a network failed",
    "TimeLimit": "it used up its time",
}
"""Reasons that pass."""

STUCK = {
    "AccountNotAllowed": "its partition does not take its account: change resources.account or "
    "partition",
    "BadConstraints": "no node can meet its constraint: change resources",
    "Constraints": "no node can meet its constraint now: wait, or change resources.constraint",
    "DeadLine": "it cannot end before its deadline: change resources.sbatch",
    "DependencyNeverSatisfied": "the job that it waits for has failed: cancel it and launch again",
    "InvalidAccount": "its account does not exist: change resources.account",
    "InvalidQOS": "its QOS does not exist: change resources.qos",
    "JobHeldAdmin": "held by an administrator, who alone can release it: ask your site",
    "JobHeldUser": "held by you: scontrol release lets it start",
    "JobHoldMaxRequeue": "requeued too often, so SLURM holds it: see why its nodes fail, then "
    "scontrol release",
    "job requeued in held state": "requeued and held: scontrol release lets it start",
    "launch failed requeued held": "its node could not start it, and SLURM holds it: "
    "scontrol release",
    "launch failure limit exceeded": "its nodes could not start it, and SLURM holds it: "
    "scontrol release",
    "MaxRequeue": "requeued too often, so SLURM holds it: see why its nodes fail, then "
    "scontrol release",
    "PartitionConfig": "its partition does not allow what it asks for: change resources",
    "MaxMemPerLimit": "it asks for more memory than its partition allows: change resources.mem_gb",
    "PartitionNodeLimit": "it asks for more nodes than its partition allows: change resources",
    "PartitionTimeLimit": "it asks for more time than its partition allows: "
    "lower resources.timeout_min",
    "QOSNotAllowed": "its partition or account does not take its QOS: change resources.qos",
    "QOSUsageThreshold": "your QOS demands that you have used less of late: ask your site",
    "ReservationDeleted": "its reservation is gone: change resources.reservation",
    "user env retrieval failed": "SLURM could not read your environment, and holds it: "
    "scontrol release",
}
"""Reasons that stay until somebody does what they say."""

_LIMIT = re.compile(
    r"(?P<owner>assoc|qos)?(?P<kind>grp|max|min)(?P<what>cpu|gres|mem|node|job|submit|wall|bill)"
)
"""Names of limits are put together: QOSMaxGRESPerUser, AssocGrpCPUMinutesLimit."""

_NOUNS = {
    "cpu": ("CPUs", "cpus"),
    "gres": ("GPUs", "gpus"),
    "mem": ("memory", "mem_gb"),
    "node": ("nodes", "nodes"),
    "bill": ("billing units", "gpus, cpus or mem_gb"),
    "wall": ("time", "timeout_min"),
}


@cache  # thousands of jobs wait for the same few reasons
def explain(reason: str) -> str:
    """Return what a reason means, and SLURM's own word; an unknown reason as it is.

    Args:
        reason: as squeue's %r or %R prints it; `ReqNodeNotAvail, UnavailableNodes:n1` keeps its
            end.
    """
    plain = reason.strip().strip("()")
    words, _ = _meaning(plain)
    if words is None:
        return plain
    return f"{words} ({plain})"


@cache
def is_stuck(reason: str) -> bool:
    """Tell whether a job that waits for this reason never starts unless somebody does something."""
    _, stuck = _meaning(reason.strip().strip("()"))
    return stuck


def _meaning(plain: str) -> tuple[str | None, bool]:
    """Return what a reason means, None for an unknown one, and whether it stays."""
    # A word that is listed whole counts before what its parts look like.
    if plain in STUCK:
        return STUCK[plain], True
    limit = _of_limit(plain.lower())
    if limit is not None:
        return limit
    spaced = plain.replace("_", " ").lower()
    known = WORDS | STUCK
    fitting = [key for key in known if spaced.startswith(key.lower())]
    if not fitting:
        return None, False
    key = max(fitting, key=len)
    return known[key], key in STUCK


def _of_limit(name: str) -> tuple[str, bool] | None:
    """Put the name of a limit into words; None for another reason."""
    parts = _LIMIT.match(name)
    if parts is None:
        return None
    owner = "your QOS" if parts["owner"] == "qos" else "your account"
    kind, what = parts["kind"], parts["what"]

    # Limits of how many jobs there are, which pass.
    if what == "submit":
        return f"{owner} takes no more jobs at once", False
    if what == "job":
        return f"{owner} lets no more of your jobs run at once", False

    # Limits of what jobs have: of this one, which stay, or of all that run.
    noun, key = _NOUNS[what]
    if kind == "min":
        fewer = "less" if what == "mem" else "fewer"
        return f"it asks for {fewer} {noun} than {owner} demands: raise resources.{key}", True
    if what == "wall" and kind == "max":
        return f"it asks for more time than {owner} allows: lower resources.{key}", True
    if "runminutes" in name:
        return f"your running jobs fill what {owner} may still run; it starts as they end", False
    if "minutesperjob" in name:
        return f"{noun} times hours are more than {owner} allows: lower timeout_min or {key}", True
    if "minutes" in name or what == "wall":
        return f"the hours that {owner} has are used up: ask your site", True
    if kind == "grp":
        return f"{owner}'s share of {noun} is in use", False
    if "perjob" in name or "pernode" in name:
        return f"it asks for more {noun} than {owner} lets a job have: lower resources.{key}", True
    more = f"{owner} lets you have no more {noun} at once"
    return f"{more}; if no job of yours runs, it asks for too much: lower resources.{key}", False
