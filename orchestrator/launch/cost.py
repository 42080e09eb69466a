"""What a launch will cost, told from what runs of the same kind have taken before. A guess, and it
says from how many.
"""

from dataclasses import dataclass
from statistics import median

from sqlalchemy import Engine

from orchestrator.launch.plan import Plan
from orchestrator.launch.requests import ResourceRequests
from orchestrator.status.pace import kind_of, measured_kinds


@dataclass(frozen=True)
class Cost:
    """The price of some runs.

    Attributes:
        run_hours: summed over the runs that can be told.
        gpu_hours: of the GPUs that they would hold; 0 where they ask for none.
        disk_bytes: what they will keep.
        measured: how many earlier runs it was told from.
        unknown: runs of a kind that was never run.
    """

    run_hours: float
    gpu_hours: float
    disk_bytes: float
    measured: int
    unknown: int


def estimate(engine: Engine, plan: Plan, requests: ResourceRequests) -> Cost:
    """Price what a plan starts by the median step time, and time beside the steps, of completed
    runs of the same kind.
    """
    with engine.connect() as connection:
        kinds = measured_kinds(connection)
    run_hours = gpu_hours = disk_bytes = 0.0
    told_from, unknown = set(), 0
    for run in plan.start:
        config = run.variant.canonical()
        kind = kind_of(config, run.data.fingerprint)
        if kind not in kinds:
            unknown += 1
            continue
        measured = kinds[kind]
        hours = (
            median(measured.epoch_s) * (config["epochs"] or 0) + median(measured.rest_s)
        ) / 3600
        run_hours += hours
        gpu_hours += hours * requests.for_variant(plan.sweep, run.variant)["gpus"]
        disk_bytes += median(measured.disk_bytes)
        told_from.add(kind)
    return Cost(
        run_hours,
        gpu_hours,
        disk_bytes,
        sum(len(kinds[kind].epoch_s) for kind in told_from),
        unknown,
    )
