"""Calls a command of the user's at the first failure of each kind, while a launch goes on.

Runs that fail in the same state for the same reason are one kind: forty runs that meet one error
are told of once. The command runs beside the launch, which it cannot hold up.
"""

import json
import re
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from orchestrator.launch.on_end import run_command
from orchestrator.status.run_status import FAILED, RunStatus
from orchestrator.status.sweep_status import SweepStatus

_NUMBERS = re.compile(r"\d+")


class FailureHook:
    """Tells a command of each kind of failure once.

    Args:
        command: for the shell.
        known: ids of runs that had failed before this launch, of which nobody is told again.
    """

    def __init__(self, command: str, known: Collection[str] = ()) -> None:
        self._command = command
        self._known = frozenset(known)
        self._kinds: set[tuple[str, str]] = set()
        self._calls: list[Future[str | None]] = []
        self._pool = ThreadPoolExecutor(max_workers=1)

    def look(self, status: SweepStatus) -> None:
        """Call the command for each kind of failure that is new."""
        for run in status.runs:
            if run.group != FAILED or run.run_id in self._known or _kind(run) in self._kinds:
                continue
            self._kinds.add(_kind(run))
            body = json.dumps(failure(status.label, run)).encode()
            self._calls.append(self._pool.submit(run_command, self._command, body))

    def close(self) -> Iterator[str]:
        """Wait for the calls, and yield a sentence for each that failed."""
        self._pool.shutdown()
        for call in self._calls:
            problem = call.result()
            if problem is not None:
                yield f"--on-fail: {problem}; the sweep itself is not affected"


def failure(label: str, run: RunStatus) -> dict[str, Any]:
    """Return what the command is told: `text` is one line for people, the rest for programs."""
    return {
        "text": f"{label}: {run.variant} seed {run.seed} {run.state.value}: {run.why or 'no reason'}",
        "sweep": label,
        "run_id": run.run_id,
        "variant": run.variant,
        "seed": run.seed,
        "state": run.state.value,
        "reason": run.reason,
    }


def _kind(run: RunStatus) -> tuple[str, str]:
    """Return what equal failures have in common: numbers, such as those of jobs, do not count."""
    return run.state.value, _NUMBERS.sub("#", run.reason or "")
