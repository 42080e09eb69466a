"""What jobs ask for by default on each cluster, so that specs stay portable:
``~/.config/sweep/clusters.yaml``.

The file is chosen by $SWEEP_CLUSTERS where that is set, the cluster in it by SLURM's ClusterName or
`launch --cluster`.
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
    """Defaults of one cluster, which lie under a spec's `resources`.

    Attributes:
        max_jobs: at most so many of the user's jobs wait or run there at once; for limits that
            SLURM does not tell.
    """

    max_jobs: int | None = Field(None, ge=1)


class Clusters(Part):
    """The file."""

    clusters: dict[Name, Cluster] = {}


def clusters_file() -> Path:
    """Return where the clusters are described: $SWEEP_CLUSTERS, or sweep/clusters.yaml in the
    user's configuration.
    """
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(os.environ.get("SWEEP_CLUSTERS") or Path(base) / "sweep" / "clusters.yaml")


def load_clusters() -> Clusters:
    """Read the file; none is as good as an empty one, unless $SWEEP_CLUSTERS names it.

    Raises:
        SpecError: it is not valid; the text starts with file and line.
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


def cluster_defaults(name: str | None, asked: str | None) -> Cluster:
    """Return what clusters.yaml says of a cluster; arguments and errors as of `choose_cluster`.

    Raises:
        SpecError: clusters.yaml is not valid.
    """
    return choose_cluster(load_clusters(), name, asked)


def choose_cluster(clusters: Clusters, name: str | None, asked: str | None) -> Cluster:
    """Return the cluster's defaults; a cluster that is not described has none.

    Args:
        clusters: all that are described.
        name: SLURM's ClusterName, None where it is not known.
        asked: of `--cluster`, which counts more.

    Raises:
        UsageError: the one that is asked for is not described.
    """
    if asked is not None and asked not in clusters.clusters:
        hint = nearest(asked, clusters.clusters) if clusters.clusters else "it describes none"
        raise UsageError(f"--cluster {asked!r} is not in {clusters_file()}; {hint}")
    return clusters.clusters.get(asked or name or "", Cluster())
