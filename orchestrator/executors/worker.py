"""One attempt at one run: claim it, train, evaluate, leave a last word. Runs in a job; never opens
the database.

The claim is the fence: ``attempts/NNNN`` appears, with claim.json in it, by one rename that
succeeds once. A worker that finds a higher attempt than its own stops before it publishes anything,
so at most one result counts however many workers there are.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from byol_core.files import (
    RecordLog,
    claim_folder,
    create_file,
    make_folder,
    read_json,
    remove_tree,
    write_json,
)
from orchestrator.machine.processes import this_process
from orchestrator.provenance import origin
from orchestrator.provenance.redact import redact
from orchestrator.provenance.snapshot import check_code
from orchestrator.store.root import AttemptFolder, Root, RunFolder, wait_until_visible
from orchestrator.store.state import State

StopReason = Callable[[], str | None]
_PATIENCE_S = 60.0
"""How long a file of the launcher may take to show up on a shared file system: NFS remembers for up
to a minute.
"""

_LOOK_EVERY_S = 2.0


@dataclass(frozen=True)
class AttemptContext:
    """How an attempt came to run.

    Attributes:
        executor: `slurm`, `local` or `inline`.
        job_id: the scheduler's, None without one.
        device: for `byol_core.train.Options`.
        threads: CPU threads; 0 leaves torch's choice.
        log_every: steps between two points of the series.
        checkpoint_every_s: seconds between two checkpoints.
        capture: send standard output and error to the attempt's files.
        rerun: train again what is done already; once, and not what this very job has done.
        code: sha256 of the code that was submitted; None where the launcher's own is running.
        asked: what the job asked SLURM for, as `orchestrator.launch.requests` tells it; None
            without a job.
    """

    executor: str
    job_id: str | None = None
    device: str = "auto"
    threads: int = 0
    log_every: int = 10
    checkpoint_every_s: float = 60.0
    capture: bool = True
    rerun: bool = False
    code: str | None = None
    asked: Mapping[str, Any] | None = None


class OutrunError(Exception):
    """A higher attempt exists; this one must not publish anything more."""


def run_attempt(
    root: Path, run_id: str, job: AttemptContext, stop_reason: StopReason
) -> State | None:
    """Make one attempt at a run.

    Args:
        root: the root folder.
        run_id: whole.
        job: how it runs.
        stop_reason: asked before each step; a text stops the run behind a checkpoint.

    Returns:
        The state it ended in; None where nothing was to do or another attempt took over.

    Side effects:
        Writes below the run's folder only.
    """
    run = Root(root).run(run_id)
    if run.cancelled.exists():
        return None
    wait_until_visible(run.description, _PATIENCE_S)
    attempts = run.attempts()
    if attempts and attempts[-1].done.exists():
        if not job.rerun or _is_mine(attempts[-1], job):
            return None
        _set_aside(run, attempts[-1])
    attempt = _claim(run, job)
    if job.capture:
        _redirect(attempt)
    with RecordLog(attempt.events) as log:
        try:
            return _Attempt(run, attempt, job, log, stop_reason).run()
        except OutrunError:
            return None


def _claim(run: RunFolder, job: AttemptContext) -> AttemptFolder:
    """Claim the next number; where others claim too, each gets one of its own and the highest
    counts.
    """
    make_folder(run.path / "attempts")
    claim = {"process": asdict(this_process()), "job": asdict(job), "claimed_at": time.time()}
    while True:
        attempts = run.attempts()
        mine = run.attempt(attempts[-1].number + 1 if attempts else 1)
        if claim_folder(mine.path, mine.claim.name, claim):
            return mine


def _is_mine(attempt: AttemptFolder, job: AttemptContext) -> bool:
    """Tell whether this job, requeued by SLURM, has made the attempt itself."""
    claim = read_json(attempt.claim)
    return claim is not None and job.job_id is not None and claim["job"]["job_id"] == job.job_id


def _set_aside(run: RunFolder, attempt: AttemptFolder) -> None:
    """Move an earlier result's encoder and evaluations to its attempt, so that the new attempt
    makes its own.
    """
    for name in ("encoder", "evaluations"):
        if (run.path / name).exists() and not (attempt.path / name).exists():
            (run.path / name).rename(attempt.path / name)


def _redirect(attempt: AttemptFolder) -> None:
    for stream, file in ((sys.stdout, attempt.stdout), (sys.stderr, attempt.stderr)):
        stream.flush()
        descriptor = create_file(file, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)


@dataclass
class _Attempt:
    """The attempt as `byol_core.train` sees it: an observer that writes events and holds up the
    fence.
    """

    run_folder: RunFolder
    folder: AttemptFolder
    job: AttemptContext
    log: RecordLog
    asked_to_stop: StopReason
    started_s: float = field(default_factory=time.monotonic)
    looked_s: float = field(default_factory=time.monotonic)

    def run(self) -> State:
        """Train; write done.json for a result, and a last word in every case."""
        state, reason = (
            self._outcome()
        )  # an error of the last word must not drag that of the training along, unredacted
        self._write({"type": "end", "state": state.value, "reason": reason}, durable=True)
        return state

    def _outcome(self) -> tuple[State, str | None]:
        try:
            return self._train()
        except OutrunError:
            raise
        except KeyboardInterrupt:
            return State.STOPPED, "interrupted"
        except Exception as error:
            print(redact(traceback.format_exc()), end="", file=sys.stderr)
            return _class_of(error), redact(f"{type(error).__name__}: {error}")

    def _train(self) -> tuple[State, str | None]:
        from byol_core.train import Options, train

        if self.job.code is not None:
            check_code(self.job.code)
        description = self.run_folder.read_description()
        options = Options(
            device=self.job.device,
            threads=self.job.threads,
            log_every=self.job.log_every,
            checkpoint_every_s=self.job.checkpoint_every_s,
            protocols=tuple(description["protocols"]),
        )
        result = train(
            self.run_folder.config(), self.run_folder.path, options, self, self.folder.path.name
        )
        if result.outcome == "stopped":
            return self._stopped(), result.reason
        self.before_write()
        self._tidy(description["keep"])
        wall_s, disk_bytes = (
            round(time.monotonic() - self.started_s, 3),
            _size_bytes(self.run_folder.path),
        )
        facts = {"wall_s": wall_s, "disk_bytes": disk_bytes, "ended_at": time.time()}
        write_json(self.folder.done, {**_finite(asdict(result)), **facts})
        return State.COMPLETED, result.outcome

    def _stopped(self) -> State:
        if self.run_folder.cancelled.exists():
            return State.CANCELLED
        return _stopped_as(self.job)

    def _tidy(self, keep: str) -> None:
        if keep != "checkpoints":
            remove_tree(self.run_folder.path / "checkpoints")
        if keep == "nothing":
            remove_tree(self.run_folder.path / "encoder")

    def _write(self, record: dict[str, Any], durable: bool = False) -> None:
        self.log.append({"t": round(time.time(), 3), **record}, durable)

    # What byol_core.train tells and asks

    def started(self, step: int, total_steps: int, exact: bool) -> None:
        """Record where training starts and what it runs on."""
        facts = origin.gather_origin(Root(self.run_folder.path.parents[1]))
        about = {"step": step, "total_steps": total_steps, "exact": exact, "origin": facts}
        self._write({"type": "start", **about}, durable=True)

    def measured(
        self, step: int, epoch: int, metrics: dict[str, float], images_per_s: float
    ) -> None:
        """Record a point of the series."""
        rate = round(images_per_s, 1)
        self._write(
            {
                "type": "metrics",
                "step": step,
                "epoch": epoch,
                "metrics": metrics,
                "images_per_s": rate,
            }
        )

    def before_write(self) -> None:
        """Hold up the fence, and bring the series to the disk: what resumes behind a checkpoint
        does not record it again.

        Raises:
            OutrunError: a higher attempt exists.
        """
        if self.run_folder.attempts()[-1].number != self.folder.number:
            raise OutrunError
        self.log.sync()

    def checkpointed(self, step: int) -> None:
        """Record that a resume can start here."""
        self._write({"type": "checkpoint", "step": step}, durable=True)

    def stop_reason(self) -> str | None:
        """Pass the question on, and look now and then whether the run was cancelled."""
        if time.monotonic() - self.looked_s > _LOOK_EVERY_S:
            self.looked_s = time.monotonic()
            if self.run_folder.cancelled.exists():
                return "cancelled"
        return self.asked_to_stop()


def _stopped_as(job: AttemptContext) -> State:
    """Return the state of a run that was asked to stop."""
    if job.executor != "slurm":
        return State.STOPPED
    from orchestrator.slurm.requeue import stopped_as

    return stopped_as()


def _class_of(error: Exception) -> State:
    import torch

    return State.OOM if isinstance(error, torch.OutOfMemoryError | MemoryError) else State.FAILED


def _size_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _finite(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result with non-finite numbers as text: done.json is strict JSON."""
    import math

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    return {key: clean(value) for key, value in result.items()}
