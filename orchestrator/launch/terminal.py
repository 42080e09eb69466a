"""Prints what a launch says: its plan, what it sent, how it ended.

A pipe gets the same as plain text.
"""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape

from byol_core.config import SEMANTICS, trainer_digest
from byol_core.config.target_memory import TargetMemory, target_memory
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
_FIRST_LEFT = 0.05
"""From this weight of the first target within the last one on, a plan says so."""
_INTERRUPTED = 130


def show_plan(
    console: Console,
    plan: Plan,
    executor: str,
    cost: Cost | None,
    cost_anew: Cost | None = None,
) -> None:
    """Print what a launch is about to do, and what it will cost.

    Args:
        console: where to.
        plan: what is to be done.
        executor: who runs it.
        cost: of what starts; None where nobody can tell.
        cost_anew: of what starts although an older trainer has made it.
    """
    _show_counts(console, plan, executor)
    _show_what_starts(console, plan, cost, cost_anew)
    _show_what_stays(console, plan, executor)


def _show_counts(console: Console, plan: Plan, executor: str) -> None:
    """Say how many runs there are, what becomes of them, and what was overridden."""
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
    if plan.sweep.overrides:
        overrides = escape(assignments(plan.sweep.overrides))
        console.print(f"  with {overrides}", highlight=False, soft_wrap=True)


def _show_what_starts(
    console: Console, plan: Plan, cost: Cost | None, cost_anew: Cost | None
) -> None:
    """Say what is special to the runs that start, and their price."""
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
    if plan.trained_anew:
        console.print(f"  {_older_text(plan, cost_anew)}", highlight=False, soft_wrap=True)
    for line in _memory_lines(plan):
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def _show_what_stays(console: Console, plan: Plan, executor: str) -> None:
    """Say what this launch leaves alone, and the option that would change it."""
    other_code = [run for run in plan.reuse if _has_other_code(run)]
    if other_code:
        _show_other_code(console, other_code)
    if plan.without_networks:
        console.print(
            f"  {counted(len(plan.without_networks), 'completed run')} without networks: planned with "
            "another keep, or cleaned; for their networks, train in another --root",
            highlight=False,
            soft_wrap=True,
        )
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
        text += f"what they computed stays{_prune_hint(plan)}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _prune_hint(plan: Plan) -> str:
    """Return what --prune would cancel; nothing where nothing is left to cancel."""
    if not plan.left_active:
        return ""
    return f" (--prune cancels {counted(plan.left_active, 'run')} queued or running)"


def _removed(plan: Plan) -> Iterator[str]:
    """Yield what left the spec: variants, or seeds of variants that it still has."""
    still_there = {variant.name for variant in plan.variants}
    for name in plan.removed_variants:
        seeds = sorted(
            {
                run["seed"]
                for run in plan.removed
                if run["variant"] == name and "semantics" not in run
            }
        )
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


def _older_text(plan: Plan, cost: Cost | None) -> str:
    """Return how many runs an older trainer has made that are trained again, and at what price."""
    versions = sorted({run["semantics"] for run in plan.older})
    count = len(plan.older)
    text = f"{counted(count, 'run')} of SEMANTICS {', '.join(map(str, versions))} "
    text += f"{'is' if count == 1 else 'are'} not reused but kept apart, so "
    text += f"{len(plan.trained_anew)} {'trains' if len(plan.trained_anew) == 1 else 'train'} anew"
    if cost is not None and cost.measured:
        text += f", about {_hours(cost)}"
    return f"{text} (CHANGELOG.md says what changed)"


def _memory_lines(plan: Plan) -> Iterator[str]:
    """Yield where a target remembers long beside its run: such a τ acts as one nearer to 1."""
    memories: dict[TargetMemory | None, None] = {}
    for run in plan.start:
        if run.data.images is not None:
            memories[target_memory(run.variant.canonical(), run.data.images)] = None
    notable = [memory for memory in memories if memory and memory.first_left > _FIRST_LEFT]
    for memory in notable[:_LISTED_REASONS]:
        text = f"τ = {memory.tau:g} averages over {memory.memory_steps:,.0f} steps, the run has "
        text += f"{memory.run_steps:,}: "
        if memory.memory_steps > memory.run_steps:
            text += "it is nearly τ = 1; "
        yield f"{text}{memory.first_left:.0%} of the last target is the first one"
    if len(notable) > _LISTED_REASONS:
        yield f"… and {len(notable) - _LISTED_REASONS} more τ that remember so long"


def _hours(cost: Cost) -> str:
    """Return the price in hours of what is dear: of GPUs where they are used, else of cores."""
    if cost.gpu_hours:
        return f"{cost.gpu_hours:.2f} GPU-hours"
    return f"{cost.run_hours:.2f} core-hours"


def _cost_text(cost: Cost | None) -> str:
    if cost is None or cost.measured == 0:
        return "cost unknown: no run of this kind was measured here yet"
    hours = _hours(cost)
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
