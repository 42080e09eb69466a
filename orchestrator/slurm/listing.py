"""What SLURM says of our jobs: one `squeue` for what it still knows, one `sacct` for what it has
forgotten.

Both are asked by job name, which is unique to a submission, so an id that SLURM used again is never
taken for ours.
"""

import time
from collections.abc import Callable, Collection, Mapping

from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask
from orchestrator.store.jobs import JobFacts

_TIMEOUT_S = 10
_QUEUE = "%i|%j|%T|%V|%N|%r"
_ACCOUNT = "JobID,JobName,State,Submit,NodeList,ExitCode"

Listing = Mapping[tuple[str, str], JobFacts]
"""(job name, job id) → what is known of the job."""


def queue(names: Collection[str]) -> Listing | None:
    """List the jobs of these names that wait or run, and those that ended a short while ago
    (MinJobAge).

    Returns:
        None where squeue did not answer.
    """
    return _list(_waiting_job, names, "squeue", "--array", "--states=all", f"--format={_QUEUE}")


def account(names: Collection[str], since: float) -> Listing | None:
    """List the jobs of these names submitted since a time (seconds since 1970), from the accounting
    database.

    Returns:
        None where there is no accounting, or it did not answer.
    """
    options = (
        "--allocations",
        "--allusers",
        "--parsable2",
        f"--starttime={_clock(since)}",
        f"--format={_ACCOUNT}",
    )
    return _list(_accounted_job, names, "sacct", *options)


def _list(
    parse: Callable[[list[str]], JobFacts], names: Collection[str], *command: str
) -> Listing | None:
    if not names:
        return {}
    try:
        printed = ask(
            *command, "--noheader", "--name=" + ",".join(sorted(names)), timeout_s=_TIMEOUT_S
        )
    except SchedulerError:
        return None
    rows = [line.strip().split("|", 5) for line in printed.splitlines()]
    return {(row[1], row[0]): parse(row) for row in rows if len(row) == 6 and row[1] in names}


def _waiting_job(row: list[str]) -> JobFacts:
    job_id, _, word, submitted, node, reason = row
    return JobFacts(job_id, word, _seconds(submitted), reason if reason != "None" else "", node)


def _accounted_job(row: list[str]) -> JobFacts:
    job_id, _, words, submitted, node, exit_code = row
    word, _, by = words.partition(" ")  # "CANCELLED by 1234"
    return JobFacts(
        job_id,
        word.rstrip("+"),
        _seconds(submitted),
        by,
        "" if node == "None assigned" else node,
        exit_code,
    )


def _seconds(printed: str) -> float:
    return float(printed) if printed.isdecimal() else 0.0


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
