"""The partitions: which take jobs, which have GPUs, how long a job may run, and whether a spec's
request fits one.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.doctor.finding import Finding, fail, ok, warn
from orchestrator.slurm.commands import ask
from orchestrator.spec import Resources

_FORMAT = "%P|%a|%l|%D|%G"


@dataclass(frozen=True)
class Partition:
    """One partition. `limit_min` is None for no time limit, `gres` e.g. `gpu:4` for each kind of
    node.
    """

    name: str
    is_default: bool
    is_up: bool
    limit_min: float | None
    nodes: int
    gres: tuple[str, ...]

    @property
    def has_gpus(self) -> bool:
        """Tell whether any of its nodes has a GPU."""
        return any("gpu" in one for one in self.gres)


def read_partitions() -> list[Partition]:
    """Return the partitions that `sinfo` lists.

    Raises:
        SchedulerError: SLURM did not answer.
    """
    rows = defaultdict(list)
    for line in ask("sinfo", "--noheader", f"--format={_FORMAT}").splitlines():
        fields = line.strip().split("|")
        if len(fields) == 5:
            rows[fields[0]].append(fields)
    return [_partition(name, lines) for name, lines in rows.items()]


def read_settings() -> dict[str, dict[str, str]]:
    """Return name → settings of `scontrol show partition`.

    Raises:
        SchedulerError: SLURM did not answer.
    """
    found = {}
    for line in ask("scontrol", "--oneliner", "show", "partition").splitlines():
        settings = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "PartitionName" in settings:
            found[settings["PartitionName"]] = settings
    return found


def check_partitions(
    partitions: Sequence[Partition], wanted: Sequence[Resources]
) -> Iterator[Finding]:
    """Describe each partition, and check that everything that a spec asks for fits the one it would
    go to.
    """
    if not partitions:
        yield fail(
            "partitions", "none that you may use", "ask your site for an account with a partition"
        )
    for one in partitions:
        yield _describe(one)
    if partitions:
        yield from (fits(partitions, one) for one in wanted)


def fits(partitions: Sequence[Partition], wanted: Resources) -> Finding:
    """Check a spec's `resources` against its partition."""
    asked = (
        wanted.partition.split(",") if wanted.partition else []
    )  # SLURM takes the first of several that is free
    named = [one for one in partitions if (one.name in asked if asked else one.is_default)]
    names = ", ".join(one.name for one in partitions)
    if not named:
        what = (
            f"partition {wanted.partition!r} does not exist"
            if wanted.partition
            else "no default partition"
        )
        return fail("resources", what, f"set resources.partition to one of: {names}")
    chosen = named[0]
    if wanted.gpus and not chosen.has_gpus:
        others = ", ".join(one.name for one in partitions if one.has_gpus) or "none has"
        return fail(
            "resources",
            f"{wanted.gpus} GPUs asked for, {chosen.name} has none",
            f"partitions with GPUs: {others}",
        )
    if chosen.limit_min is not None and wanted.timeout_min > chosen.limit_min:
        text = f"timeout_min {wanted.timeout_min} is above {chosen.name}'s limit of {chosen.limit_min:g} min"
        return fail(
            "resources",
            text,
            "lower resources.timeout_min: runs go on from their checkpoint in the next job",
        )
    return ok(
        "resources",
        f"{wanted.gpus} GPUs, {wanted.cpus} CPUs, {wanted.timeout_min} min fit {chosen.name}",
    )


def _describe(one: Partition) -> Finding:
    limit = "no time limit" if one.limit_min is None else f"at most {one.limit_min:g} min"
    gpus = ", ".join(gres for gres in one.gres if "gpu" in gres) or "no GPUs"
    text = f"nodes: {one.nodes}, {gpus}, {limit}" + (", default" if one.is_default else "")
    name = f"partition {one.name}"
    return (
        ok(name, text)
        if one.is_up
        else warn(name, f"{text}, down", "choose another resources.partition")
    )


def _partition(name: str, rows: list[list[str]]) -> Partition:
    gres = tuple(dict.fromkeys(row[4] for row in rows))
    up = any(row[1] == "up" for row in rows)
    return Partition(
        name.rstrip("*"),
        name.endswith("*"),
        up,
        _minutes(rows[0][2]),
        sum(int(row[3]) for row in rows),
        gres,
    )


def _minutes(text: str) -> float | None:
    """Return the minutes of `2-00:00:00`, `4:00:00` or `30:00`; None for `infinite` and what cannot
    be read.
    """
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdecimal() for part in parts) or not (days.isdecimal() or not days):
        return None
    hours, minutes, seconds = ([0, 0, 0] + [int(part) for part in parts])[-3:]
    return (int(days or 0) * 24 + hours) * 60 + minutes + seconds / 60
