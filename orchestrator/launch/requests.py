"""What a run asks for here, as far as it tells what it costs and whether it fits; kept in the claim
of its attempts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from byol_core.files import read_json
from orchestrator.machine.gpus import gpu_count
from orchestrator.slurm.limits import ask_controller
from orchestrator.spec import Resources, Sweep, Variant, resources_of
from orchestrator.spec.clusters import cluster_defaults
from orchestrator.store.root import RunFolder

_KINDS = ("gpu_type", "partition", "constraint", "nodelist")
"""Keys that lead to other machines."""


@dataclass(frozen=True)
class ResourceRequests:
    """What the runs of one launch ask for.

    Attributes:
        executor: `slurm`, `local` or `inline`.
        cluster: whose defaults count; None for the one that SLURM names.
    """

    executor: str
    cluster: str | None = None
    _told: dict[str, Mapping[str, Any]] = field(default_factory=dict, compare=False)

    def for_variant(self, sweep: Sweep, variant: Variant) -> Mapping[str, Any]:
        """Return what a variant's runs ask for, as `request_of` does; on this machine a GPU each,
        where it has one.

        Raises:
            SchedulerError: SLURM does not answer, so it is not known which cluster's defaults
                count.
            SpecError: clusters.yaml is not valid, or contradicts the spec.
        """
        if variant.name not in self._told:
            self._told[variant.name] = (
                request_of(resources_of(sweep, variant, self._defaults))
                if self._sends
                else self._here
            )
        return self._told[variant.name]

    @property
    def _sends(self) -> bool:
        return self.executor == "slurm"

    @cached_property
    def _defaults(self) -> Resources:
        return cluster_defaults(ask_controller().cluster, self.cluster)

    @cached_property
    def _here(self) -> Mapping[str, Any]:
        return {"gpus": float(gpu_count() > 0)}


def request_of(resources: Resources) -> dict[str, Any]:
    """Return what goes into the claim of an attempt: what one run has of its job.

    Args:
        resources: of the job, whose runs share it where several go side by side.
    """
    share = {
        "gpus": resources.gpus * resources.nodes / resources.side_by_side,
        "mem_gb": resources.mem_gb / resources.side_by_side,
    }
    return share | {key: getattr(resources, key) for key in _KINDS}


def has_more_memory(now: Mapping[str, Any], run: RunFolder) -> bool:
    """Tell whether a run would get more memory than its last attempt had, or another machine and no
    less.

    Args:
        now: what it would ask for, as `request_of` returns it.
        run: its folder; False where its last attempt was not made by a job.
    """
    attempts = run.attempts()
    claim = (read_json(attempts[-1].claim) if attempts else None) or {}
    before = claim.get("job", {}).get("asked")
    if before is None or "mem_gb" not in now:
        return False
    if now["mem_gb"] != before["mem_gb"] or now["gpus"] != before["gpus"]:
        return bool(now["mem_gb"] >= before["mem_gb"] and now["gpus"] >= before["gpus"])
    return any(now[key] != before[key] for key in _KINDS)
