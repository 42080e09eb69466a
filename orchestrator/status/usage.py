"""Counts the hours that a sweep has used, over all attempts at its runs.

They are hours of GPUs, or of cores where no GPU was held.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from orchestrator.database import schema
from orchestrator.store.state import State


@dataclass(frozen=True)
class Usage:
    """Says how many hours were used so far.

    Attributes:
        hours: of GPUs where any was held, else of runs on cores.
        unit: `GPU-hours` or `core-hours`.
        run_hours: of runs, whatever they held.
    """

    hours: float = 0.0
    unit: str = "core-hours"
    run_hours: float = 0.0

    def expected(self, hours_left: float | None) -> float | None:
        """Return the hours of the whole sweep; None where nothing tells.

        Runs are taken to go on holding what they held.
        """
        if hours_left is None or not self.run_hours:
            return None
        return self.hours * (1 + hours_left / self.run_hours)


NO_USAGE = Usage()


def usage(connection: Connection, sweep_id: int, now: float) -> Usage:
    """Sum up the attempts at a sweep's runs; one that left no last word ends with its last record.

    Args:
        connection: to the database.
        sweep_id: which sweep.
        now: seconds since 1970, the end of what still runs.
    """
    cells = schema.sweep_runs
    runs = schema.runs
    attempts = schema.attempts

    # An attempt ends with its last word, or now if it still runs.
    still_runs = (
        (runs.c.state == State.RUNNING.value)
        & (attempts.c.number == runs.c.attempt)
        & attempts.c.ended_at.is_(None)
    )
    last_sign = func.coalesce(attempts.c.ended_at, attempts.c.last_at, attempts.c.claimed_at)
    end = case((still_runs, now), else_=last_sign)
    hours = (end - attempts.c.claimed_at) / 3600

    # What no job told is one GPU where it trained on one.
    gpus = func.coalesce(attempts.c.gpus, case((attempts.c.device.startswith("cuda"), 1), else_=0))
    of_sweep = select(cells.c.run_id).where(cells.c.sweep_id == sweep_id)
    query = (
        select(func.sum(hours), func.sum(hours * gpus))
        .join(runs, runs.c.run_number == attempts.c.run_number)
        .where(runs.c.run_id.in_(of_sweep))
    )
    totals = connection.execute(query).one()
    run_hours, gpu_hours = (float(total or 0) for total in totals)
    if gpu_hours:
        return Usage(gpu_hours, "GPU-hours", run_hours)
    return Usage(run_hours, "core-hours", run_hours)
