"""Says what the jobs of a sweep would ask for here: the spec's resources over clusters.yaml."""

from orchestrator.doctor.finding import Finding, fail, ok
from orchestrator.errors import SweepError
from orchestrator.spec import Resources, Sweep, expand, resources_of
from orchestrator.spec.clusters import cluster_defaults, clusters_file, load_clusters


def check_clusters(name: str | None) -> Finding:
    """Tell whether clusters.yaml describes this cluster, and can be read."""
    try:
        known = load_clusters().clusters
    except SweepError as error:
        return fail(
            "clusters.yaml",
            str(error),
            "correct that line; without the file the spec's resources count alone",
        )
    if name in known:
        keys = ", ".join(known[name].model_fields_set) or "nothing set"
        return ok("clusters.yaml", f"{clusters_file()} describes {name}: {keys}")
    return ok(
        "clusters.yaml",
        f"{clusters_file()} says nothing of {name}: the spec's resources count alone",
    )


def requests_of_sweep(sweep: Sweep | None, cluster: str | None) -> list[Resources]:
    """Return the different requests that jobs of a sweep would make.

    Raises:
        SpecError: clusters.yaml is not valid, or contradicts the spec.
    """
    if sweep is None:
        return []
    defaults = cluster_defaults(cluster, None)
    requests = [resources_of(sweep, variant, defaults) for variant in expand(sweep)]
    different = {request.model_dump_json(): request for request in requests}
    return list(different.values())
