"""Holds what is asked of one launch, and chooses the executor that carries it out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import SchedulerError, UsageError
from orchestrator.launch.selection import Selection
from orchestrator.slurm.commands import has_slurm, inside_job
from orchestrator.spec import Sweep
from orchestrator.store.retry import RULES
from orchestrator.store.state import State

_NOT_IN_PATHS = ("%", "\\", "\n")

EXECUTORS = ("auto", "slurm", "local", "inline")


@dataclass(frozen=True)
class LaunchOptions:
    """Holds what is asked of one launch.

    Attributes:
        sweep: what to bring closer to its spec.
        selection: what this launch is limited to.
        executor: one of `EXECUTORS`.
        slots: how many runs at once; None for the executor's choice.
        cluster: whose defaults in clusters.yaml count; None for the one that SLURM names.
        rerun: train again what is done already.
        prune: cancel the jobs of what left the spec.
        dry_run: plan only.
        wait: follow the sweep to its end; None for the executor's way: slurm returns, the others
            wait.
        queue: wait for another launcher of the root to end, instead of being refused.
    """

    sweep: Sweep
    selection: Selection
    executor: str = "auto"
    slots: int | None = None
    cluster: str | None = None
    rerun: bool = False
    prune: bool = False
    dry_run: bool = False
    wait: bool | None = None
    queue: bool = False


def choose_executor(name: str) -> str:
    """Return the executor that `name` means.

    `auto` is slurm on a login node and local elsewhere, inside a job too.

    Raises:
        UsageError: no such executor.
        SchedulerError: slurm is asked for and not here.
    """
    if name not in EXECUTORS:
        raise UsageError(f"--executor {name!r} does not exist; allowed: {', '.join(EXECUTORS)}")
    if name == "auto" and has_slurm() and not inside_job():
        return "slurm"
    if name == "auto":
        return "local"
    if name == "slurm" and not has_slurm():
        raise SchedulerError(
            "--executor slurm: sbatch is not on this machine; use --executor local, or a login node"
        )
    return name


def check_wait(options: LaunchOptions, executor: str) -> None:
    """Refuse --wait and --no-wait where the executor cannot do it.

    Raises:
        UsageError: says what it can do.
    """
    if executor != "slurm" and options.wait is False:
        raise UsageError(
            f"--no-wait: {executor} runs end with their launcher; "
            "use --executor slurm, or leave it out"
        )
    if executor == "slurm" and options.wait and options.rerun:
        raise UsageError(
            "--wait does not go with --rerun: runs have a result all the time; "
            "follow them with `sweep status`"
        )


def check_alone(option: str, others: Mapping[str, object], instead: str) -> None:
    """Refuse what does not go with an option that makes a launch something else.

    Args:
        option: that was given.
        others: option → its value; what is true or set was given.
        instead: what to do.

    Raises:
        UsageError: names the first that was given.
    """
    for other, value in others.items():
        if value:
            raise UsageError(f"{option} does not go with {other}: {instead}")


def check_path(root: Path, executor: str) -> None:
    """Refuse a root whose path SLURM would not take as it is: its jobs could not write their output.

    Raises:
        UsageError: says which characters.
    """
    if executor != "slurm":
        return
    wrong = [repr(char) for char in _NOT_IN_PATHS if char in str(root)]
    if wrong:
        raise UsageError(
            f"--root {root}: SLURM reads {' and '.join(wrong)} in the path of a job's output as a "
            "pattern; choose a root whose whole path is without it"
        )


def parse_retry(text: str) -> frozenset[State]:
    """Return the states of `--retry failed,oom`.

    Raises:
        UsageError: a word is no state that can be retried.
    """
    allowed = {state.value.lower(): state for state in RULES}
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in allowed:
            raise UsageError(
                f"--retry {word!r} is no state to retry; allowed: {', '.join(sorted(allowed))}"
            )
    return frozenset(allowed[word] for word in words)
