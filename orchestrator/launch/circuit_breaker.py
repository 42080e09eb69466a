"""Stops a sweep that cannot work.

If its first runs fail before they train at all, the others would too.
"""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.launch.plan import PlannedRun
from orchestrator.store.jobs import Queue
from orchestrator.store.retry import took_a_step
from orchestrator.store.root import Root
from orchestrator.store.standing import standing
from orchestrator.store.state import State

_FIRST = 3

FIRST_RUNS_FAILED = "stopped with its sweep, whose first runs failed"
"""Why runs were cancelled that waited when a sweep was stopped."""


def failure_of_first_runs(runs: Sequence[PlannedRun], root: Root) -> str | None:
    """Tell whether a sweep is to be stopped, and why.

    Args:
        runs: all of the sweep that this launch is about.
        root: where they are.

    Returns:
        What went wrong and what to do; None for a sweep of which any run has trained, or too few
        have failed to tell.
    """
    # Few failures mean nothing yet, unless the sweep has no more runs.
    failed = [run for run in runs if run.standing.state == State.FAILED]
    number_of_runs = len({run.run_id for run in runs})
    if len({run.run_id for run in failed}) < min(_FIRST, number_of_runs):
        return None

    # One run that trained shows that the sweep can work; what is done need not be read for it.
    for run in runs:
        if run.standing.state == State.COMPLETED or took_a_step(root.run(run.run_id)):
            return None

    example = failed[0]
    return (
        f"the first {len(failed)} runs failed before their first step, "
        f"{example.variant.name} seed {example.seed} with: {example.standing.reason}; "
        "the rest is held back. Mend it, then launch with --retry failed,cancelled"
    )


class CircuitBreaker:
    """Watches the runs of this machine for the same, several times a second.

    Args:
        runs: all of the sweep that this launch is about.
        root: where they are.

    Attributes:
        reason: why the sweep was stopped; None where it was not.
    """

    def __init__(self, runs: Sequence[PlannedRun], root: Root) -> None:
        self._runs = list(runs)
        self._root = root
        self._is_sound = False
        self.reason: str | None = None

    def is_open(self) -> bool:
        """Tell whether the sweep is to be stopped; once a run has trained it is sound for good."""
        if not self._is_sound and self.reason is None:
            self._look()
        return self.reason is not None

    def _look(self) -> None:
        folders = [self._root.run(run.run_id) for run in self._runs]
        self._is_sound = any(took_a_step(folder) for folder in folders)
        runs_now = [
            replace(run, standing=standing(folder, Queue()))
            for run, folder in zip(self._runs, folders, strict=True)
        ]
        self.reason = failure_of_first_runs(runs_now, self._root)
