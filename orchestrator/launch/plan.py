"""The difference between a spec and what is there: which runs to start, which to reuse, which to leave alone."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from byol_core.config import SEMANTICS, DataIdentity, nearest, run_id_of
from byol_core.datasets.errors import DataMissingError
from byol_core.datasets.locate import data_identity
from byol_core.files import make_folder, read_json, to_json, write_atomic, write_json, write_many
from orchestrator.errors import MissingDataError, SpecError, UsageError
from orchestrator.launch.requests import Asking, has_more_memory
from orchestrator.spec import Sweep, Variant, expand
from orchestrator.store.retry import is_due
from orchestrator.store.root import Root, RunFolder
from orchestrator.store.standing import ACTIVE, Queue, Standing, State, standing

PROTOCOLS = ("probe", "knn")


@dataclass(frozen=True)
class Narrowing:
    """What one launch is limited to.

    Attributes:
        seeds: instead of the spec's.
        table: only variants that are rows of this table.
        only: only these variants.
        retry: states to try again, besides those that always are.
    """

    seeds: Sequence[int] | None = None
    table: str | None = None
    only: Sequence[str] = ()
    retry: frozenset[State] = frozenset()


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
    """What a launch would do. Runs are in the order they go out: seed by seed, so that a half-done sweep gives a table.

    Attributes:
        runs: all that this launch is about; variants that mean the same share a run.
        start: to be started.
        reuse: completed already.
        active: waiting or running.
        leave: ended without a result, and held back by the rules of `orchestrator.store.retry`.
        left: runs of variants that the spec no longer has, or that mean something else now, since the last --prune.
        pruned: ids of those that no other sweep asks for.
    """

    sweep: Sweep
    variants: list[Variant]
    runs: list[PlannedRun]
    start: list[PlannedRun]
    reuse: list[PlannedRun]
    active: list[PlannedRun]
    leave: list[PlannedRun]
    left: list[dict[str, Any]]
    pruned: list[str]

    @property
    def left_the_spec(self) -> list[str]:
        """The names of variants that left."""
        return sorted({run["variant"] for run in self.left})


def make_plan(sweep: Sweep, root: Root, narrowing: Narrowing, queue: Queue, asking: Asking | None = None) -> Plan:
    """Compare a sweep with the files and the queue; writes nothing.

    Args:
        sweep: what is wanted.
        root: what is there.
        narrowing: what this launch is limited to.
        queue: what SLURM says.
        asking: what jobs ask for, so that a run that lacked memory is due where it gets more; None: it is held back.

    Raises:
        SpecError: the spec is not valid.
        UsageError: the table does not exist or the sweep does not feed it.
        MissingDataError: images are missing; the text says how to get them, and which profile needs none.
    """
    variants = expand(sweep)
    _check_tables(sweep)
    chosen = _of_table(sweep, variants, narrowing.table) if narrowing.table else variants
    chosen = _named(sweep, chosen, narrowing.only) if narrowing.only else chosen
    identities = _identities(sweep, chosen)
    there = {run.run_id for run in root.runs()}  # one listing, instead of a look at every run
    standings: dict[str, Standing] = {}
    runs = []
    for seed in narrowing.seeds or sweep.spec.seeds:
        for variant in chosen:
            data = identities[variant.name]
            name = run_id_of(variant.settings(seed), data)
            if name not in standings:
                standings[name] = standing(root.run(name), queue) if name in there else Standing(State.PLANNED)
            runs.append(PlannedRun(name, variant, seed, data, standings[name]))
    return _sort(sweep, variants, runs, root, _Starts(sweep, root, narrowing.retry, asking))


@dataclass(frozen=True)
class _Starts:
    """Tells which runs a launch starts."""

    sweep: Sweep
    root: Root
    retry: frozenset[State]
    asking: Asking | None

    def __call__(self, run: PlannedRun) -> bool:
        folder = self.root.run(run.run_id)
        return is_due(folder, run.standing, self.retry) or (run.standing.state == State.OOM and self._gets_more(run, folder))

    def _gets_more(self, run: PlannedRun, folder: RunFolder) -> bool:
        return self.asking is not None and has_more_memory(self.asking.of(self.sweep, run.variant), folder)


def _sort(sweep: Sweep, variants: list[Variant], runs: list[PlannedRun], root: Root, starts: _Starts) -> Plan:
    """Sort runs by what is to be done; variants that mean the same share one run, which is done once."""
    left = _left(root, sweep, variants, runs)
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
        leave=[run for run in rest if run.standing.state not in ACTIVE | {State.COMPLETED}],
        left=left,
        pruned=sorted({run["run_id"] for run in left} - _wanted_elsewhere(root, sweep)) if left else [],
    )


def write_plan(plan: Plan, root: Root, pruned: bool = False) -> None:
    """Write the sweep's spec and plan, and run.json of every run; once pruned, what left is forgotten."""
    folder = root.sweep(plan.sweep.label)
    make_folder(folder.launches)
    _write_descriptions(plan, root)
    for run in plan.start:
        if run.standing.state == State.CANCELLED:  # asked for again
            root.run(run.run_id).cancelled.unlink(missing_ok=True)
    write_atomic(folder.path / "spec.yaml", plan.sweep.document.file.read_bytes())
    record = _plan_record(plan, read_json(folder.plan) or {})
    write_json(folder.plan, {**record, "left": [] if pruned else plan.left})


def _write_descriptions(plan: Plan, root: Root) -> None:
    """Write run.json of every run that has none, of one that is done and lost it too; it never changes."""
    there = {run.run_id for run in root.runs() if run.description.exists()}
    new = [run for run in plan.runs if run.run_id not in there]
    write_many({root.run(run.run_id).description: to_json(_describe(run, plan.sweep)) for run in new})


def _check_tables(sweep: Sweep) -> None:
    from analysis.papers.rows import table_ids

    for i, name in enumerate(sweep.spec.tables):
        if name not in table_ids():
            where = sweep.document.where(("tables", i))
            raise SpecError(f"{where}: tables: {name!r} does not exist; {nearest(name, table_ids())}")


def _named(sweep: Sweep, variants: Sequence[Variant], names: Sequence[str]) -> list[Variant]:
    known = {variant.name: variant for variant in variants}
    for name in names:
        if name not in known:
            raise UsageError(f"--only {name}: {sweep.document.file} has no such variant; {nearest(name, known)}")
    return [known[name] for name in names]


def _of_table(sweep: Sweep, variants: Sequence[Variant], table: str) -> list[Variant]:
    from analysis.papers.rows import UnknownTableError, load_table

    try:
        rows = load_table(table)
    except UnknownTableError as error:
        raise UsageError(str(error)) from None
    chosen = [variant for variant in variants if rows.row_of(variant.settings()) is not None]
    if not chosen:
        raise UsageError(f"--table {table}: no variant of {sweep.document.file} is a row of it; tables: {sweep.spec.tables}")
    return chosen


def _identities(sweep: Sweep, variants: Sequence[Variant]) -> dict[str, DataIdentity]:
    known: dict[Any, DataIdentity] = {}
    try:
        for variant in variants:
            key = variant.config.dataset
            known[key] = known.get(key) or data_identity(key)
    except DataMissingError as error:
        raise MissingDataError(f"{error}{_way_out(sweep)}") from None
    return {variant.name: known[variant.config.dataset] for variant in variants}


def _way_out(sweep: Sweep) -> str:
    """Name a profile whose data is always there."""
    from byol_core.config import resolve

    for name, profile in sweep.spec.profiles.items():
        preset = profile.base.get("preset")
        if name == sweep.profile or any(key.startswith("dataset.") for key in sweep.overrides):
            continue  # it would want the same images
        if preset is not None and resolve(preset, {}).dataset.name == "digits":
            return f"; or use --profile {name}, which needs no download. Nothing was submitted"
    return ". Nothing was submitted"


def _left(root: Root, sweep: Sweep, variants: Sequence[Variant], runs: Sequence[PlannedRun]) -> list[dict[str, Any]]:
    """Return the runs of variants that are gone or mean something else now, this time or earlier, until they are pruned."""
    before = read_json(root.sweep(sweep.label).plan) or {"variants": [], "runs": [], "left": []}
    now = {variant.name: variant.settings() for variant in variants}
    gone = {old["name"] for old in before["variants"] if now.get(old["name"]) != old["config"]}
    wanted = {run.run_id for run in runs}
    return [
        run for run in before["left"] + [run for run in before["runs"] if run["variant"] in gone] if run["run_id"] not in wanted
    ]


def _wanted_elsewhere(root: Root, sweep: Sweep) -> set[str]:
    others = [read_json(other.plan) or {"runs": []} for other in root.sweeps() if other.path.name != sweep.label]
    return {run["run_id"] for other in others for run in other["runs"]}


def _describe(run: PlannedRun, sweep: Sweep) -> dict[str, Any]:
    config = run.variant.at_seed(run.seed)
    return {
        "run_id": run.run_id,
        "config": config.model_dump(mode="json"),
        "canonical": run.variant.settings(run.seed),
        "data": vars(run.data),
        "semantics": SEMANTICS,
        "protocols": list(PROTOCOLS),
        "keep": sweep.spec.keep,
        "planned_at": time.time(),
    }


def _plan_record(plan: Plan, before: Mapping[str, Any]) -> dict[str, Any]:
    spec = plan.sweep.spec
    configs = {variant.name: variant.settings() for variant in plan.variants}
    unchanged = {old["name"] for old in before.get("variants", []) if configs.get(old["name"]) == old["config"]}
    runs = {(run["variant"], run["seed"]): run for run in before.get("runs", []) if run["variant"] in unchanged}
    for run in plan.runs:
        runs[run.variant.name, run.seed] = {"run_id": run.run_id, "variant": run.variant.name, "seed": run.seed}
    return {
        "label": plan.sweep.label,
        "name": spec.name,
        "profile": plan.sweep.profile,
        "overrides": plan.sweep.overrides,
        "question": spec.question,
        "baseline": spec.baseline,
        "tables": spec.tables,
        "variants": [{"name": v.name, "overrides": v.overrides, "config": configs[v.name]} for v in plan.variants],
        "runs": [*runs.values()],
        "launched_at": time.time(),
    }
