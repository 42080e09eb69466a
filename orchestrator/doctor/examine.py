"""Runs every check that applies here, topic by topic, and gives the findings as JSON too."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.doctor.accounts import check_accounts
from orchestrator.doctor.cluster import check_cluster
from orchestrator.doctor.database import check_database
from orchestrator.doctor.files import check_files
from orchestrator.doctor.finding import Finding, Level, fail, ok
from orchestrator.doctor.limits import check_limits
from orchestrator.doctor.machine import check_machine
from orchestrator.doctor.partitions import (
    Offers,
    Partition,
    check_partitions,
    read_partitions,
)
from orchestrator.doctor.preemption import check_preemption
from orchestrator.doctor.requests import check_clusters, requests_of_sweep
from orchestrator.doctor.send_probe import probe_cluster
from orchestrator.doctor.spec import check_spec
from orchestrator.errors import SchedulerError, SpecError
from orchestrator.slurm.commands import has_slurm
from orchestrator.slurm.limits import read_config
from orchestrator.slurm.nodes import read_nodes
from orchestrator.slurm.partitions import Settings, read_settings
from orchestrator.slurm.qos import read_qos_rules
from orchestrator.spec import Sweep
from orchestrator.store.root import Root

Topic = tuple[str, list[Finding]]


@dataclass(frozen=True)
class Subject:
    """Names what is examined: a root, a database (path or URL), and perhaps a sweep."""

    root: Root
    database: str
    sweep: Sweep | None = None


def examine(subject: Subject) -> Iterator[Topic]:
    """Yield the findings topic by topic; changes nothing that stays."""
    on_cluster = has_slurm()
    yield "this machine", list(check_machine())
    yield "run folders", list(check_files(subject.root.path, on_cluster))
    yield "database", check_database(subject.database)
    if subject.sweep is not None:
        yield "spec", [check_spec(subject.sweep, subject.root)]
    if on_cluster:
        yield "SLURM", list(_slurm(subject))
    else:
        yield "SLURM", [ok("SLURM", "not here: `--executor auto` uses this machine")]


def probed(subject: Subject, wait_min: float, note: Callable[[str], None]) -> Iterator[Topic]:
    """Yield what a probe job finds on a node; it is sent, waited for and cleaned up after."""
    if has_slurm():
        yield "a node", probe_cluster(subject.root, subject.sweep, wait_min * 60, note)
        return
    fix = "leave --submit out, or use a login node"
    yield "a node", [fail("probe job", "no SLURM here to send it to", fix)]


def passed(topics: Iterable[Topic]) -> bool:
    """Tell whether nothing failed; warnings pass."""
    return all(finding.level is not Level.FAIL for finding in findings_of(topics))


def findings_of(topics: Iterable[Topic]) -> Iterator[Finding]:
    """Yield the findings of all topics."""
    for _, findings in topics:
        yield from findings


def as_json(topics: Sequence[Topic]) -> dict[str, Any]:
    """Return the stable form that --json prints."""
    rows = []
    for topic, findings in topics:
        for finding in findings:
            rows.append(
                {
                    "topic": topic,
                    "name": finding.name,
                    "level": finding.level,
                    "found": finding.observed,
                    "fix": finding.fix,
                }
            )
    return {"ok": passed(topics), "findings": rows}


def _slurm(subject: Subject) -> Iterator[Finding]:
    try:
        config = read_config()
        settings = read_settings()
        partitions = read_partitions()
    except SchedulerError as error:
        yield fail(
            "SLURM",
            str(error),
            "try again; if it stays so, tell your site that slurmctld does not answer",
        )
        return

    # From what slurmctld is set to, to what this sweep asks of it.
    yield from check_cluster(config)
    yield from check_limits(config)
    yield from check_preemption(config, settings)
    yield from _requests(subject.sweep, config, partitions, settings)


def _requests(
    sweep: Sweep | None,
    config: Mapping[str, str],
    partitions: Sequence[Partition],
    settings: Mapping[str, Settings],
) -> Iterator[Finding]:
    cluster = config.get("ClusterName")
    yield check_clusters(cluster)
    try:
        requests = requests_of_sweep(sweep, cluster)
        nodes = read_nodes() if requests else []
        yield from check_partitions(partitions, requests, Offers(nodes, settings, read_qos_rules()))
        yield from check_accounts(config, requests)
    except SpecError as error:
        yield fail("resources", str(error), "change clusters.yaml or the spec")
    except SchedulerError as error:
        yield fail("resources", str(error), "try again: what nodes have could not be read")
