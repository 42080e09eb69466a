"""Estimates what a launch will cost from what runs of the same kind have taken before.

It is a guess, and says from how many runs it comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sqlalchemy import Engine

from orchestrator.launch.plan import Plan, PlannedRun
from orchestrator.launch.requests import ResourceRequests
from orchestrator.status.pace import kind_of, measured_kinds


@dataclass(frozen=True)
class Cost:
    """Holds the price of some runs.

    Attributes:
        run_hours: summed over the runs whose kind was measured.
        gpu_hours: of the GPUs that they would hold; 0 where they ask for none.
        disk_bytes: what they will keep.
        measured: how many earlier runs the estimate comes from.
        unknown: runs of a kind that was never run.
    """

    run_hours: float
    gpu_hours: float
    disk_bytes: float
    measured: int
    unknown: int


def estimate(
    engine: Engine,
    plan: Plan,
    requests: ResourceRequests,
    runs: Sequence[PlannedRun] | None = None,
) -> Cost:
    """Return the price of what a plan starts, or of some runs of it.

    It comes from the median time of an epoch, and beside the epochs, of completed runs of the same
    kind.
    """
    with engine.connect() as connection:
        kinds = measured_kinds(connection)

    run_hours = gpu_hours = disk_bytes = 0.0
    kinds_used = set()
    unknown = 0
    for run in plan.start if runs is None else runs:
        config = run.variant.canonical()
        kind = kind_of(config, run.data.fingerprint)
        if kind not in kinds:
            unknown += 1
            continue
        kinds_used.add(kind)

        # A run without epochs, such as a random encoder, still takes the time beside them.
        measured = kinds[kind]
        epochs_s = median(measured.epoch_s) * (config["epochs"] or 0)
        hours = (epochs_s + median(measured.rest_s)) / 3600
        run_hours += hours
        gpu_hours += hours * requests.for_variant(plan.sweep, run.variant)["gpus"]
        disk_bytes += median(measured.disk_bytes)

    number_measured = sum(len(kinds[kind].epoch_s) for kind in kinds_used)
    return Cost(run_hours, gpu_hours, disk_bytes, number_measured, unknown)
