"""Explains why SLURM lets a job wait: its short reasons, and what they mean to the user.

squeue(1) lists them under "JOB REASON CODES".
"""

from functools import cache

# The longest key that a reason starts with counts: QOSMaxJobsPerUserLimit is found under
# QOSMaxJobs. Order does not matter.
WORDS = {
    "Assoc": "a limit of your account is reached",
    "AssocGrpCPU": "your account's share of CPUs is in use",
    "AssocGrpGRES": "your account's share of GPUs is in use",
    "AssocGrpMem": "your account's share of memory is in use",
    "AssocMaxJobs": "your account lets no more jobs run at once",
    "AssocMaxSubmit": "your account takes no more jobs at once",
    "BadConstraints": "no node can meet its constraint: change resources",
    "BeginTime": "it starts at a set time; after a requeue that is two minutes",
    "Cleaning": "it was requeued, and its old node is being cleaned up",
    "Dependency": "it waits for another job",
    "InvalidAccount": "its account does not exist: change resources.account",
    "InvalidQOS": "its QOS does not exist: change resources.qos",
    "JobArrayTaskLimit": "as many of the sweep's jobs as --slots allows are running",
    "JobHeldAdmin": "held by an administrator: ask your site",
    "JobHeldUser": "held: release it with scontrol release, or launch again",
    "JobLaunchFailure": "its node could not start it",
    "Licenses": "it waits for a licence",
    "MaxJobPerUser": "you may run no more jobs at once",
    "NodeDown": "the node that it needs is down",
    "None": "SLURM has not looked at it yet",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition takes no jobs now",
    "PartitionNodeLimit": "it asks for more nodes than its partition allows: change resources",
    "PartitionTimeLimit": "it asks for more time than its partition allows: "
    "lower resources.timeout_min",
    "Priority": "other jobs come first",
    "Prolog": "its node is being prepared",
    "QOS": "a limit of your QOS is reached",
    "QOSGrpCPU": "the CPUs of your QOS are in use",
    "QOSGrpGRES": "the GPUs of your QOS are in use",
    "QOSMaxCpu": "it asks for more CPUs than your QOS lets you have",
    "QOSMaxGRES": "it asks for more GPUs than your QOS lets you have",
    "QOSMaxJobs": "your QOS lets no more of your jobs run at once",
    "QOSMaxSubmit": "your QOS takes no more jobs at once",
    "QOSMaxWall": "it asks for more time than your QOS allows: lower resources.timeout_min",
    "QOSMinGRES": "it asks for fewer GPUs than your QOS demands",
    "ReqNodeNotAvail": "the node that it needs is down or reserved",
    "Reservation": "it waits for its reservation to begin",
    "Resources": "first in line, waiting for a free node",
    "TimeLimit": "it used up its time",
    "launch failed requeued held": "its node could not start it, and SLURM holds it: "
    "scontrol release",
}


@cache  # thousands of jobs wait for the same few reasons
def explain(reason: str) -> str:
    """Return what a reason means, and SLURM's own word; an unknown reason as it is.

    Args:
        reason: as squeue's %r or %R prints it; `ReqNodeNotAvail, UnavailableNodes:n1` keeps its
            end.
    """
    plain = reason.strip().strip("()")
    spaced = plain.replace("_", " ")
    key = max((key for key in WORDS if spaced.startswith(key)), key=len, default=None)
    if key is None:
        return plain
    return f"{WORDS[key]} ({plain})"
