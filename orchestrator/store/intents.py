"""Logs what is about to be submitted, on the disk, before SLURM hears of it.

An intent that was never acknowledged belongs to a launcher that died between, or to an `sbatch`
that gave no answer: its jobs, if there are any, are held and have a name, so they are cancelled by
name and submitted anew. Nothing of it can have started. SLURM may take such jobs later still; for a
day each launch cancels that name again.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from byol_core.files import DamagedFileError, RecordLog, make_folder
from orchestrator.errors import SchedulerError, SchedulerSilentError
from orchestrator.store.root import Root, SweepFolder
from orchestrator.store.submissions import (
    Submission,
    all_submissions,
    damaged_logs,
    next_number,
    submissions,
    submissions_of,
)
from orchestrator.text import counted

_LATE_S = 24 * 3600.0

Words = Callable[[str], set[str] | None]
"""Returns SLURM's words for the jobs of a name that it still knows; None where it is silent."""


def asked_by_run(root: Root) -> dict[str, Mapping[str, Any] | None]:
    """Return run id → what it asked for in its newest submission."""
    return {run_id: entry.request for entry in submissions(root) for run_id in entry.run_ids}


def submit(
    root: Root,
    log_file: Path,
    key: str,
    bundles: Sequence[Sequence[str]],
    request: Mapping[str, Any],
    submit_held: Callable[[], list[str]],
    cancel: Callable[[str], None],
) -> list[str]:
    """Submit one array held, so that a crash at any moment neither loses nor doubles a job.

    Args:
        root: where the runs are; the caller holds its launcher lock.
        log_file: of this launch.
        key: the name of the array's jobs.
        bundles: the runs of each job.
        request: what a run has of its job, to be remembered.
        submit_held: submits them and returns the id of each job.
        cancel: cancels all jobs of a name.

    Returns:
        What `submit_held` returns: the id of each job.

    Raises:
        SchedulerError: SLURM refused, or gave no answer; what it may have accepted all the same
            is cancelled by name first.
    """
    make_folder(log_file.parent)
    with RecordLog(log_file) as log:
        # The intent is on the disk before SLURM hears of the array.
        run_ids = list(chain.from_iterable(bundles))
        intent = {"type": "intent", "key": key, "run_ids": run_ids, "at": time.time()}
        intent["number"] = next_number(root)
        intent["attempts"] = [_last_number(root, run_id) for run_id in run_ids]
        intent["asked"] = request
        log.append(intent, durable=True)

        # A refused array is withdrawn at once; if that fails, the next launch tries it again.
        try:
            job_ids = submit_held()
        except SchedulerError as error:
            with suppress(SchedulerError):
                _withdraw(log, key, cancel, may_come_late=isinstance(error, SchedulerSilentError))
            raise

        ids_by_run = _ids_by_run(bundles, job_ids)
        log.append({"type": "acknowledged", "key": key, "job_ids": ids_by_run}, durable=True)
    return job_ids


def _last_number(root: Root, run_id: str) -> int:
    """Return the highest attempt of a run; 0 for none, or where the files do not tell."""
    with suppress(DamagedFileError):
        attempt = root.run(run_id).last_attempt()
        if attempt is not None:
            return attempt.number
    return 0


def _ids_by_run(bundles: Sequence[Sequence[str]], job_ids: Sequence[str]) -> list[str]:
    """Return the job id of each run, as the log holds them: runs of one job share its id."""
    ids_by_run: list[str] = []
    for bundle, job_id in zip(bundles, job_ids, strict=True):
        ids_by_run += [job_id] * len(bundle)
    return ids_by_run


def release(
    log_file: Path, key: str, job_ids: Sequence[str], let_start: Callable[[Sequence[str]], None]
) -> None:
    """Let the jobs of an acknowledged array start.

    Raises:
        SchedulerError: SLURM did not do it; the next launch does.
    """
    let_start(job_ids)
    with RecordLog(log_file) as log:
        log.append({"type": "released", "key": key}, durable=True)


def give_up(log_file: Path, key: str, cancel: Callable[[str], None], words_of: Words) -> str | None:
    """Close an acknowledged array that SLURM refuses to release.

    Jobs that are all held have never begun, so they are cancelled and their runs are planned again.
    Where nothing is held any more, somebody has cancelled or released them by hand, and SLURM tells
    how they ended.

    Returns:
        What was done, in words; None where SLURM does not say how the jobs stand.

    Raises:
        SchedulerError: SLURM did not cancel them; the next launch tries it again.
    """
    words = words_of(key)
    if words is None:
        return None
    with RecordLog(log_file) as log:
        if "PENDING" not in words:
            log.append({"type": "released", "key": key}, durable=True)
            return "SLURM has none of them waiting any more"
        if words - {"PENDING", "CANCELLED"}:
            return None  # some have begun: they are no longer held, and go on
        _withdraw(log, key, cancel, may_come_late=False)
    return "cancelled, as nothing of them had begun; their runs are planned again"


def runs_of(sweep: SweepFolder) -> set[str]:
    """Return every run that a sweep has submitted, also those that left its spec."""
    runs: set[str] = set()
    for submission in submissions_of(sweep):
        runs.update(submission.run_ids)
    return runs


def newest_jobs(root: Root) -> dict[str, str]:
    """Return run id → job id of its newest submission, for every run that was ever submitted."""
    newest: dict[str, str] = {}
    for submission in submissions(root):
        newest.update(zip(submission.run_ids, submission.job_ids, strict=False))
    return newest


def recover(
    root: Root,
    cancel: Callable[[str], None],
    let_start: Callable[[Sequence[str]], None],
    words_of: Words = lambda _: None,
) -> list[str]:
    """Finish what a dead launcher left half done; the caller holds the launcher lock.

    Args:
        root: whose submissions.
        cancel: cancels all jobs of a name.
        let_start: releases jobs.
        words_of: tells how the jobs of a name stand.

    Returns:
        A sentence for each repair.
    """
    damaged = list(damaged_logs(root))
    repairs = [f"warning: {log.problem}" for log in damaged]
    doubtful = {log.file for log in damaged}
    for submission in all_submissions(root):
        # A lost line may have said that its jobs are there and run.
        if submission.log in doubtful:
            continue
        if submission.withdrawn is None:
            if not submission.released:
                repairs.append(_repair(submission, cancel, let_start, words_of))
            continue

        # SLURM may take withdrawn jobs late; if it is silent now too, the next launch asks again.
        if submission.may_come_late and time.time() - submission.withdrawn < _LATE_S:
            with suppress(SchedulerError):
                cancel(submission.key)
    return repairs


def _repair(
    submission: Submission,
    cancel: Callable[[str], None],
    let_start: Callable[[Sequence[str]], None],
    words_of: Words,
) -> str:
    """Release an acknowledged array, or withdraw another; return a sentence that says so."""
    try:
        if submission.job_ids:
            return _let_go(submission, cancel, let_start, words_of)
        with RecordLog(submission.log) as log:
            _withdraw(log, submission.key, cancel, may_come_late=True)
        runs = counted(len(submission.run_ids), "run")
        return f"withdrew {runs} that an earlier launch had not acknowledged"
    except SchedulerError as error:
        return f"{_of_earlier_launch(submission)} left as they are: {error}"


def _let_go(
    submission: Submission,
    cancel: Callable[[str], None],
    let_start: Callable[[Sequence[str]], None],
    words_of: Words,
) -> str:
    """Release an acknowledged array; one that SLURM refuses to release is given up."""
    try:
        release(submission.log, submission.key, submission.job_ids, let_start)
        runs = counted(len(submission.run_ids), "run")
        return f"released {runs} that an earlier launch had left held"
    except SchedulerSilentError:
        raise
    except SchedulerError as error:
        done = give_up(submission.log, submission.key, cancel, words_of)
        if done is None:
            raise
        return f"{_of_earlier_launch(submission)} not to be released ({error}): {done}"


def _of_earlier_launch(submission: Submission) -> str:
    jobs = len(set(submission.job_ids)) or len(submission.run_ids)
    verb = "is" if jobs == 1 else "are"
    return f"{counted(jobs, 'job')} of an earlier launch {verb}"


def _withdraw(log: RecordLog, key: str, cancel: Callable[[str], None], may_come_late: bool) -> None:
    """Cancel the jobs of that name and, if SLURM did so, write it down."""
    cancel(key)
    log.append(
        {"type": "withdrawn", "key": key, "at": time.time(), "may_come_late": may_come_late},
        durable=True,
    )
