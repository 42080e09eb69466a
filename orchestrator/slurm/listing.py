"""Lists our jobs: by `squeue` those that SLURM still knows, by `sacct` those it has forgotten.

Both are asked by job name, which is unique to a submission, so an id that SLURM used again is never
taken for ours. A job that its user has renamed is known by its id and its script.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import PurePath

from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask
from orchestrator.store.jobs import JobFacts

_TIMEOUT_S = 10
_QUEUE = "%i|%j|%T|%V|%N|%r"
_QUEUE_OF_SCRIPTS = "%i|%o|%T|%V|%N|%r"
_IDS_PER_CALL = 500
_ACCOUNT = "JobID,JobName,State,Submit,NodeList,ExitCode"

Listing = Mapping[tuple[str, str], JobFacts]
"""(job name, job id) → what is known of the job."""


def queue(names: Collection[str]) -> Listing | None:
    """List the jobs of these names that wait or run, or ended a short while ago (MinJobAge).

    Returns:
        None where squeue did not answer.
    """
    return _list(_waiting_job, names, "squeue", "--array", "--states=all", f"--format={_QUEUE}")


def renamed(job_ids: Collection[str]) -> Listing:
    """List those of these jobs that squeue knows, by the names that they were submitted with.

    The name is that of the script, which nobody can change; what it cannot tell is left out.
    """
    arrays = sorted({job_id.partition("_")[0] for job_id in job_ids})
    jobs: dict[tuple[str, str], JobFacts] = {}
    for start in range(0, len(arrays), _IDS_PER_CALL):
        for row in _rows_by_id(arrays[start : start + _IDS_PER_CALL]):
            if row[0] in job_ids:
                jobs[PurePath(row[1]).stem, row[0]] = _waiting_job(row)
    return jobs


def _rows_by_id(arrays: Sequence[str]) -> Iterator[list[str]]:
    """Yield six fields of each job of these arrays; none where SLURM has forgotten them all."""
    options = ("--noheader", "--array", "--states=all", f"--format={_QUEUE_OF_SCRIPTS}")
    try:
        printed = ask("squeue", *options, f"--jobs={','.join(arrays)}", timeout_s=_TIMEOUT_S)
    except SchedulerError:
        return
    rows = [line.strip().split("|", 5) for line in printed.splitlines()]
    yield from (row for row in rows if len(row) == 6)


def words(name: str) -> set[str] | None:
    """Return SLURM's words for the jobs of that name that it still knows; None for no answer."""
    listing = queue([name])
    if listing is None:
        return None
    return {facts.word for facts in listing.values()}


def names_beginning(start: str) -> set[str] | None:
    """Return the names of all jobs that wait or run and begin so; None for no answer."""
    try:
        printed = ask("squeue", "--noheader", "--format=%j", timeout_s=_TIMEOUT_S)
    except SchedulerError:
        return None
    return {name for name in map(str.strip, printed.splitlines()) if name.startswith(start)}


def account(names: Collection[str], since: float) -> Listing | None:
    """List the jobs of these names that the accounting database has.

    Args:
        names: of jobs.
        since: when the first of them was submitted, in seconds since 1970.

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
    """Run a command that prints six fields of each job; None where it did not answer."""
    if not names:
        return {}
    by_name = f"--name={','.join(sorted(names))}"
    try:
        printed = ask(*command, "--noheader", by_name, timeout_s=_TIMEOUT_S)
    except SchedulerError:
        return None

    # A torn last line has fewer fields, and is left out.
    rows = [line.strip().split("|", 5) for line in printed.splitlines()]
    return {(row[1], row[0]): parse(row) for row in rows if len(row) == 6 and row[1] in names}


def _waiting_job(row: list[str]) -> JobFacts:
    job_id, _, word, submitted, node, reason = row
    if reason == "None":
        reason = ""
    return JobFacts(job_id, word, _moment(submitted), reason, node)


def _accounted_job(row: list[str]) -> JobFacts:
    job_id, _, words, submitted, node, exit_code = row
    word, _, by = words.partition(" ")  # "CANCELLED by 1234"
    if node == "None assigned":
        node = ""
    return JobFacts(job_id, word.rstrip("+"), _moment(submitted), by, node, exit_code)


def _moment(printed: str) -> float:
    """Return a time in seconds since 1970; 0 for one that is not known."""
    return float(printed) if printed.isdecimal() else 0.0


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))
