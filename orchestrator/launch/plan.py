"""The difference between a spec and what is there: which runs to start, which to reuse, which to
leave alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from byol_core.config import DataIdentity, run_id_of
from byol_core.files import read_json
from orchestrator.launch.requests import ResourceRequests, has_more_memory
from orchestrator.launch.selection import (
    Selection,
    check_tables,
    data_identities,
    named_variants,
    rows_of_table,
)
from orchestrator.spec import Sweep, Variant, expand
from orchestrator.store.jobs import Queue
from orchestrator.store.retry import is_due
from orchestrator.store.root import Root, RunFolder
from orchestrator.store.standing import Standing, standing
from orchestrator.store.state import ACTIVE, State


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep and where it stands."""

    run_id: str
    variant: Variant
    seed: int
    data: DataIdentity
    standing: Standing


@dataclass(frozen=True)
class Plan:
    """What a launch would do. Runs are in the order they go out: seed by seed, so that a half-done
    sweep gives a table.

    Attributes:
        runs: all that this launch is about; variants that mean the same share a run.
        start: to be started.
        reuse: completed already.
        active: waiting or running.
        held_back: ended without a result, and held back by the rules of `orchestrator.store.retry`.
        removed: runs of variants that the spec no longer has, or that mean something else now,
            since the last --prune.
        to_cancel: ids of those that no other sweep asks for.
    """

    sweep: Sweep
    variants: list[Variant]
    runs: list[PlannedRun]
    start: list[PlannedRun]
    reuse: list[PlannedRun]
    active: list[PlannedRun]
    held_back: list[PlannedRun]
    removed: list[dict[str, Any]]
    to_cancel: list[str]

    @property
    def removed_variants(self) -> list[str]:
        """The names of variants that left."""
        return sorted({run["variant"] for run in self.removed})


def make_plan(
    sweep: Sweep,
    root: Root,
    selection: Selection,
    queue: Queue,
    requests: ResourceRequests | None = None,
) -> Plan:
    """Compare a sweep with the files and the queue; writes nothing.

    Args:
        sweep: what is wanted.
        root: what is there.
        selection: what this launch is limited to.
        queue: what SLURM says.
        requests: what jobs ask for, so that a run that lacked memory is due where it gets more;
            None: it is held back.

    Raises:
        SpecError: the spec is not valid.
        UsageError: the table does not exist or the sweep does not feed it.
        MissingDataError: images are missing; the text says how to get them, and which profile needs
            none.
    """
    variants = expand(sweep)
    check_tables(sweep)
    chosen = rows_of_table(sweep, variants, selection.table) if selection.table else variants
    chosen = named_variants(sweep, chosen, selection.only) if selection.only else chosen
    identities = data_identities(sweep, chosen)
    there = {run.run_id for run in root.runs()}  # one listing, instead of a look at every run
    standings: dict[str, Standing] = {}
    runs = []
    for seed in selection.seeds or sweep.spec.seeds:
        for variant in chosen:
            data = identities[variant.name]
            name = run_id_of(variant.canonical(seed), data)
            if name not in standings:
                standings[name] = (
                    standing(root.run(name), queue) if name in there else Standing(State.PLANNED)
                )
            runs.append(PlannedRun(name, variant, seed, data, standings[name]))
    return _sort(sweep, variants, runs, root, _Starts(sweep, root, selection.retry, requests))


@dataclass(frozen=True)
class _Starts:
    """Tells which runs a launch starts."""

    sweep: Sweep
    root: Root
    retry: frozenset[State]
    requests: ResourceRequests | None

    def __call__(self, run: PlannedRun) -> bool:
        folder = self.root.run(run.run_id)
        return is_due(folder, run.standing, self.retry) or (
            run.standing.state == State.OOM and self._gets_more(run, folder)
        )

    def _gets_more(self, run: PlannedRun, folder: RunFolder) -> bool:
        return self.requests is not None and has_more_memory(
            self.requests.for_variant(self.sweep, run.variant), folder
        )


def _sort(
    sweep: Sweep, variants: list[Variant], runs: list[PlannedRun], root: Root, starts: _Starts
) -> Plan:
    """Sort runs by what is to be done; variants that mean the same share one run, which is done
    once.
    """
    removed = _removed(root, sweep, variants, runs)
    once = [*{run.run_id: run for run in reversed(runs)}.values()][::-1]
    due = {run.run_id for run in once if starts(run)}
    rest = [run for run in once if run.run_id not in due]
    return Plan(
        sweep,
        variants,
        runs,
        start=[run for run in once if run.run_id in due],
        reuse=[run for run in rest if run.standing.state == State.COMPLETED],
        active=[run for run in rest if run.standing.state in ACTIVE],
        held_back=[run for run in rest if run.standing.state not in ACTIVE | {State.COMPLETED}],
        removed=removed,
        to_cancel=sorted({run["run_id"] for run in removed} - _wanted_elsewhere(root, sweep))
        if removed
        else [],
    )


def _removed(
    root: Root, sweep: Sweep, variants: Sequence[Variant], runs: Sequence[PlannedRun]
) -> list[dict[str, Any]]:
    """Return the runs of variants that are gone or mean something else now, this time or earlier,
    until they are pruned.
    """
    before = read_json(root.sweep(sweep.label).plan) or {"variants": [], "runs": [], "left": []}
    now = {variant.name: variant.canonical() for variant in variants}
    gone = {old["name"] for old in before["variants"] if now.get(old["name"]) != old["config"]}
    wanted = {run.run_id for run in runs}
    return [
        run
        for run in before["left"] + [run for run in before["runs"] if run["variant"] in gone]
        if run["run_id"] not in wanted
    ]


def _wanted_elsewhere(root: Root, sweep: Sweep) -> set[str]:
    others = [
        read_json(other.plan) or {"runs": []}
        for other in root.sweeps()
        if other.path.name != sweep.label
    ]
    return {run["run_id"] for other in others for run in other["runs"]}
