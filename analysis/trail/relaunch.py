"""Writes the commands that go on with the runs of a row, or train them anew."""

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from analysis.results.provenance import Launched, Request
from analysis.results.runs import Run
from analysis.tables.asked import AskedVariant
from orchestrator.database.schema import State
from orchestrator.store.settings import value_text

RETRIED = frozenset({State.FAILED, State.OOM, State.TIMEOUT, State.STOPPED, State.CANCELLED})
"""States that a launch tries again where `--retry` names them."""


@dataclass(frozen=True)
class Command:
    """A command that goes on from here: what it is for, and its text for a shell."""

    purpose: str
    text: str


class _Cells:
    """Collects which seeds of which variants of which sweeps are to be launched."""

    def __init__(self) -> None:
        self._seeds: dict[tuple[str, str], set[int]] = {}
        self._sweeps: dict[str, Launched] = {}

    def add(self, sweep: Launched, variant: str, seeds: Collection[int]) -> None:
        self._sweeps[sweep.label] = sweep
        self._seeds.setdefault((sweep.label, variant), set()).update(seeds)

    def commands(self, purpose: str, more: str = "") -> Iterator[Command]:
        for (label, variant), seeds in self._seeds.items():
            text = launch_command(self._sweeps[label], [variant], seeds)
            yield Command(purpose, text + more)


def commands_of(
    runs: Sequence[Run],
    requests: Mapping[str, Sequence[Request]],
    missing: Sequence[int],
    variants: Sequence[AskedVariant],
    launched: Mapping[str, Launched],
) -> list[Command]:
    """Return the commands that make what a row lacks, then those that train it anew.

    Args:
        runs: of the row.
        requests: run id → what asks for it, the newest sweep first.
        missing: seeds that were asked for and have no run.
        variants: those of sweeps that are this row.
        launched: label → sweep.
    """
    open_cells = _Cells()
    all_cells = _Cells()
    retried: set[str] = set()
    for run in runs:
        request = _request(requests.get(run.run_id, ()), variants)
        if request is None:
            continue
        all_cells.add(request.sweep, request.variant, [request.seed])
        if run.state != State.COMPLETED and run.excluded is None:
            open_cells.add(request.sweep, request.variant, [request.seed])
            retried |= {run.state.lower()} if run.state in RETRIED else set()

    # What has no run is asked for by a variant that is this row.
    for variant in variants[:1]:
        if missing and variant.sweep in launched:
            open_cells.add(launched[variant.sweep], variant.variant, missing)
    retry = f" --retry {','.join(sorted(retried))}" if retried else ""
    return [
        *open_cells.commands("goes on with what is not done", retry),
        *all_cells.commands("trains these runs anew", " --rerun"),
    ]


def _request(requests: Sequence[Request], variants: Sequence[AskedVariant]) -> Request | None:
    """Return what asks for a run: first of all a sweep that was made for the table."""
    names = {(variant.sweep, variant.variant) for variant in variants}
    for request in requests:
        if (request.sweep.label, request.variant) in names:
            return request
    return requests[0] if requests else None


def launch_command(
    sweep: Launched, variants: Collection[str] = (), seeds: Collection[int] = ()
) -> str:
    """Return the command, for a shell, that launches a sweep again: all of it, or some cells."""
    spec = PurePosixPath(sweep.root) / "sweeps" / sweep.label / "spec.yaml"
    words = ["sweep", "--root", sweep.root, "launch", str(spec)]
    if sweep.profile is not None:
        words += ["--profile", sweep.profile]
    for key, value in sweep.overrides.items():
        words += ["--set", f"{key}={value_text(value)}"]
    if variants:
        words += ["--only", ",".join(variants)]
    if seeds:
        words += ["--seeds", ",".join(str(seed) for seed in sorted(seeds))]
    return shlex.join(words)
