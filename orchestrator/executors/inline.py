"""Makes attempts in this process, one after the other.

So breakpoints work, and errors are seen where they happen.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.executors.interrupts import Interrupts
from orchestrator.executors.worker import AttemptContext, run_attempt


def run_inline(
    root: Path,
    run_ids: Sequence[str],
    context: AttemptContext,
    interrupts: Interrupts,
    tick: Callable[[], None],
) -> None:
    """Make an attempt at each run; after an interrupt, none is started any more."""
    for run_id in run_ids:
        if interrupts.reason() is not None:
            return
        run_attempt(root, run_id, context, interrupts.reason)
        tick()
