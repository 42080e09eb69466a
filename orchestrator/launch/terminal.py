"""What a launch prints: its plan, what it sent, how it ended. A pipe gets the same as plain text."""

from rich.console import Console
from rich.markup import escape

from orchestrator.launch.cost import Cost
from orchestrator.launch.launch import LaunchResult
from orchestrator.launch.plan import Plan
from orchestrator.launch.send import Sent
from orchestrator.status.sweep_status import SweepStatus
from orchestrator.status.terminal import reason_lines
from orchestrator.status.verdict import summary
from orchestrator.store.root import PREFIX
from orchestrator.store.state import State
from orchestrator.text import assignments

_LISTED_VARIANTS = 40


def show_plan(console: Console, plan: Plan, executor: str, cost: Cost | None) -> None:
    """Print what a launch is about to do, and what it will cost."""
    parts = [f"{len(plan.start)} to run"]
    parts += [f"{len(plan.reuse)} done already"] if plan.reuse else []
    parts += [f"{len(plan.active)} running or queued"] if plan.active else []
    unique = len({run.run_id for run in plan.runs})
    console.print(
        f"{escape(plan.sweep.label)}: {unique} runs, {', '.join(parts)} ({executor})",
        highlight=False,
    )
    if plan.sweep.overrides:
        console.print(
            f"  with {escape(assignments(plan.sweep.overrides))}", highlight=False, soft_wrap=True
        )
    if plan.start:
        console.print(f"  {_cost(cost)}", highlight=False)
    if plan.held_back:
        states = sorted({run.standing.state.value.lower() for run in plan.held_back})
        console.print(
            f"  {len(plan.held_back)} ended without a result; --retry {','.join(states)} tries them again"
        )
        for run in plan.held_back[:3]:
            console.print(
                f"  {_name(run.variant.name, run.seed, run.run_id)}: {escape(run.standing.reason or '')}",
                highlight=False,
            )
    if executor == "slurm" and any(run.standing.state == State.OOM for run in plan.held_back):
        console.print(
            "  what ran out of memory is tried again by itself once it asks for more: resources.mem_gb, gpu_type",
            highlight=False,
        )
    if plan.removed_variants:
        removed = escape(", ".join(plan.removed_variants))
        console.print(
            f"  no longer in the spec, or changed: {removed} (--prune cancels their jobs)",
            highlight=False,
        )


def show_plan_runs(console: Console, plan: Plan) -> None:
    """Print a line per variant: which seeds would start, which are done."""
    for variant in plan.variants[:_LISTED_VARIANTS]:
        parts = []
        for what, runs in (
            ("run", plan.start),
            ("reuse", plan.reuse),
            ("active", plan.active),
            ("held back", plan.held_back),
        ):
            ids = {run.run_id for run in runs}
            seeds = [
                str(run.seed) for run in plan.runs if run.variant is variant and run.run_id in ids
            ]
            parts += [f"{what} seed {', '.join(seeds)}"] if seeds else []
        if parts:
            console.print(
                f"  {escape(variant.name)}: {'; '.join(parts)}", highlight=False, soft_wrap=True
            )
    if len(plan.variants) > _LISTED_VARIANTS:
        console.print(
            f"  … and {len(plan.variants) - _LISTED_VARIANTS} variants more", highlight=False
        )


def _cost(cost: Cost | None) -> str:
    if cost is None or cost.measured == 0:
        return "cost unknown: no run of this kind was measured here yet"
    hours = (
        f"{cost.gpu_hours:.2f} GPU-hours" if cost.gpu_hours else f"{cost.run_hours:.2f} core-hours"
    )
    rest = f", and {cost.unknown} runs of a kind never measured" if cost.unknown else ""
    kept = f"{cost.disk_bytes / 1e6:,.1f} MB of disk"
    return f"cost about {hours} and {kept}, told from {cost.measured} earlier runs{rest}"


def _name(variant: str, seed: int, run_id: str) -> str:
    return f"{variant} seed {seed} ({run_id[:PREFIX]})"


_INTERRUPTED = 130


def show_outcome(console: Console, status: SweepStatus, done: LaunchResult) -> int:
    """Print how a sweep ended that was waited for; return the exit status."""
    console.print(
        f"{status.label}: {summary(status)}", highlight=False, markup=False, soft_wrap=True
    )
    if done.interrupted:
        jobs = "the jobs go on without it, and " if done.executor == "slurm" else ""
        console.print(
            f"{done.interrupted}; {jobs}the same launch goes on from here", highlight=False
        )
        return _INTERRUPTED
    if done.stopped:
        console.print(done.stopped, highlight=False, markup=False, soft_wrap=True)
        return 1
    for line in reason_lines(status.runs):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
    return 0 if status.all_done() else 1


def show_sent(console: Console, sent: Sent) -> None:
    """Print what went to SLURM, and what did not."""
    arrays = ", ".join(dict.fromkeys(job_id.partition("_")[0] for job_id in sent.job_ids))
    runs = "" if sent.run_count == len(sent.job_ids) else f" of {sent.run_count} runs"
    text = (
        f"submitted {len(sent.job_ids)} jobs{runs} (SLURM {arrays})"
        if sent.job_ids
        else "nothing to submit"
    )
    if sent.held_back:
        text += (
            f"; {sent.held_back} runs not submitted yet ({sent.limit}): run the same launch again"
        )
    console.print(f"{text}; see `sweep status`", highlight=False, soft_wrap=True)
