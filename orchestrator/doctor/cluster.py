"""Checks the cluster as a whole: which SLURM answers, its name, and whether it keeps accounts."""

from collections.abc import Iterator, Mapping

from orchestrator.doctor.finding import Finding, fail, ok, warn
from orchestrator.errors import SchedulerError
from orchestrator.slurm.commands import ask

_NO_ACCOUNTS = ("accounting_storage/none", "(null)", "")


def check_cluster(config: Mapping[str, str]) -> Iterator[Finding]:
    """Look at name, version, commands and accounting."""
    version = config.get("SLURM_VERSION", "unknown")
    name = config.get("ClusterName", "without a name")
    yield ok("SLURM", f"version {version}, cluster {name}")
    yield commands()
    yield accounting(config)


def commands() -> Finding:
    """Check that each command that sweeps use answers."""
    errors = []
    for command in ("sbatch", "squeue", "scontrol", "scancel", "sinfo"):
        try:
            ask(command, "--version")
        except SchedulerError as error:
            errors.append(str(error))
    if errors:
        return fail(
            "commands",
            "; ".join(errors),
            "use a node where all of SLURM's commands work, usually a login node",
        )
    return ok("commands", "sbatch, squeue, scontrol, scancel and sinfo answer")


def accounting(config: Mapping[str, str]) -> Finding:
    """Check that `sacct` answers, and say what is lost where it does not."""
    kind = config.get("AccountingStorageType", "")
    if kind in _NO_ACCOUNTS:
        text = f"none ({kind or 'not set'}): how a killed job ended is told by its files alone"
        return warn(
            "accounting",
            text,
            "nothing to do: runs record their own end; a job killed at once shows as lost",
        )

    # It is configured; the smallest question tells whether it answers too.
    try:
        ask("sacct", "--noheader", "--allocations", "--format=JobID", "--starttime=now-1minutes")
    except SchedulerError as error:
        return warn(
            "accounting",
            f"{kind}, but {error}",
            "sweeps go on without it; tell your site that slurmdbd is down",
        )
    return ok("accounting", f"{kind}, sacct answers")
