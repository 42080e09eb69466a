"""Compares a spec with what is there: which runs to start, to reuse, or to leave alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from byol_core.config import SEMANTICS, DataIdentity, run_id_of
from byol_core.files import DamagedFileError, is_there
from byol_core.kept_networks import NETWORKS
from byol_core.plugins import PlugIns
from orchestrator.errors import StoreError
from orchestrator.launch.requests import ResourceRequests, has_more_memory
from orchestrator.launch.selection import (
    Selection,
    check_tables,
    data_identities,
    named_variants,
    rows_of_table,
)
from orchestrator.spec import Sweep, Variant, expand
from orchestrator.store.annotations import is_forgotten
from orchestrator.store.jobs import Queue
from orchestrator.store.retry import is_due
from orchestrator.store.root import Root, RunFolder
from orchestrator.store.standing import Standing, standing
from orchestrator.store.state import ACTIVE, State


@dataclass(frozen=True)
class PlannedRun:
    """A planned run is one variant with one seed, and where it stands."""

    run_id: str
    variant: Variant
    seed: int
    data: DataIdentity
    standing: Standing


@dataclass(frozen=True, repr=False)
class Plan:
    """A plan says what a launch would do.

    Runs are in the order they go out: seed by seed, so that a half-done sweep gives a table.

    Attributes:
        sweep: that is to be launched.
        variants: all of the spec's.
        runs: all that this launch is about; variants that mean the same share a run.
        start: to be started.
        reuse: completed already.
        active: waiting or running.
        held_back: ended without a result, and held back by the rules of `orchestrator.store.retry`.
        removed: runs of variants or seeds that the spec no longer has, or of variants that mean
            something else now, since the last --prune; those of an older trainer name its
            `semantics`.
        to_cancel: ids of those that no other sweep asks for.
        left_active: of these, how many are queued or running.
        without_networks: those to reuse that hold no networks, although the spec wants them kept.
    """

    sweep: Sweep
    variants: list[Variant]
    runs: list[PlannedRun]
    start: list[PlannedRun] = field(default_factory=list)
    reuse: list[PlannedRun] = field(default_factory=list)
    active: list[PlannedRun] = field(default_factory=list)
    held_back: list[PlannedRun] = field(default_factory=list)
    without_networks: list[PlannedRun] = field(default_factory=list)
    removed: list[dict[str, Any]] = field(default_factory=list)
    to_cancel: list[str] = field(default_factory=list)
    left_active: int = 0

    def __repr__(self) -> str:
        """Return the counts: the whole of a plan is many pages."""
        counts = {
            "start": self.start,
            "reuse": self.reuse,
            "active": self.active,
            "held_back": self.held_back,
        }
        words = [f"{len(runs)} {name}" for name, runs in counts.items() if runs]
        return f"Plan({self.sweep.label!r}: {', '.join([f'{len(self.runs)} runs', *words])})"

    @property
    def removed_variants(self) -> list[str]:
        """Return the variants that the spec no longer has, changed, or has with fewer seeds."""
        older = self.older
        return sorted({run["variant"] for run in self.removed if run not in older})

    @property
    def plugins(self) -> list[PlugIns]:
        """Return the declared files that runs of this plan use."""
        used = [run.variant.plugins for run in self.runs if run.variant.plugins is not None]
        return [*{plugins.digest: plugins for plugins in used}.values()]

    @property
    def older(self) -> list[Mapping[str, Any]]:
        """Return the runs of an older trainer that this plan has runs of today for."""
        cells = {(run.variant.name, run.seed) for run in self.runs}
        return [
            run for run in self.removed if _is_older(run) and (run["variant"], run["seed"]) in cells
        ]

    @property
    def trained_anew(self) -> list[PlannedRun]:
        """Return the runs that start although an older trainer has made them."""
        cells = {(run["variant"], run["seed"]) for run in self.older}
        return [run for run in self.start if (run.variant.name, run.seed) in cells]


def make_plan(
    sweep: Sweep,
    root: Root,
    selection: Selection,
    queue: Queue,
    requests: ResourceRequests | None = None,
) -> Plan:
    """Compare a sweep with the files and the queue; nothing is written.

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
    # 1. All variants of the spec; a wrong table is an error, whatever this launch is limited to.
    variants = expand(sweep)
    check_tables(sweep, variants)

    # 2. Options narrow the launch: --table first, then --only among what is left.
    chosen = variants
    if selection.table:
        chosen = rows_of_table(sweep, chosen, selection.table)
    if selection.only:
        chosen = named_variants(sweep, chosen, selection.only)

    # 3. A run is named by its config and by what its images hold, so these must be there. How many
    # they are tells which settings mean the same, as a limit beyond them and none.
    identities = data_identities(sweep, chosen)
    chosen = [replace(variant, images=identities[variant.name].images) for variant in chosen]

    # 4. The runs, seed by seed, so that a half-done sweep already gives a table.
    seeds = selection.seeds or sweep.spec.seeds
    runs = _planned_runs(chosen, seeds, identities, root, queue)

    # 5. What left the spec is remembered until --prune; what another sweep wants is not cancelled.
    removed = _removed_runs(sweep, root, variants, runs)
    to_cancel = _wanted_by_no_sweep(removed, root, sweep)

    left = [standing(root.run(run_id), queue).state for run_id in to_cancel]
    left_active = sum(state in ACTIVE for state in left)

    # 6. What is to be done with each run.
    plan = Plan(
        sweep, variants, runs, removed=removed, to_cancel=to_cancel, left_active=left_active
    )
    _sort_runs(plan, root, selection.retry, requests)
    return plan


def _sort_runs(
    plan: Plan, root: Root, retry: frozenset[State], requests: ResourceRequests | None
) -> None:
    """Sort the runs of a plan into its lists by what is to be done with them."""
    # Variants that mean the same share a run: it goes out once.
    for run in _each_once(plan.runs):
        if _is_to_start(run, plan.sweep, root, retry, requests):
            plan.start.append(run)
        elif run.standing.state == State.COMPLETED:
            plan.reuse.append(run)
        elif run.standing.state in ACTIVE:
            plan.active.append(run)
        else:
            plan.held_back.append(run)

    # What a run keeps was settled when it was first planned.
    if plan.sweep.spec.keep == NETWORKS:
        plan.without_networks.extend(
            run for run in plan.reuse if not is_there(root.run(run.run_id).path / NETWORKS)
        )


def _is_older(run: Mapping[str, Any]) -> bool:
    """Tell whether a removed run was made by an older trainer, so that it left by itself."""
    return "semantics" in run


def _each_once(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Return each run once, as the first variant that it belongs to."""
    by_id = {run.run_id: run for run in reversed(runs)}
    return list(reversed(by_id.values()))


def _planned_runs(
    variants: Sequence[Variant],
    seeds: Sequence[int],
    identities: Mapping[str, DataIdentity],
    root: Root,
    queue: Queue,
) -> list[PlannedRun]:
    """Return a run for each seed and variant, with where it stands."""
    # One listing tells which runs have a folder, instead of a look at every run.
    with_folder = {run.run_id for run in root.runs()}

    @cache
    def standing_of(run_id: str) -> Standing:
        if run_id not in with_folder:
            return Standing(State.PLANNED)
        return standing(root.run(run_id), queue)

    runs = []
    for seed in seeds:
        for variant in variants:
            data = identities[variant.name]
            run_id = run_id_of(variant.canonical(seed), data)
            runs.append(PlannedRun(run_id, variant, seed, data, standing_of(run_id)))
    return runs


def _is_to_start(
    run: PlannedRun,
    sweep: Sweep,
    root: Root,
    retry: frozenset[State],
    requests: ResourceRequests | None,
) -> bool:
    """Tell whether a run is due, or ran out of memory and gets more now."""
    folder = root.run(run.run_id)
    if is_due(folder, run.standing, retry):
        return True
    if run.standing.state != State.OOM or requests is None:
        return False
    return has_more_memory(requests.for_variant(sweep, run.variant), folder)


def _removed_runs(
    sweep: Sweep, root: Root, variants: Sequence[Variant], runs: Sequence[PlannedRun]
) -> list[dict[str, Any]]:
    """Return the runs that the spec dropped since the last --prune, or whose variant it changed.

    Variants are compared as the spec writes them: of some the images were never looked at.
    """
    before = root.sweep(sweep.label).read_plan() or {"variants": [], "runs": []}
    now = {variant.name: variant.canonical() for variant in variants}
    gone = {old["name"] for old in before["variants"] if now.get(old["name"]) != old["config"]}

    # Seeds that only --seeds named were never the spec's, and stay. Older plans hold no seeds.
    cut = set(before.get("seeds", [])) - set(sweep.spec.seeds)
    newly_removed = [run for run in before["runs"] if run["variant"] in gone or run["seed"] in cut]

    # Another trainer gives the same variant and seed another run.
    wanted = {run.run_id for run in runs}
    cells = {(run.variant.name, run.seed) for run in runs}
    superseded = [
        run
        for run in before["runs"]
        if (run["variant"], run["seed"]) in cells
        and run["run_id"] not in wanted
        and run not in newly_removed
    ]
    older = [run for run in _marked_older(superseded, root) if _is_older(run)]

    # A variant may have come back, or another one may mean the same now.
    removed = before.get("left", []) + _marked_older(newly_removed, root) + older
    return [run for run in removed if run["run_id"] not in wanted]


def _marked_older(runs: Sequence[Mapping[str, Any]], root: Root) -> list[dict[str, Any]]:
    """Return runs of a plan; those of an older trainer with its `semantics`."""
    marked = []
    for run in runs:
        semantics = _semantics_of(root.run(run["run_id"]))
        older = {"semantics": semantics} if semantics < SEMANTICS else {}
        marked.append({**run, **older})
    return marked


def _semantics_of(run: RunFolder) -> int:
    """Return under which meaning a run was trained; ours where its folder does not tell."""
    try:
        return int(run.read_description()["semantics"])
    except (StoreError, DamagedFileError):
        return SEMANTICS


def _wanted_by_no_sweep(
    removed: Sequence[Mapping[str, Any]], root: Root, sweep: Sweep
) -> list[str]:
    """Return the ids of removed runs that no other sweep asks for; a forgotten one does not."""
    unwanted = {run["run_id"] for run in removed}
    for other in root.sweeps():
        if unwanted and other.path.name != sweep.label and not is_forgotten(other.path):
            try:
                plan = other.read_plan() or {"runs": []}
            except DamagedFileError:
                return []  # it may ask for any of them
            unwanted -= {run["run_id"] for run in plan["runs"]}
    return sorted(unwanted)
