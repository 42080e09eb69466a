"""Tells what a run asks for, as far as its cost and its memory depend on it.

The same facts are kept in the claim of a run's attempts.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from orchestrator.machine.gpus import gpu_count
from orchestrator.slurm.limits import ask_controller
from orchestrator.spec import Resources, Sweep, Variant, resources_of
from orchestrator.spec.clusters import cluster_defaults
from orchestrator.store.root import RunFolder

_KINDS = ("gpu_type", "partition", "constraint", "nodelist")
"""Keys that lead to other machines."""


class ResourceRequests:
    """Tells what the runs of one launch ask for.

    Args:
        executor: `slurm`, `local` or `inline`.
        cluster: whose defaults count; None for the one that SLURM names.

    Attributes:
        executor: the same.
    """

    def __init__(self, executor: str, cluster: str | None = None) -> None:
        self.executor = executor
        self._cluster = cluster
        # Asked for once per run of a plan, which may have thousands of runs and few variants.
        self._by_variant: dict[str, Mapping[str, Any]] = {}

    def for_variant(self, sweep: Sweep, variant: Variant) -> Mapping[str, Any]:
        """Return what a variant's runs ask for, as `request_of` does.

        On this machine that is a GPU each, where it has one.

        Raises:
            SchedulerError: SLURM does not answer, so it is not known which cluster's defaults
                count.
            SpecError: clusters.yaml is not valid, or contradicts the spec.
        """
        if self.executor != "slurm":
            return self._on_this_machine
        if variant.name not in self._by_variant:
            resources = resources_of(sweep, variant, self._cluster_defaults)
            self._by_variant[variant.name] = request_of(resources)
        return self._by_variant[variant.name]

    def of_jobs(self, sweep: Sweep, variants: Iterable[Variant]) -> list[Resources]:
        """Return the different requests that jobs of variants make on SLURM."""
        requests: dict[str, Resources] = {}
        for variant in variants:
            resources = resources_of(sweep, variant, self._cluster_defaults)
            requests.setdefault(resources.model_dump_json(), resources)
        return list(requests.values())

    @cached_property
    def _cluster_defaults(self) -> Resources:
        return cluster_defaults(ask_controller().cluster, self._cluster)

    @cached_property
    def _on_this_machine(self) -> Mapping[str, Any]:
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
    share["timeout_min"] = resources.timeout_min
    return share | {key: getattr(resources, key) for key in _KINDS}


def has_more_memory(now: Mapping[str, Any], run: RunFolder) -> bool:
    """Tell whether a run would get more memory than its last attempt had.

    Another kind of machine with no less of it counts as more.

    Args:
        now: what it would ask for, as `request_of` returns it.
        run: its folder; False where its last attempt was not made by a job.
    """
    attempt = run.last_attempt()
    if attempt is None or "mem_gb" not in now:
        return False
    claim = attempt.read_claim() or {}
    before = claim.get("job", {}).get("asked")
    if before is None:
        return False

    # A run may lack a GPU's memory or the node's, so neither may shrink.
    mem_gb = before.get("mem_gb")
    gpus = before.get("gpus")
    if mem_gb is None or gpus is None:
        return False
    if now["mem_gb"] != mem_gb or now["gpus"] != gpus:
        return bool(now["mem_gb"] >= mem_gb and now["gpus"] >= gpus)
    return any(now[key] != before.get(key) for key in _KINDS)
