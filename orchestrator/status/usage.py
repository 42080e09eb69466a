"""What a sweep has used of the machines: hours of GPUs, or of cores where none was held, over all
attempts at its runs.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from orchestrator.database import schema
from orchestrator.store.state import State


@dataclass(frozen=True)
class Usage:
    """Hours used so far.

    Attributes:
        hours: of GPUs where any was held, else of runs on cores.
        unit: `GPU-hours` or `core-hours`.
        run_hours: of runs, whatever they held.
    """

    hours: float = 0.0
    unit: str = "core-hours"
    run_hours: float = 0.0

    def expected(self, hours_left: float | None) -> float | None:
        """Return the hours of the whole sweep, where runs go on holding what they held; None where
        nothing tells.
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
    cells, runs, attempts = schema.sweep_runs, schema.runs, schema.attempts
    wanted = select(cells.c.run_id).where(cells.c.sweep_id == sweep_id)
    still_runs = (
        (runs.c.state == State.RUNNING.value)
        & (attempts.c.number == runs.c.attempt)
        & attempts.c.ended_at.is_(None)
    )
    end = case(
        (still_runs, now),
        else_=func.coalesce(attempts.c.ended_at, attempts.c.last_at, attempts.c.claimed_at),
    )
    hours = (end - attempts.c.claimed_at) / 3600
    gpus = func.coalesce(attempts.c.gpus, case((attempts.c.device.startswith("cuda"), 1), else_=0))
    query = select(func.sum(hours), func.sum(hours * gpus)).join(
        runs, runs.c.run_number == attempts.c.run_number
    )
    run_hours, gpu_hours = (
        float(total or 0)
        for total in connection.execute(query.where(runs.c.run_id.in_(wanted))).one()
    )
    return (
        Usage(gpu_hours, "GPU-hours", run_hours)
        if gpu_hours
        else Usage(run_hours, "core-hours", run_hours)
    )
