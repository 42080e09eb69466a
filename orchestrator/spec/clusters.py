"""Reads ``~/.config/sweep/clusters.yaml``: what jobs ask for by default on each cluster.

So specs stay portable. The file is chosen by $SWEEP_CLUSTERS where that is set, the cluster in it
by SLURM's ClusterName or `launch --cluster`.
"""

import os
from pathlib import Path

from pydantic import Field, ValidationError

from byol_core.config import nearest
from orchestrator.errors import SpecError, UsageError
from orchestrator.spec import strict_yaml
from orchestrator.spec.explain import explain
from orchestrator.spec.parts import Name, Part
from orchestrator.spec.resources import Resources


class Cluster(Resources):
    """The defaults of one cluster, which lie under a spec's `resources`.

    Attributes:
        max_jobs: at most so many of the user's jobs wait or run there at once; for limits that
            SLURM does not tell.
    """

    max_jobs: int | None = Field(None, ge=1)


class Clusters(Part):
    """All that clusters.yaml may say."""

    clusters: dict[Name, Cluster] = {}


def clusters_file() -> Path:
    """Return where the clusters are described.

    It is $SWEEP_CLUSTERS, or sweep/clusters.yaml in the user's configuration.
    """
    chosen = os.environ.get("SWEEP_CLUSTERS")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "sweep" / "clusters.yaml"


def load_clusters() -> Clusters:
    """Read clusters.yaml; where it is missing, no cluster is described.

    Raises:
        SpecError: it is not valid, and the text starts with file and line; or $SWEEP_CLUSTERS names
            a file that is missing.
    """
    file = clusters_file()
    if not file.exists():
        if os.environ.get("SWEEP_CLUSTERS"):
            raise SpecError(f"{file}: no such file; it is named by $SWEEP_CLUSTERS")
        return Clusters()

    document = strict_yaml.read(file, "`clusters: {name: {partition: gpu}}`")
    try:
        return Clusters.model_validate(document.values)
    except ValidationError as error:
        raise SpecError(explain(document, Clusters, error)) from None


def cluster_defaults(slurm_name: str | None, option: str | None) -> Cluster:
    """Return what clusters.yaml says of a cluster; arguments and errors as of `choose_cluster`.

    Raises:
        SpecError: clusters.yaml is not valid.
    """
    return choose_cluster(load_clusters(), slurm_name, option)


def choose_cluster(clusters: Clusters, slurm_name: str | None, option: str | None) -> Cluster:
    """Return the cluster's defaults; a cluster that is not described has none.

    Args:
        clusters: all that are described.
        slurm_name: SLURM's ClusterName, None where it is not known.
        option: of `--cluster`, which counts more.

    Raises:
        UsageError: the option names a cluster that is not described.
    """
    described = clusters.clusters
    if option is not None and option not in described:
        hint = "it describes none"
        if described:
            hint = nearest(option, described)
        raise UsageError(f"--cluster {option!r} is not in {clusters_file()}; {hint}")
    return described.get(option or slurm_name or "", Cluster())
