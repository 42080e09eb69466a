"""Makes attempts on this machine, each in a fresh process, as many at once as there are slots.

Processes come from a fork server that has loaded torch, so a run starts in under a tenth of a
second. Both import the copy of the code that the launch has recorded. A pipe leads from the
launcher to each run: a word on it asks the run to stop behind a checkpoint, and its closing, when
the launcher dies, does the same.
"""

import multiprocessing as mp
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.executors.held_data import HOLDS, HOLDS_FROM, keep_only_data_of
from orchestrator.executors.imports import imports_from, working_folder
from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.losses import Losses
from orchestrator.executors.sockets import make_socket_folder
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.machine.gpus import gpu_count, see_one
from orchestrator.provenance.snapshot import HOME
from orchestrator.store.root import PREFIX, Root, RunFolder

_POLL_S = 0.25
_LEAVE_S = 60.0
_OF_THE_GROUP = frozenset({signal.SIGINT, signal.SIGHUP})
_WARNINGS = frozenset({signal.SIGTERM, signal.SIGUSR2})
_served: dict[str, Path] = {}
"""Where the fork server of this process has its code from: there is one for all launches."""


@dataclass(frozen=True)
class Slot:
    """Holds the place of one run: a device, and this many CPU threads."""

    device: str
    threads: int


@dataclass
class _Worker:
    run_id: str
    slot: Slot
    process: ForkServerProcess
    to_worker: Connection


def find_slots(wanted: int | None) -> list[Slot]:
    """Return the places for runs: one per GPU, or one per core where there is no GPU.

    Args:
        wanted: their number, instead; they then share the GPUs in turn.
    """
    cores = len(os.sched_getaffinity(0))
    gpus = gpu_count()
    count = wanted or gpus or cores
    threads = max(1, cores // count)
    if gpus == 0:
        return [Slot("cpu", threads)] * count
    return [Slot(f"cuda:{i % gpus}", threads) for i in range(count)]


def run_local(
    root: Path,
    run_ids: Sequence[str],
    context: AttemptContext,
    slots: Sequence[Slot],
    interrupts: Interrupts,
    tick: Callable[[], None],
    code: Path = HOME,
    show: Callable[[], None] = lambda: None,
) -> None:
    """Make an attempt at each run, in order, as many at a time as there are slots.

    Args:
        root: the root folder.
        run_ids: what to run.
        context: of each attempt; device and threads are the slot's.
        slots: places.
        interrupts: once it has a reason, nothing is started any more and what runs is asked to
            stop.
        tick: called several times a second, before another run may start.
        code: the folder that the runs' processes import our packages from.
        show: called as often, when no slot is free for what waits: it may take its time.
    """
    if not run_ids:
        return
    waiting = deque(run_ids)
    free = deque(slots)
    active: list[_Worker] = []
    losses = Losses(root)
    fork_server = _fork_server(code, Root(root).run(run_ids[0]), root)

    def fill() -> None:
        while waiting and free and interrupts.reason() is None:
            slot = free.popleft()
            with imports_from(code):
                worker = _start(fork_server, root, waiting.popleft(), context, slot)
            active.append(worker)

    try:
        fill()
        while active:
            wait([worker.process.sentinel for worker in active], timeout=_POLL_S)

            # A run that ended, well or not, gives its slot to the next.
            free.extend(_reap_ended(active, losses))
            if interrupts.reason() is not None:
                _ask_to_stop(active, interrupts.reason() or "")
            losses.write()
            tick()
            fill()
            show()
        losses.settle(lambda: interrupts.reason() is not None)
    except KeyboardInterrupt:  # the second Ctrl-C: do not wait for checkpoints
        for worker in active:
            worker.process.kill()
        raise
    finally:
        for worker in active:
            worker.to_worker.close()
            worker.process.join(_LEAVE_S)


def _fork_server(code: Path, first: RunFolder, root: Path) -> mp.context.ForkServerContext:
    """Start the server that each run's process is forked from, with torch and our code loaded.

    It holds the images of the first run, which are those of most, and works in the root, which
    stays: libraries fail in a folder that was deleted.
    """
    context = mp.get_context("forkserver")
    make_socket_folder()
    _stop_server_of_other(code)
    context.set_forkserver_preload(["orchestrator.executors.fork_server"])

    # A terminal sends Ctrl-C, and its closing, to every process of the group, and SLURM its
    # warnings. They are blocked from the fork server on: it would die of them, and runs hear of
    # Ctrl-C and closing from the launcher alone. Blocked anew for the second start, as the first,
    # the resource tracker's, takes the block away.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_GROUP | _WARNINGS)
    try:
        for start in (resource_tracker.ensure_running, forkserver.ensure_running):
            signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_GROUP | _WARNINGS)
            with imports_from(code), _holding_data_of(first), _working_in(root):
                start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextmanager
def _holding_data_of(run: RunFolder) -> Iterator[None]:
    """Let a server that is started meanwhile read the images of a run."""
    os.environ[HOLDS] = str(run.path.absolute())
    os.environ[HOLDS_FROM] = str(working_folder() or "")
    try:
        yield
    finally:
        del os.environ[HOLDS], os.environ[HOLDS_FROM]


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    """Work in a folder, and go back where that is still there."""
    before = working_folder()
    os.chdir(folder)
    try:
        yield
    finally:
        if before is not None:
            with suppress(FileNotFoundError):
                os.chdir(before)


def _stop_server_of_other(code: Path) -> None:
    """Stop a server that an earlier launch of this process has filled with other code."""
    served = _served.pop("code", code)
    if served != code:
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # Python has no public way
    _served["code"] = code


def _start(
    fork_server: mp.context.ForkServerContext,
    root: Path,
    run_id: str,
    context: AttemptContext,
    slot: Slot,
) -> _Worker:
    """Start the process of one run."""
    from_launcher, to_worker = fork_server.Pipe(duplex=False)
    context = replace(context, device=slot.device, threads=slot.threads)
    process = fork_server.Process(
        target=_work,
        args=(root.absolute(), run_id, context, from_launcher, working_folder()),
        name=f"run-{run_id[:PREFIX]}",
    )
    try:
        with _working_in(root):
            process.start()
    except (EOFError, ConnectionError):
        raise StoreError(
            "the process that local runs are started from has died, perhaps for its memory; "
            "what was done before is kept: run the same command again"
        ) from None
    from_launcher.close()
    return _Worker(run_id, slot, process, to_worker)


def _work(
    root: Path,
    run_id: str,
    context: AttemptContext,
    from_launcher: Connection,
    folder: Path | None,
) -> None:
    """Make the attempt, in the process of one run, in the folder that relative paths mean."""
    if folder is not None:
        with suppress(FileNotFoundError):  # deleted a moment ago
            os.chdir(folder)
    with Interrupts(*_WARNINGS) as interrupts:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WARNINGS)

        def stop_reason() -> str | None:
            return interrupts.reason() or _word_of_launcher(from_launcher)

        # A launcher that has died meanwhile may have a successor, whose attempt is not to be outrun
        # by one that stops at once.
        if stop_reason() is not None:
            return
        keep_only_data_of(Root(root).run(run_id))
        context = _seeing_one_gpu(context)
        run_attempt(root, run_id, context, stop_reason)


def _seeing_one_gpu(context: AttemptContext) -> AttemptContext:
    """Let this process see the GPU of its slot alone; return the context with its name there."""
    kind, _, number = context.device.partition(":")
    if kind != "cuda" or not number:
        return context
    see_one(int(number))
    return replace(context, device="cuda:0")


def _word_of_launcher(from_launcher: Connection) -> str | None:
    """Return the reason to stop that the launcher sends; None while it sends nothing."""
    try:
        return str(from_launcher.recv()) if from_launcher.poll() else None
    except (EOFError, OSError):
        return "the launcher is gone"


def _ask_to_stop(workers: Iterable[_Worker], reason: str) -> None:
    for worker in workers:
        if not worker.to_worker.closed:
            # It may have ended by itself a moment ago.
            with suppress(OSError):
                worker.to_worker.send(reason)
            worker.to_worker.close()


def _reap_ended(active: list[_Worker], losses: Losses) -> list[Slot]:
    """Clear away the processes that have ended; return the slots that they free."""
    ended = [worker for worker in active if not worker.process.is_alive()]
    for worker in ended:
        active.remove(worker)
    return [_reap(worker, losses) for worker in ended]


def _reap(worker: _Worker, losses: Losses) -> Slot:
    """Clear away an ended process; return the slot that it frees."""
    worker.process.join()
    worker.to_worker.close()
    losses.note(worker.run_id, worker.process.pid or 0, worker.process.exitcode or 0)
    return worker.slot
