"""The intent log of a launch: what is about to be submitted is on the disk before SLURM hears of it.

An intent that was never acknowledged belongs to a launcher that died between: its jobs, if there are any, are held and
have a name, so they are cancelled by name and submitted anew. Nothing of it can have started.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from byol_core.files import RecordLog, RecordReader, make_folder
from orchestrator.errors import SchedulerError
from orchestrator.root import Root


@dataclass
class Submission:
    """One array: its intent, and what is known to have followed."""

    log: Path
    key: str
    run_ids: list[str]
    at: float
    job_ids: list[str] = field(default_factory=list)
    released: bool = False
    withdrawn: bool = False


def submit(
    log_file: Path,
    key: str,
    run_ids: Sequence[str],
    submit_held: Callable[[], list[str]],
    cancel: Callable[[str], None],
    release: Callable[[Sequence[str]], None],
) -> list[str]:
    """Submit one array so that a crash at any moment loses nothing and doubles nothing.

    Raises:
        SchedulerError: SLURM refused, or said so: what it may have accepted all the same is cancelled by name first.
    """
    make_folder(log_file.parent)
    with RecordLog(log_file) as log:
        log.append({"type": "intent", "key": key, "run_ids": list(run_ids), "at": time.time()}, durable=True)
        try:
            job_ids = submit_held()
        except SchedulerError:
            with suppress(SchedulerError):  # then it stays open, and the next launch asks again
                cancel(key)
                log.append({"type": "withdrawn", "key": key}, durable=True)
            raise
        log.append({"type": "acknowledged", "key": key, "job_ids": job_ids}, durable=True)
        release(job_ids)
        log.append({"type": "released", "key": key}, durable=True)
    return job_ids


def submissions(root: Root) -> list[Submission]:
    """Return every submission ever made on this root that was not withdrawn."""
    found = [one for sweep in root.sweeps() for file in sorted(sweep.launches.glob("*.jsonl")) for one in _read(file)]
    return [one for one in found if not one.withdrawn]


def jobs_of(root: Root, run_ids: Sequence[str]) -> list[str]:
    """Return the job ids of the newest submission of each run that was ever submitted."""
    jobs = {run_id: job_id for one in submissions(root) for run_id, job_id in zip(one.run_ids, one.job_ids, strict=False)}
    return [jobs[run_id] for run_id in run_ids if run_id in jobs]


def recover(root: Root, cancel: Callable[[str], None], release: Callable[[Sequence[str]], None]) -> list[str]:
    """Finish what a dead launcher left half done; call it under the launcher lock.

    Returns:
        A sentence for each repair.
    """
    return [_repair(one, cancel, release) for one in submissions(root) if not one.released]


def _repair(one: Submission, cancel: Callable[[str], None], release: Callable[[Sequence[str]], None]) -> str:
    with RecordLog(one.log) as log:
        try:
            if one.job_ids:
                release(one.job_ids)
                log.append({"type": "released", "key": one.key}, durable=True)
                return f"released {len(one.job_ids)} jobs that an earlier launch had left held"
            cancel(one.key)
            log.append({"type": "withdrawn", "key": one.key}, durable=True)
            return f"withdrew {len(one.run_ids)} jobs that an earlier launch had not acknowledged"
        except SchedulerError as error:
            return f"{len(one.run_ids)} jobs of an earlier launch are left as they are: {error}"


def _read(file: Path) -> Iterator[Submission]:
    by_key: dict[str, Submission] = {}
    for record in RecordReader(file):
        if record["type"] == "intent":
            by_key[record["key"]] = Submission(file, record["key"], record["run_ids"], record["at"])
        elif record["key"] in by_key:
            one = by_key[record["key"]]
            one.job_ids = record.get("job_ids", one.job_ids)
            one.released |= record["type"] == "released"
            one.withdrawn |= record["type"] == "withdrawn"
    yield from by_key.values()
