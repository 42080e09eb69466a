"""Checks how many jobs SLURM takes: in an array, on the cluster, of this user."""

import getpass
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.doctor.finding import Finding, ok, warn
from orchestrator.errors import SchedulerError
from orchestrator.slurm.durations import seconds_of
from orchestrator.slurm.limits import accounting_table

_FEW_SUBMITTED = 50
_SHORT_MEMORY_S = 60


def check_limits(config: Mapping[str, str]) -> Iterator[Finding]:
    """Look at every limit that decides how many runs go out at once."""
    yield array_size(config)
    yield job_count(config)
    yield memory(config)
    yield own_limits()


def array_size(config: Mapping[str, str]) -> Finding:
    """Look at MaxArraySize: the highest index is one less, and ours start at 0."""
    size = config.get("MaxArraySize", "")
    if not size.isdecimal():
        return warn(
            "array size", "MaxArraySize is not told", "none: 1001, SLURM's own default, is assumed"
        )
    if int(size) < 2:
        return warn(
            "array size",
            f"MaxArraySize is {size}: no arrays",
            "ask your site for arrays, or use --executor local in a job",
        )
    return ok("array size", f"{int(size):,} jobs in an array; larger sweeps go out as several")


def job_count(config: Mapping[str, str]) -> Finding:
    """Look at MaxJobCount, which counts every job of everybody, and each task of an array."""
    count = config.get("MaxJobCount", "unknown")
    if not count.isdecimal():
        return ok("jobs", f"MaxJobCount {count}")
    return ok("jobs", f"{int(count):,} on the whole cluster, for all users")


def memory(config: Mapping[str, str]) -> Finding:
    """Look at MinJobAge: how long squeue knows a job after its end."""
    seconds = seconds_of(config.get("MinJobAge", ""))
    if seconds is None:
        return ok("memory", "SLURM remembers a job for a while after its end")
    if seconds < _SHORT_MEMORY_S:
        text = f"SLURM forgets a job {seconds:.0f} s after its end"
        return warn(
            "memory",
            text,
            "nothing to do: a run's own files count; without accounting a killed job shows as lost",
        )
    return ok("memory", f"SLURM remembers a job {seconds:.0f} s after its end")


def own_limits() -> Finding:
    """Read the limits of the user's associations and of the QOS levels they may use."""
    try:
        associations = accounting_table(
            "associations", "QOS,MaxJobs,MaxSubmitJobs", f"user={getpass.getuser()}"
        )
        levels = accounting_table("qos", "Name,MaxJobsPU,MaxSubmitJobsPU")
    except (SchedulerError, OSError) as error:  # without accounting there are none
        return ok("your limits", f"not told: {error}")

    rows = [("you", running, submitted) for _, running, submitted in associations]
    for qos, running, submitted in levels:
        if _may_use(associations, qos):
            rows.append((f"QOS {qos}", running, submitted))

    # What limits running jobs only delays a sweep; what limits submitted jobs refuses a part of it.
    texts = []
    fewest = _FEW_SUBMITTED
    for name, running, submitted in rows:
        if running:
            texts.append(f"{name}: {running} jobs at once")
        if submitted:
            texts.append(f"{name}: {submitted} jobs submitted")
        if submitted.isdecimal():
            fewest = min(fewest, int(submitted))
    if fewest < _FEW_SUBMITTED:
        return warn(
            "your limits",
            "; ".join(texts),
            "what is refused stays planned and goes out with the next launch, or --wait",
        )
    return ok("your limits", "; ".join(texts) or "none")


def _may_use(associations: Sequence[Sequence[str]], qos: str) -> bool:
    """Tell whether one of the user's associations allows a QOS; without any, all are allowed."""
    allowed = [row[0].split(",") for row in associations]
    return not allowed or any(qos in names for names in allowed)
