"""Tells what SLURM says of our runs, by one `squeue` and at most one `sacct` a look.

`squeue` lists what waits, runs or ended a few minutes ago. What it lists no longer, and what left
no last word, is asked of the accounting database; without one, a job is gone when two looks some
time apart have missed it. Silence is not an answer.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from byol_core.files import DamagedFileError, is_there
from orchestrator.slurm.commands import has_slurm
from orchestrator.slurm.listing import Listing, account, queue, renamed
from orchestrator.slurm.queue_memory import Memory, recall, remember
from orchestrator.store.jobs import ENDED, JobFacts, Queue
from orchestrator.store.root import Root, RunFolder
from orchestrator.store.standing import last_word
from orchestrator.store.submissions import Submission, submissions

_BELIEVED_AFTER_S = 15.0
_ACCOUNT_PAUSE_S = 60.0
_SKEW_S = 24 * 3600.0
"""How far the clocks of a launcher and of SLURM may be apart; more is asked for, no more told."""


@dataclass(frozen=True)
class RunJob:
    """Names the newest job of a run: its submission, its id in there, and what was before it.

    `attempts` is the highest attempt of the run when it was submitted; None if that is not known.
    """

    submission: Submission
    job_id: str
    attempts: int | None = None

    @property
    def listed_as(self) -> tuple[str, str]:
        """Return the key of this job in a listing."""
        return (self.submission.key, self.job_id)

    @property
    def label(self) -> str:
        """Name the job for good: SLURM may use its id again."""
        return f"{self.submission.key} {self.job_id}"

    def without_word(self, reason: str) -> JobFacts:
        """Return what is known of a job that SLURM says nothing of."""
        return JobFacts(self.job_id, "", self.submission.intended_at, reason)


class Verdict(Enum):
    """What one look makes of a job."""

    UNLISTED = auto()
    """SLURM says nothing of it."""
    LIVE = auto()
    """It waits or runs."""
    ENDED = auto()
    """It has ended in a way that explains its run."""
    DOUBTFUL = auto()
    """It has ended well, so a result may only be slow to come into sight."""


def judge(job: RunJob, facts: JobFacts | None, memory: Memory) -> tuple[Verdict, JobFacts]:
    """Judge a job by what SLURM says of it and what earlier looks have found.

    Args:
        job: the newest one of its run.
        facts: what was answered now; None for nothing.
        memory: of earlier looks.

    Returns:
        The verdict, and the facts that it rests on.
    """
    # Before it is acknowledged, the launcher that is at it may have jobs that nobody knows yet.
    submission = job.submission
    if not submission.job_ids:
        return Verdict.LIVE, _unreleased(job)

    # It was listed by name, so another job of the same id is not taken for it.
    facts = _better(facts, memory.ended.get(job.label))
    if facts is None:
        return Verdict.UNLISTED, job.without_word("")

    if facts.word == "COMPLETED":
        return Verdict.DOUBTFUL, facts
    if facts.word in ENDED:
        return Verdict.ENDED, facts
    if not submission.released and facts.word == "PENDING":
        return Verdict.LIVE, _unreleased(job)
    return Verdict.LIVE, facts


def _unreleased(job: RunJob) -> JobFacts:
    return JobFacts(job.job_id, "PENDING", job.submission.intended_at, "not released yet")


def _better(now: JobFacts | None, before: JobFacts | None) -> JobFacts | None:
    """Return the earlier answer if it alone tells how the job ended, else the newer one."""
    if now is None or before is None:
        return now or before
    is_same = (now.word, now.submitted_at) == (before.word, before.submitted_at)
    if is_same and not now.exit_code:
        return before
    return now


def look_at_queue(root: Root) -> Queue:
    """Ask SLURM about every run that may still have a job.

    A submission that was not acknowledged yet counts as waiting: its launcher is at it, or has died
    and the next one repairs.
    """
    jobs = _newest_jobs(root)
    if not jobs:
        return Queue()
    reader = QueueReader(root, jobs, recall(root.path))
    queue_now = reader.read()
    remember(root.path, reader.memory)
    return queue_now


class QueueReader:
    """Takes one look at SLURM.

    Args:
        root: where the runs are.
        jobs: run id → its newest job.
        memory: of earlier looks; brought up to date.
    """

    def __init__(self, root: Root, jobs: Mapping[str, RunJob], memory: Memory) -> None:
        self.root = root
        self.jobs = jobs
        self.memory = memory
        self.now = time.time()
        self.live: dict[str, JobFacts] = {}
        self.ended: dict[str, JobFacts] = {}
        self.unknown: dict[str, JobFacts] = {}

    def read(self) -> Queue:
        """Return what is known of every run."""
        listing = None
        if has_slurm():
            submitted = [job.submission for job in self.jobs.values()]
            listing = queue({entry.key for entry in submitted if entry.job_ids})
        unlisted = self._file(self.jobs, listing or {})

        # Jobs that are not in the list have ended, unless there is no list.
        if listing is None:
            for run_id in unlisted:
                self.unknown[run_id] = self.jobs[run_id].without_word("SLURM does not answer")
        else:
            self.memory.answered_at = self.now
            self._settle(unlisted)

        self.memory.forget_all_but({job.label for job in self.jobs.values()})
        return Queue(
            self.live,
            self.ended,
            self.unknown,
            self.memory.answered_at,
            {run_id: job.attempts for run_id, job in self.jobs.items() if job.attempts is not None},
        )

    def _file(self, run_ids: Iterable[str], listing: Listing) -> list[str]:
        """File the verdict on the job of each run; return the runs whose job is not listed."""
        unlisted = []
        for run_id in run_ids:
            job = self.jobs[run_id]
            verdict, facts = judge(job, listing.get(job.listed_as), self.memory)
            match verdict:
                case Verdict.UNLISTED:
                    unlisted.append(run_id)
                case Verdict.LIVE:
                    self.live[run_id] = facts
                    self.memory.missing_since.pop(job.label, None)
                case Verdict.ENDED:
                    self.ended[run_id] = facts
                    self.memory.ended[job.label] = facts
                case Verdict.DOUBTFUL:
                    meanwhile = "its job has ended; looking for its result"
                    self._believe_later(run_id, facts, meanwhile)
        return unlisted

    def _settle(self, unlisted: Sequence[str]) -> None:
        """Find out about the jobs that squeue, which answered, does not list."""
        # A job that was renamed is not listed by its name.
        unlisted = self._file(unlisted, renamed({self.jobs[run_id].job_id for run_id in unlisted}))

        # A run's own last word is better evidence than anything of SLURM's.
        wanted = []
        for run_id in unlisted:
            job = self.jobs[run_id]
            if _has_last_word(self.root.run(run_id), job.job_id):
                self.ended[run_id] = job.without_word("")
            else:
                wanted.append(run_id)

        # The accounting database also knows the exit codes that squeue leaves out.
        unexplained = [run_id for run_id in self.ended if self._is_unexplained(run_id)]
        accounted = self._account([*wanted, *unexplained])
        ended = {key: facts for key, facts in accounted.items() if facts.word in ENDED}
        self._file(unexplained, ended)
        for run_id in self._file(wanted, ended):
            gone = self.jobs[run_id].without_word("")
            self._believe_later(run_id, gone, "SLURM does not list its job; looking again")

    def _is_unexplained(self, run_id: str) -> bool:
        """Tell whether nobody knows how a job failed.

        squeue tells no exit code, by which a warning differs from an error.
        """
        facts = self.ended[run_id]
        if facts.word != "FAILED" or facts.exit_code:
            return False
        return not _has_last_word(self.root.run(run_id), facts.job_id)

    def _account(self, run_ids: Sequence[str]) -> Listing:
        """Ask the accounting database, unless it has just not answered."""
        silent_at = self.memory.account_silent_at
        if not run_ids or (silent_at is not None and self.now - silent_at < _ACCOUNT_PAUSE_S):
            return {}

        # By name and time, so that one question serves all runs.
        wanted = [self.jobs[run_id].submission for run_id in run_ids]
        names = {submission.key for submission in wanted}
        since = min(submission.intended_at for submission in wanted) - _SKEW_S
        listing = account(names, since)
        if listing is None:
            self.memory.account_silent_at = self.now
            return {}
        self.memory.account_silent_at = None
        return listing

    def _believe_later(self, run_id: str, facts: JobFacts, meanwhile: str) -> None:
        """Believe what is said once a second look, some time after the first, has found the same.

        It is believed at once if we cancelled the run.
        """
        job = self.jobs[run_id]
        since = self.memory.missing_since.get(job.label, self.now)
        since = min(since, self.now)  # a clock that was set back waits from now on
        self.memory.missing_since[job.label] = since
        if self.now - since >= _BELIEVED_AFTER_S or is_there(self.root.run(run_id).cancelled):
            self.ended[run_id] = facts
        else:
            self.unknown[run_id] = job.without_word(meanwhile)


def lingering_jobs(root: Root, run_ids: Collection[str]) -> set[str]:
    """Return the jobs that SLURM still runs although each of their runs has its result.

    A job whose slurmstepd was killed holds its node until its time limit. `look_at_queue` asks for
    no job of a run that is done, so this asks when somebody wants to be rid of them.
    """
    newest = _submitted_jobs(root)
    unfinished = {job.label for run_id, job in newest.items() if not _is_done(root.run(run_id))}
    jobs = [newest[run_id] for run_id in run_ids if run_id in newest]
    listing: Listing = {}
    if jobs and has_slurm():
        listing = queue({job.submission.key for job in jobs}) or {}

    lingering = set()
    for job in jobs:
        facts = listing.get(job.listed_as)
        if facts is not None and facts.word not in ENDED and job.label not in unfinished:
            lingering.add(job.job_id)
    return lingering


def _newest_jobs(root: Root) -> dict[str, RunJob]:
    """Return the newest job of every run that was submitted and has no result."""
    newest = _submitted_jobs(root)
    return {run_id: job for run_id, job in newest.items() if not _is_done(root.run(run_id))}


def _submitted_jobs(root: Root) -> dict[str, RunJob]:
    """Return the newest job of every run that was submitted."""
    newest: dict[str, RunJob] = {}
    for submission in submissions(root):
        count = len(submission.run_ids)
        job_ids = submission.job_ids or [""] * count
        attempts: Sequence[int | None] = submission.attempts or [None] * count
        for run_id, job_id, before in zip(submission.run_ids, job_ids, attempts, strict=False):
            newest[run_id] = RunJob(submission, job_id, before)
    return newest


def _is_done(run: RunFolder) -> bool:
    try:
        attempt = run.last_attempt()
    except DamagedFileError:
        return True  # set aside; `standing` says why
    return attempt is not None and is_there(attempt.done)


def _has_last_word(run: RunFolder, job_id: str) -> bool:
    """Tell whether this very job has said how its run ended."""
    attempt = run.last_attempt()
    if attempt is None:
        return False
    try:
        claim = attempt.read_claim()
        if claim is None or claim["job"]["job_id"] != job_id:
            return False
        return last_word(attempt) is not None
    except DamagedFileError:
        return False
