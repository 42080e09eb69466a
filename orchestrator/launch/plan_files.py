"""Writes a plan down: the sweep's spec.yaml and plan.json, and run.json of each of its runs."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from byol_core.config import PROTOCOLS, SEMANTICS
from byol_core.files import make_folder, to_json, write_atomic, write_json, write_many
from orchestrator.launch.plan import Plan, PlannedRun
from orchestrator.machine.user import user_name
from orchestrator.spec import Sweep
from orchestrator.store.root import Root, RunFolder
from orchestrator.store.state import State


def write_plan(plan: Plan, root: Root, pruned: bool = False) -> None:
    """Write the sweep's spec and plan, and run.json of every run.

    Args:
        plan: what to write.
        root: where.
        pruned: the removed runs were cancelled, and are forgotten.
    """
    folder = root.sweep(plan.sweep.label)
    make_folder(folder.launches)
    _write_descriptions(plan, root)

    # A run that was cancelled and is to start was asked for again.
    for run in plan.start:
        if run.standing.state == State.CANCELLED:
            root.run(run.run_id).cancelled.unlink(missing_ok=True)

    # The spec is kept byte by byte, with its comments.
    write_atomic(folder.path / "spec.yaml", plan.sweep.document.file.read_bytes())
    record = _plan_record(plan, folder.read_plan() or {})
    record["left"] = [] if pruned else plan.removed
    write_json(folder.plan, record)


def _write_descriptions(plan: Plan, root: Root) -> None:
    """Write run.json of every run that has none, even of one that is done; it never changes."""
    described = {run.run_id for run in root.runs() if _is_described(run)}
    new = [run for run in plan.runs if run.run_id not in described]
    write_many(
        {root.run(run.run_id).description: to_json(_description(run, plan.sweep)) for run in new}
    )


def _is_described(run: RunFolder) -> bool:
    """Tell whether a run has its run.json, or a folder that nothing can be written into."""
    try:
        return run.description.exists()
    except OSError:
        return True


def _description(run: PlannedRun, sweep: Sweep) -> dict[str, Any]:
    config = run.variant.at_seed(run.seed)
    return {
        "run_id": run.run_id,
        "config": config.model_dump(mode="json"),
        "canonical": run.variant.canonical(run.seed),
        "data": vars(run.data),
        "semantics": SEMANTICS,
        "protocols": list(PROTOCOLS),
        "keep": sweep.spec.keep,
        "planned_at": time.time(),
    }


def _plan_record(plan: Plan, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return what goes into plan.json, without the removed runs."""
    spec = plan.sweep.spec
    variants = _variant_records(plan, before)

    # A launch that is limited to some seeds or variants keeps the other runs of the sweep.
    unchanged = _unchanged(variants, before).keys()
    removed = {run["run_id"] for run in plan.removed}
    runs = {
        (run["variant"], run["seed"]): run
        for run in before.get("runs", [])
        if run["variant"] in unchanged and run["run_id"] not in removed
    }
    for run in plan.runs:
        runs[run.variant.name, run.seed] = {
            "run_id": run.run_id,
            "variant": run.variant.name,
            "seed": run.seed,
        }

    return {
        "label": plan.sweep.label,
        "name": spec.name,
        "profile": plan.sweep.profile,
        "overrides": plan.sweep.overrides,
        "question": spec.question,
        "baseline": spec.baseline,
        "tables": spec.tables,
        "seeds": spec.seeds,
        "semantics": SEMANTICS,
        "variants": variants,
        "runs": [*runs.values()],
        "launched_at": time.time(),
        "launched_by": user_name(),
    }


def _variant_records(plan: Plan, before: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return all variants of the spec, also those that this launch leaves out.

    `config` is what the spec says, and is compared with that of the next launch; `by_images` is what
    a run of it has instead, once its images were counted, as no limit where it is beyond them.
    """
    images = {run.variant.config.dataset: run.variant.images for run in plan.runs}
    records: list[dict[str, Any]] = []
    for variant in plan.variants:
        config = variant.canonical()
        record = {"name": variant.name, "overrides": variant.overrides, "config": config}
        if variant.config.dataset in images:
            counted = replace(variant, images=images[variant.config.dataset]).canonical()
            record["by_images"] = {
                key: value for key, value in counted.items() if value != config.get(key)
            }
        records.append(record)

    # What an earlier launch counted is kept.
    counted_before = _unchanged(records, before)
    return [{"by_images": counted_before.get(record["name"], {}), **record} for record in records]


def _unchanged(variants: list[dict[str, Any]], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variants that mean what they meant in an earlier plan, with its `by_images`."""
    configs = {variant["name"]: variant["config"] for variant in variants}
    return {
        old["name"]: old.get("by_images", {})
        for old in before.get("variants", [])
        if configs.get(old["name"]) == old["config"]
    }
