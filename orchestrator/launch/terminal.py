"""Prints what a launch says: its plan, what it sent, how it ended.

A pipe gets the same as plain text.
"""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape

from byol_core.config import SEMANTICS, trainer_digest
from orchestrator.launch.cost import Cost
from orchestrator.launch.launch import LaunchResult
from orchestrator.launch.plan import Plan, PlannedRun
from orchestrator.launch.send import Sent
from orchestrator.status.sweep_status import SweepStatus
from orchestrator.status.terminal import reason_lines
from orchestrator.status.verdict import summary
from orchestrator.store.retry import AUTOMATIC, RULES
from orchestrator.store.root import PREFIX
from orchestrator.store.state import State
from orchestrator.text import assignments, counted

_LISTED_VARIANTS = 40
_LISTED_REASONS = 3
_LISTED_SEEDS = 20
_INTERRUPTED = 130


def show_plan(console: Console, plan: Plan, executor: str, cost: Cost | None) -> None:
    """Print what a launch is about to do, and what it will cost."""
    # How many runs there are, and what becomes of them.
    parts = [f"{len(plan.start)} to run"]
    if plan.reuse:
        parts.append(f"{len(plan.reuse)} done already{_with_other_code(plan.reuse)}")
    if plan.active:
        parts.append(f"{len(plan.active)} running or queued")
    number_of_runs = len({run.run_id for run in plan.runs})
    runs = counted(number_of_runs, "run")
    console.print(
        f"{escape(plan.sweep.label)}: {runs}, {', '.join(parts)} ({executor})", highlight=False
    )

    # What is special to this launch: its overrides, and the price of what is to start.
    if plan.sweep.overrides:
        overrides = escape(assignments(plan.sweep.overrides))
        console.print(f"  with {overrides}", highlight=False, soft_wrap=True)
    begun = [run for run in plan.start if run.standing.attempt]
    if begun:
        go = "goes" if len(begun) == 1 else "go"
        console.print(
            f"  {counted(len(begun), 'run')} {go} on from the last checkpoint, or from step 0 "
            "without one",
            highlight=False,
        )
    if plan.start:
        console.print(f"  {_cost_text(cost)}", highlight=False)

    # What this launch leaves alone, and the option that would change it.
    other_code = [run for run in plan.reuse if _has_other_code(run)]
    if other_code:
        _show_other_code(console, other_code)
    if plan.held_back:
        _show_held_back(console, plan.held_back)
    if executor == "slurm" and any(run.standing.state == State.OOM for run in plan.held_back):
        console.print(
            "  what ran out of memory is tried again by itself once it asks for more: "
            "resources.mem_gb, gpu_type",
            highlight=False,
        )
    if plan.removed_variants:
        text = f"  no longer in the spec, or changed: {', '.join(_removed(plan))}; "
        text += "what they computed stays"
        if plan.left_active:
            text += f" (--prune cancels {counted(plan.left_active, 'run')} queued or running)"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _removed(plan: Plan) -> Iterator[str]:
    """Yield what left the spec: variants, or seeds of variants that it still has."""
    still_there = {variant.name for variant in plan.variants}
    for name in plan.removed_variants:
        seeds = sorted({run["seed"] for run in plan.removed if run["variant"] == name})
        if name not in still_there:
            yield name
        else:
            yield f"{name} seed {', '.join(map(str, seeds[:_LISTED_SEEDS]))}" + _more(seeds)


def _more(seeds: Sequence[int]) -> str:
    more = len(seeds) - _LISTED_SEEDS
    return f" and {more:,} more" if more > 0 else ""


def _has_other_code(run: PlannedRun) -> bool:
    """Tell whether a result was not made by the trainer that would make it now, as far as known."""
    return run.standing.trainer != trainer_digest()


def _with_other_code(reuse: Sequence[PlannedRun]) -> str:
    """Return `, 3 of them with other trainer code (same SEMANTICS 1)`; nothing for none."""
    count = sum(map(_has_other_code, reuse))
    if not count:
        return ""
    return f", {count} of them with other trainer code (same SEMANTICS {SEMANTICS})"


def _show_other_code(console: Console, runs: Sequence[PlannedRun]) -> None:
    """Say how to look at reused runs of another trainer, and how to train them anew."""
    first = runs[0]
    text = f"`sweep show {first.run_id[:PREFIX]}` tells which code; --rerun trains anew"
    if all(run.standing.trainer is None for run in runs):
        text = f"an older version, which did not record its trainer, made them; {text}"
    console.print(f"  {text}", highlight=False, markup=False, soft_wrap=True)


def _show_held_back(console: Console, held_back: Sequence[PlannedRun]) -> None:
    """Say which runs are not tried again by themselves, why, and what to type."""
    states = sorted({run.standing.state.value.lower() for run in held_back})
    console.print(
        f"  {len(held_back)} ended without a result; --retry {','.join(states)} tries them again"
    )
    for run in held_back[:_LISTED_REASONS]:
        name = f"{run.variant.name} seed {run.seed} ({run.run_id[:PREFIX]})"
        text = f"  {name}: {run.standing.reason or 'no reason known'}"

        # Of states that are tried again as a rule, also why this run is not.
        if run.standing.state in AUTOMATIC:
            text += f"; held back: {RULES[run.standing.state].because}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def show_plan_runs(console: Console, plan: Plan) -> None:
    """Print a line per variant: which seeds would start, which are done."""
    groups = {
        "run": {run.run_id for run in plan.start},
        "reuse": {run.run_id for run in plan.reuse},
        "active": {run.run_id for run in plan.active},
        "held back": {run.run_id for run in plan.held_back},
    }
    for variant in plan.variants[:_LISTED_VARIANTS]:
        runs = [run for run in plan.runs if run.variant is variant]
        parts = []
        for group, run_ids in groups.items():
            seeds = [run.seed for run in runs if run.run_id in run_ids]
            if seeds:
                listed = ", ".join(map(str, seeds[:_LISTED_SEEDS]))
                parts.append(f"{group} seed {listed}{_more(seeds)}")
        if parts:
            text = f"  {escape(variant.name)}: {'; '.join(parts)}"
            console.print(text, highlight=False, soft_wrap=True)

    more = len(plan.variants) - _LISTED_VARIANTS
    if more > 0:
        console.print(f"  … and {counted(more, 'variant')} more", highlight=False)


def _cost_text(cost: Cost | None) -> str:
    if cost is None or cost.measured == 0:
        return "cost unknown: no run of this kind was measured here yet"
    hours = f"{cost.run_hours:.2f} core-hours"
    if cost.gpu_hours:
        hours = f"{cost.gpu_hours:.2f} GPU-hours"
    disk = f"{cost.disk_bytes / 1e6:,.1f} MB of disk"
    text = f"cost about {hours} and {disk}, told from {counted(cost.measured, 'earlier run')}"
    if cost.unknown:
        text += f", and {counted(cost.unknown, 'run')} of a kind never measured"
    return text


def show_outcome(console: Console, status: SweepStatus, done: LaunchResult) -> int:
    """Print how a sweep ended that was waited for; return the exit status."""
    text = f"{status.label}: {summary(status)}"
    console.print(text, highlight=False, markup=False, soft_wrap=True)

    # What stopped early has one reason, which those of single runs would hide.
    if done.interrupted:
        next_step = "the same launch goes on from here"
        if done.executor == "slurm":
            next_step = f"the jobs go on without it, and {next_step}"
        console.print(f"{done.interrupted}; {next_step}", highlight=False)
        return _INTERRUPTED
    if done.stopped:
        console.print(done.stopped, highlight=False, markup=False, soft_wrap=True)
        return 1

    for line in reason_lines(status.runs):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
    return int(not status.all_done())


def show_sent(console: Console, sent: Sent) -> None:
    """Print what went to SLURM, and what did not."""
    text = "nothing to submit"
    if sent.refusal is not None:
        text = "nothing was submitted"
    if sent.job_ids:
        arrays = ", ".join(dict.fromkeys(job_id.partition("_")[0] for job_id in sent.job_ids))
        jobs = counted(len(sent.job_ids), "job")
        if sent.run_count != len(sent.job_ids):
            jobs += f" of {counted(sent.run_count, 'run')}"
        text = f"submitted {jobs} (SLURM {arrays})"
    if sent.held_back:
        text += f"; {counted(sent.held_back, 'run')} not submitted yet ({sent.limit})"
        text += ": run the same launch again"
    console.print(f"{text}; see `sweep status`", highlight=False, soft_wrap=True)
