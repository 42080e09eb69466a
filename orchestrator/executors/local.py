"""Runs on this machine: each in a fresh process, as many at once as there are slots.

Processes come from a fork server that has loaded torch, so a run starts in under a tenth of a
second. A pipe leads from the launcher to each run: a word on it asks the run to stop behind a
checkpoint, and its closing, when the launcher dies, does the same.
"""

import multiprocessing as mp
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.machine.gpus import gpu_count

_POLL_S = 0.25
_LEAVE_S = 60.0
_OF_THE_GROUP = frozenset({signal.SIGINT, signal.SIGHUP})
_WARNINGS = frozenset({signal.SIGTERM, signal.SIGUSR2})


@dataclass(frozen=True)
class Slot:
    """A place for one run: a device, and this many CPU threads."""

    device: str
    threads: int


@dataclass
class _Worker:
    slot: Slot
    process: ForkServerProcess
    to_worker: Connection


def find_slots(wanted: int | None) -> list[Slot]:
    """Return the places for runs: one per GPU, or one per core where there is no GPU; `wanted` sets
    their number.
    """
    cores = len(os.sched_getaffinity(0))
    gpus = gpu_count()
    count = wanted or gpus or cores
    devices = [f"cuda:{i % gpus}" if gpus else "cpu" for i in range(count)]
    return [Slot(device, max(1, cores // count)) for device in devices]


def run_local(
    root: Path,
    run_ids: Sequence[str],
    job: AttemptContext,
    slots: Sequence[Slot],
    interrupts: Interrupts,
    tick: Callable[[], None],
) -> None:
    """Run all, in order, `len(slots)` at a time.

    Args:
        root: the root folder.
        run_ids: what to run.
        job: device and threads are the slot's.
        slots: places.
        interrupts: once it has a reason, nothing is started any more and what runs is asked to
            stop.
        tick: called several times a second.
    """
    waiting, free, active = deque(run_ids), list(slots), list[_Worker]()
    context = _fork_server()
    try:
        while active or (waiting and interrupts.reason() is None):
            while waiting and free and interrupts.reason() is None:
                active.append(_start(context, root, waiting.popleft(), job, free.pop(0)))
            wait([worker.process.sentinel for worker in active], timeout=_POLL_S)
            for worker in [worker for worker in active if not worker.process.is_alive()]:
                active.remove(worker)
                free.append(_reap(worker))
            if interrupts.reason() is not None:
                _ask_to_stop(active, interrupts.reason() or "")
            tick()
    except KeyboardInterrupt:  # the second Ctrl-C: do not wait for checkpoints
        for worker in active:
            worker.process.kill()
        raise
    finally:
        for worker in active:
            worker.to_worker.close()
            worker.process.join(_LEAVE_S)


def _fork_server() -> mp.context.ForkServerContext:
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["orchestrator.executors.warm"])
    # A terminal sends Ctrl-C, and its closing, to every process of the group, and SLURM its
    # warnings. They are blocked from the fork server on: it would die of them, and runs hear of
    # Ctrl-C and closing from the launcher alone. Blocked anew for the second start, as the first,
    # the resource tracker's, takes the block away.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_GROUP | _WARNINGS)
    try:
        for start in (resource_tracker.ensure_running, forkserver.ensure_running):
            signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_GROUP | _WARNINGS)
            start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def _start(
    context: mp.context.ForkServerContext, root: Path, run_id: str, job: AttemptContext, slot: Slot
) -> _Worker:
    from_launcher, to_worker = context.Pipe(duplex=False)
    here = replace(job, device=slot.device, threads=slot.threads)
    process = context.Process(
        target=_work, args=(root, run_id, here, from_launcher), name=f"run-{run_id[:10]}"
    )
    process.start()
    from_launcher.close()
    return _Worker(slot, process, to_worker)


def _work(root: Path, run_id: str, job: AttemptContext, from_launcher: Connection) -> None:
    """The process of one run."""
    with Interrupts(*_WARNINGS) as interrupts:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WARNINGS)

        def stop_reason() -> str | None:
            return interrupts.reason() or _word(from_launcher)

        run_attempt(root, run_id, job, stop_reason)


def _word(from_launcher: Connection) -> str | None:
    """Return what the launcher says; None for nothing yet."""
    try:
        return str(from_launcher.recv()) if from_launcher.poll() else None
    except (EOFError, OSError):
        return "the launcher is gone"


def _ask_to_stop(workers: Iterable[_Worker], reason: str) -> None:
    for worker in workers:
        if not worker.to_worker.closed:
            with suppress(OSError):  # it may have just ended by itself
                worker.to_worker.send(reason)
            worker.to_worker.close()


def _reap(worker: _Worker) -> Slot:
    worker.process.join()
    worker.to_worker.close()
    return worker.slot
