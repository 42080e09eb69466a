"""What SLURM says of our runs: one `squeue` and at most one `sacct` a look, and silence is not an
answer.

`squeue` lists what waits, runs or ended a few minutes ago. What it lists no longer, and what left
no last word, is asked of the accounting database; without one, a job is gone when two looks some
time apart have missed it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence

from byol_core.files import read_json
from orchestrator.slurm.commands import has_slurm
from orchestrator.slurm.listing import Listing, account, queue
from orchestrator.slurm.queue_memory import Memory, recall, remember
from orchestrator.store.intents import Submission, submissions
from orchestrator.store.jobs import ENDED, JobFacts, Queue
from orchestrator.store.root import Root, RunFolder
from orchestrator.store.standing import last_word

_BELIEVED_AFTER_S = 15.0
_ACCOUNT_PAUSE_S = 60.0
_SKEW_S = 600.0


def look_at_queue(root: Root) -> Queue:
    """Ask SLURM about every run that may still have a job.

    A submission that was not released yet counts as waiting: its launcher is at it, or has died and
    the next one repairs.
    """
    jobs = _newest_jobs(root)
    if not jobs:
        return Queue()
    reader = QueueReader(root, jobs, recall(root.path))
    found = reader.read()
    remember(root.path, reader.memory)
    return found


class QueueReader:
    """One look.

    Args:
        root: where the runs are.
        jobs: run id → its newest submission, and its job there.
        memory: of earlier looks; brought up to date.
    """

    def __init__(
        self, root: Root, jobs: Mapping[str, tuple[Submission, str]], memory: Memory
    ) -> None:
        self.root, self.jobs, self.memory = root, jobs, memory
        self.now = time.time()
        self.live: dict[str, JobFacts] = {}
        self.ended: dict[str, JobFacts] = {}
        self.unknown: dict[str, JobFacts] = {}

    def read(self) -> Queue:
        """Return what is known of every run."""
        listed = (
            queue({one.key for one, _ in self.jobs.values() if one.released})
            if has_slurm()
            else None
        )
        self.memory.answered_at = self.memory.answered_at if listed is None else self.now
        unlisted = [run_id for run_id in self.jobs if not self._sort(run_id, listed or {})]
        if listed is None:
            self.unknown |= {
                run_id: self._unknown(run_id, "SLURM does not answer") for run_id in unlisted
            }
        else:
            self._settle(unlisted)
        self.memory.forget_all_but({_label(*job) for job in self.jobs.values()})
        return Queue(self.live, self.ended, self.unknown, self.memory.answered_at)

    def _sort(self, run_id: str, listed: Listing) -> bool:
        """Take in what is said of a run's job; False where nothing is."""
        one, job_id = self.jobs[run_id]
        facts = self._facts(one, job_id, listed)
        if not one.released:
            self.live[run_id] = JobFacts(job_id, "PENDING", one.intended_at, "not released yet")
        elif facts is None or facts.submitted_at < one.intended_at - _SKEW_S:
            return False
        elif facts.word == "COMPLETED":  # its result may be slow to come into sight
            self._believe_later(run_id, facts, "its job has ended; looking for its result")
        elif facts.word in ENDED:
            self.ended[run_id] = self.memory.ended[_label(one, job_id)] = facts
        else:
            self.live[run_id] = facts
            self.memory.missing_since.pop(_label(one, job_id), None)
        return True

    def _facts(self, one: Submission, job_id: str, listed: Listing) -> JobFacts | None:
        """Return what is said of a job: now, or at an earlier look if that knew how it ended and
        now does not.
        """
        now, before = listed.get((one.key, job_id)), self.memory.ended.get(_label(one, job_id))
        if now is None or before is None:
            return now or before
        is_same = (now.word, now.submitted_at) == (before.word, before.submitted_at)
        return before if is_same and not now.exit_code else now

    def _settle(self, unlisted: Sequence[str]) -> None:
        """Find out about the jobs that squeue, which answered, does not list."""
        wanted = [
            run_id
            for run_id in unlisted
            if not _has_last_word(self.root.run(run_id), self.jobs[run_id][1])
        ]
        unexplained = [run_id for run_id in self.ended if self._is_unexplained(run_id)]
        accounted = {
            key: facts
            for key, facts in self._account([*wanted, *unexplained]).items()
            if facts.word in ENDED
        }
        for run_id in unexplained:
            self._sort(run_id, accounted)
        for run_id in wanted:
            if not self._sort(run_id, accounted):
                self._believe_later(
                    run_id, self._unknown(run_id, ""), "SLURM does not list its job; looking again"
                )
        self.ended |= {run_id: self._unknown(run_id, "") for run_id in set(unlisted) - set(wanted)}

    def _is_unexplained(self, run_id: str) -> bool:
        """Tell whether nobody knows how a job failed: squeue tells no exit code, by which a warning
        differs from an error.
        """
        facts = self.ended[run_id]
        return (
            facts.word == "FAILED"
            and not facts.exit_code
            and not _has_last_word(self.root.run(run_id), facts.job_id)
        )

    def _account(self, run_ids: Sequence[str]) -> Listing:
        """Ask the accounting database, unless it has just not answered."""
        silent_at = self.memory.account_silent_at
        if not run_ids or (silent_at is not None and self.now - silent_at < _ACCOUNT_PAUSE_S):
            return {}
        asked = [self.jobs[run_id][0] for run_id in run_ids]
        found = account({one.key for one in asked}, min(one.intended_at for one in asked) - _SKEW_S)
        self.memory.account_silent_at = self.now if found is None else None
        return found or {}

    def _believe_later(self, run_id: str, facts: JobFacts, meanwhile: str) -> None:
        """Believe what is said once a second look, some time after the first, has found the same;
        at once if we cancelled.
        """
        since = self.memory.missing_since.setdefault(_label(*self.jobs[run_id]), self.now)
        if self.now - since >= _BELIEVED_AFTER_S or self.root.run(run_id).cancelled.exists():
            self.ended[run_id] = facts
        else:
            self.unknown[run_id] = self._unknown(run_id, meanwhile)

    def _unknown(self, run_id: str, why: str) -> JobFacts:
        one, job_id = self.jobs[run_id]
        return JobFacts(job_id, "", one.intended_at, why)


def _newest_jobs(root: Root) -> dict[str, tuple[Submission, str]]:
    """Return the newest submission, and the job in it, of every run without a result."""
    by_age = sorted(submissions(root), key=lambda one: one.intended_at)
    newest = {run_id: (one, job_id) for one in by_age for run_id, job_id in _jobs(one)}
    return {run_id: job for run_id, job in newest.items() if not _is_done(root.run(run_id))}


def _jobs(one: Submission) -> Iterator[tuple[str, str]]:
    return zip(one.run_ids, one.job_ids or [""] * len(one.run_ids), strict=False)


def _label(one: Submission, job_id: str) -> str:
    """Name a job for good: SLURM may use its id again."""
    return f"{one.key} {job_id}"


def _is_done(run: RunFolder) -> bool:
    attempts = run.attempts()
    return bool(attempts) and attempts[-1].done.exists()


def _has_last_word(run: RunFolder, job_id: str) -> bool:
    """Tell whether this very job has said how its run ended."""
    attempts = run.attempts()
    claim = read_json(attempts[-1].claim) if attempts else None
    return (
        claim is not None
        and claim["job"]["job_id"] == job_id
        and last_word(attempts[-1]) is not None
    )
