"""How many jobs SLURM takes: of an array, of the cluster, of you."""

import getpass
from collections.abc import Iterator, Mapping

from orchestrator.doctor.finding import Finding, ok, warn
from orchestrator.errors import SchedulerError
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
    """MaxArraySize limits the highest index, which is one less; ours start at 0."""
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
    """MaxJobCount counts every job of everybody, and each task of an array."""
    count = config.get("MaxJobCount", "unknown")
    return ok(
        "jobs",
        f"{int(count):,} on the whole cluster, everybody's"
        if count.isdecimal()
        else f"MaxJobCount {count}",
    )


def memory(config: Mapping[str, str]) -> Finding:
    """MinJobAge is how long squeue knows a job after its end."""
    seconds = config.get("MinJobAge", "").removesuffix("sec").strip()
    if seconds.isdecimal() and int(seconds) < _SHORT_MEMORY_S:
        text = f"SLURM forgets a job {seconds} s after its end"
        return warn(
            "memory",
            text,
            "nothing to do: a run's own files count; without accounting a killed job shows as lost",
        )
    return ok("memory", f"SLURM remembers a job {seconds or 'some'} s after its end")


def own_limits() -> Finding:
    """Read the limits of the user's associations and of the QOS levels they may use."""
    try:
        associations = accounting_table(
            "associations", "QOS,MaxJobs,MaxSubmitJobs", f"user={getpass.getuser()}"
        )
        levels = accounting_table("qos", "Name,MaxJobsPU,MaxSubmitJobsPU")
    except (SchedulerError, OSError) as error:
        return ok("your limits", f"not told: {error}")
    mine = {name for row in associations for name in row[0].split(",")} or {
        row[0] for row in levels
    }
    named = [("you", *row[1:]) for row in associations] + [
        (f"QOS {row[0]}", *row[1:]) for row in levels if row[0] in mine
    ]
    said = [text for who, running, submitted in named for text in _words(who, running, submitted)]
    fewest = min((int(row[2]) for row in named if row[2].isdecimal()), default=_FEW_SUBMITTED)
    if fewest < _FEW_SUBMITTED:
        return warn(
            "your limits",
            "; ".join(said),
            "what is refused stays planned and goes out with the next launch, or --wait",
        )
    return ok("your limits", "; ".join(said) or "none")


def _words(who: str, running: str, submitted: str) -> Iterator[str]:
    if running:
        yield f"{who}: {running} jobs at once"
    if submitted:
        yield f"{who}: {submitted} jobs submitted"
