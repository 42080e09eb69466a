"""The intent log of a launch: what is about to be submitted is on the disk before SLURM hears of
it.

An intent that was never acknowledged belongs to a launcher that died between, or to an `sbatch`
that gave no answer: its jobs, if there are any, are held and have a name, so they are cancelled by
name and submitted anew. Nothing of it can have started. SLURM may take such jobs later still; for a
day each launch cancels that name again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from byol_core.files import RecordLog, RecordReader, make_folder
from orchestrator.errors import SchedulerError, SchedulerSilentError
from orchestrator.store.root import Root

_LATE_S = 24 * 3600.0


@dataclass
class Submission:
    """One array: its intent, and what is known to have followed.

    Attributes:
        log: where it is written.
        key: the name of its jobs.
        run_ids: what it is to run.
        intended_at: seconds since 1970; no job of it was submitted earlier.
        job_ids: one per run once SLURM has them; runs of one job share its id.
        released: its jobs may start.
        withdrawn: when it was given up; None where it was not.
        may_come_late: SLURM gave no answer, so jobs of it may yet appear.
    """

    log: Path
    key: str
    run_ids: list[str]
    intended_at: float
    job_ids: list[str] = field(default_factory=list)
    released: bool = False
    withdrawn: float | None = None
    may_come_late: bool = False


def submit(
    log_file: Path,
    key: str,
    run_ids: Sequence[str],
    submit_held: Callable[[], list[str]],
    cancel: Callable[[str], None],
) -> list[str]:
    """Submit one array, held, so that a crash at any moment loses nothing and doubles nothing.

    Returns:
        What `submit_held` returns: the job id of each run.

    Raises:
        SchedulerError: SLURM refused, or said so: what it may have accepted all the same is
            cancelled by name first.
    """
    make_folder(log_file.parent)
    with RecordLog(log_file) as log:
        log.append(
            {"type": "intent", "key": key, "run_ids": list(run_ids), "at": time.time()},
            durable=True,
        )
        try:
            job_ids = submit_held()
        except SchedulerError as error:
            with suppress(SchedulerError):  # then it stays open, and the next launch asks again
                _withdraw(log, key, cancel, may_come_late=isinstance(error, SchedulerSilentError))
            raise
        log.append({"type": "acknowledged", "key": key, "job_ids": job_ids}, durable=True)
    return job_ids


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


def submissions(root: Root) -> list[Submission]:
    """Return every submission ever made on this root that was not withdrawn."""
    return [one for one in _all(root) if one.withdrawn is None]


def newest_jobs(root: Root) -> dict[str, str]:
    """Return run id → job id of its newest submission, for every run that was ever submitted."""
    by_age = sorted(submissions(root), key=lambda one: one.intended_at)
    return {
        run_id: job_id
        for one in by_age
        for run_id, job_id in zip(one.run_ids, one.job_ids, strict=False)
    }


def recover(
    root: Root, cancel: Callable[[str], None], let_start: Callable[[Sequence[str]], None]
) -> list[str]:
    """Finish what a dead launcher left half done; call it under the launcher lock.

    Returns:
        A sentence for each repair.
    """
    repaired = []
    for one in _all(root):
        if one.withdrawn is None and not one.released:
            repaired.append(_repair(one, cancel, let_start))
        elif (
            one.withdrawn is not None
            and one.may_come_late
            and time.time() - one.withdrawn < _LATE_S
        ):
            with suppress(SchedulerError):  # the next launch asks again
                cancel(one.key)
    return repaired


def _repair(
    one: Submission, cancel: Callable[[str], None], let_start: Callable[[Sequence[str]], None]
) -> str:
    try:
        if one.job_ids:
            release(one.log, one.key, one.job_ids, let_start)
            return f"released {len(one.job_ids)} runs that an earlier launch had left held"
        with RecordLog(one.log) as log:
            _withdraw(log, one.key, cancel, may_come_late=True)
        return f"withdrew {len(one.run_ids)} jobs that an earlier launch had not acknowledged"
    except SchedulerError as error:
        return f"{len(one.run_ids)} jobs of an earlier launch are left as they are: {error}"


def _withdraw(log: RecordLog, key: str, cancel: Callable[[str], None], may_come_late: bool) -> None:
    cancel(key)
    log.append(
        {"type": "withdrawn", "key": key, "at": time.time(), "may_come_late": may_come_late},
        durable=True,
    )


def _all(root: Root) -> list[Submission]:
    return [
        one
        for sweep in root.sweeps()
        for file in sorted(sweep.launches.glob("*.jsonl"))
        for one in _read(file)
    ]


def _read(file: Path) -> Iterator[Submission]:
    by_key: dict[str, Submission] = {}
    for record in RecordReader(file):
        if record["type"] == "intent":
            by_key[record["key"]] = Submission(file, record["key"], record["run_ids"], record["at"])
        elif record["key"] in by_key:
            one = by_key[record["key"]]
            one.job_ids = record.get("job_ids", one.job_ids)
            one.released |= record["type"] == "released"
            if record["type"] == "withdrawn":
                one.withdrawn, one.may_come_late = record["at"], record["may_come_late"]
    yield from by_key.values()
