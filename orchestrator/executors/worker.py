"""Makes one attempt at one run: claims it, trains, evaluates and leaves a last word.

It runs in a job and never opens the database. The claim is the fence: ``attempts/NNNN`` appears,
with claim.json in it, by one rename that succeeds once. A worker that finds a higher attempt than
its own stops before it publishes anything, so at most one result counts however many workers there
are.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from byol_core.config import essential, trainer_digest
from byol_core.files import (
    DamagedFileError,
    RecordLog,
    claim_folder,
    create_file,
    make_folder,
    remove_tree,
    write_json,
)
from byol_core.kept_networks import NETWORKS, check_content
from byol_core.plugins import PLUGINS_KEY
from orchestrator.executors.ending import ending_of, in_strict_json
from orchestrator.executors.plugin_imports import plugins_from
from orchestrator.machine.processes import this_process
from orchestrator.machine.user import user_name
from orchestrator.provenance.origin import gather_origin
from orchestrator.provenance.redact import redact
from orchestrator.provenance.snapshot import check_code, check_plugins
from orchestrator.slurm import requeue
from orchestrator.store.exit_codes import DISK_FAILED, is_of_the_disk
from orchestrator.store.root import AttemptFolder, Root, RunFolder, wait_until_visible
from orchestrator.store.state import State

StopReason = Callable[[], str | None]

_PATIENCE_S = 60.0
"""How long a file of the launcher may take to show up: NFS remembers for up to a minute."""

_LOOK_EVERY_S = 2.0


@dataclass(frozen=True)
class AttemptContext:
    """Says how an attempt came to run, and how it is to run.

    Attributes:
        executor: `slurm`, `local` or `inline`.
        job_id: the scheduler's, None without one.
        device: for `byol_core.train.Options`.
        threads: CPU threads; 0 leaves torch's choice.
        log_every: steps between two points of the series.
        checkpoint_every_s: seconds between two checkpoints.
        capture: send standard output and error to the attempt's files.
        rerun: train again what is done already; once, and not what this very job has done.
        code: sha256 of the code that was submitted; None for an inline run, which is the
            launcher's own code.
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
    """Raised where a higher attempt exists: this one must not publish anything more."""


def run_attempt(
    root: Path, run_id: str, context: AttemptContext, stop_reason: StopReason
) -> State | None:
    """Make one attempt at a run.

    Args:
        root: the root folder.
        run_id: whole.
        context: how it runs.
        stop_reason: called before each step; a text stops the run behind a checkpoint.

    Returns:
        The state it ended in; None where nothing was to do or another attempt took over.

    Side effects:
        Writes below the run's folder only. A full or failing disk ends the process, but for inline.
    """
    run = Root(root).run(run_id)
    try:
        return _make_attempt(run, context, stop_reason)
    except OSError as error:
        # A full disk takes no last word: the exit status says what no file can.
        if not is_of_the_disk(error) or context.executor == "inline":
            raise
        with suppress(OSError):
            print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(DISK_FAILED)


def _make_attempt(run: RunFolder, context: AttemptContext, stop_reason: StopReason) -> State | None:
    if run.cancelled.exists():
        return None
    wait_until_visible(run.description, _PATIENCE_S)

    # What is done stays done, unless it is to be trained again.
    last = run.last_attempt()
    if last is not None and _has_result(last):
        if not context.rerun or _is_mine(last, context):
            return None
        _set_aside(run, last)

    attempt = _claim(run, context)
    if context.capture:
        _redirect(attempt)
    with RecordLog(attempt.events) as log:
        try:
            return _Attempt(run, attempt, context, log, stop_reason).run()
        except OutrunError:
            return None


def _claim(run: RunFolder, context: AttemptContext) -> AttemptFolder:
    """Claim the next number.

    Where others claim too, each gets a number of its own and the highest counts.
    """
    make_folder(run.path / "attempts")
    claim = {
        "process": asdict(this_process()),
        "user": user_name(),
        "job": asdict(context),
        "claimed_at": time.time(),
    }
    while True:
        last = run.last_attempt()
        mine = run.attempt(1 if last is None else last.number + 1)
        if claim_folder(mine.path, mine.claim.name, claim):
            return mine


def _has_result(attempt: AttemptFolder) -> bool:
    """Tell whether an attempt left a result; one that cannot be read is none, and stays there."""
    try:
        return attempt.read_done() is not None
    except DamagedFileError:
        return False


def _is_mine(attempt: AttemptFolder, context: AttemptContext) -> bool:
    """Tell whether this job, requeued by SLURM, has made the attempt itself."""
    try:
        claim = attempt.read_claim()
    except DamagedFileError:
        return False
    if claim is None or context.job_id is None:
        return False
    return bool(claim["job"]["job_id"] == context.job_id)


def _set_aside(run: RunFolder, attempt: AttemptFolder) -> None:
    """Move an earlier result's encoder, networks and evaluations to its attempt.

    So the new attempt makes its own.
    """
    for name in ("encoder", NETWORKS, "evaluations"):
        if (run.path / name).exists() and not (attempt.path / name).exists():
            (run.path / name).rename(attempt.path / name)


def _redirect(attempt: AttemptFolder) -> None:
    """Send what this process prints to the attempt's files."""
    for stream, file in ((sys.stdout, attempt.stdout), (sys.stderr, attempt.stderr)):
        stream.flush()
        descriptor = create_file(file, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)


@dataclass
class _Attempt:
    """Observes the training of an attempt: it writes events and holds up the fence."""

    run_folder: RunFolder
    folder: AttemptFolder
    context: AttemptContext
    log: RecordLog
    outer_stop_reason: StopReason
    started_s: float = field(default_factory=time.monotonic)
    looked_s: float = field(default_factory=time.monotonic)

    def run(self) -> State:
        """Train; write done.json for a result, and a last word in every case."""
        # The training's error is handled by now: were the last word to fail within its `except`,
        # the traceback would show both, the first one not redacted.
        state, reason = self._outcome()
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
            with suppress(OSError):  # the disk may be full
                print(redact(traceback.format_exc()), end="", file=sys.stderr, flush=True)
            return ending_of(error)

    def _train(self) -> tuple[State, str | None]:
        from byol_core.train import Options, train

        if self.context.code is not None:
            check_code(self.context.code)
        description = self.run_folder.read_description()
        options = Options(
            device=self.context.device,
            threads=self.context.threads,
            log_every=self.context.log_every,
            checkpoint_every_s=self.context.checkpoint_every_s,
            protocols=tuple(description["protocols"]),
            keep_networks=description["keep"] == NETWORKS,
        )
        check_content(self.run_folder.config(), description["canonical"].get("init.weights"))
        with self._plugins(description["canonical"]):
            result = train(
                self.run_folder.config(), self.run_folder.path, options, self, self.folder.path.name
            )
        if result.outcome == "stopped":
            return self._stopped(), result.reason

        # done.json ends the run, so it comes last, and only while no other attempt has taken over.
        self.before_write()
        self._tidy(description["keep"])
        done = in_strict_json(asdict(result))
        done["wall_s"] = round(time.monotonic() - self.started_s, 3)
        done["disk_bytes"] = _size_bytes(self.run_folder.path)
        done["ended_at"] = time.time()
        done["trainer"] = trainer_digest()
        write_json(self.folder.done, done)
        return State.COMPLETED, result.outcome

    def _plugins(self, canonical: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Return what makes the run's plug-ins known, from the copy that its id names."""
        digest = canonical.get(PLUGINS_KEY)
        if digest is None:
            return nullcontext()
        folder = Root(self.run_folder.path.parents[1]).plugins(digest)
        wait_until_visible(folder, _PATIENCE_S)
        check_plugins(folder, digest)
        return plugins_from(folder)

    def _stopped(self) -> State:
        """Return the state of a run that was asked to stop."""
        if self.run_folder.cancelled.exists():
            return State.CANCELLED
        if self.context.executor != "slurm":
            return State.STOPPED
        return requeue.stopped_as()

    def _tidy(self, keep: str) -> None:
        if keep != "checkpoints":
            remove_tree(self.run_folder.path / "checkpoints")
        if keep == "nothing":
            remove_tree(self.run_folder.path / "encoder")

    def _write(self, record: dict[str, Any], durable: bool = False) -> None:
        self.log.append({"t": round(time.time(), 3), **record}, durable)

    # Called by byol_core.train

    def started(self, step: int, total_steps: int, exact: bool) -> None:
        """Record where training starts and what it runs on."""
        start = {
            "type": "start",
            "step": step,
            "total_steps": total_steps,
            "exact": exact,
            "origin": self._origin(),
        }
        self._write(start, durable=True)

    def _origin(self) -> dict[str, Any]:
        """Return where the result comes from, and what it is computed on, as far as bits go."""
        from byol_core.device import pick_device
        from byol_core.train.checkpoint import numerics
        from byol_core.train.compute_path import choose_path

        origin = gather_origin(Root(self.run_folder.path.parents[1]))
        device = pick_device(self.context.device)
        path = choose_path(essential(self.run_folder.config()), device)  # as training chooses it
        return {**origin, "compute": numerics(device, path)}

    def measured(
        self, step: int, epoch: int, metrics: dict[str, float], images_per_s: float
    ) -> None:
        """Record a point of the series."""
        point = {
            "type": "metrics",
            "step": step,
            "epoch": epoch,
            "metrics": metrics,
            "images_per_s": round(images_per_s, 1),
        }
        self._write(point)

    def before_write(self) -> None:
        """Hold up the fence, and bring the series to the disk.

        What resumes behind a checkpoint does not record the series before it again.

        Raises:
            OutrunError: a higher attempt exists.
        """
        if self.run_folder.last_attempt() != self.folder:
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
        return self.outer_stop_reason()


def _size_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
