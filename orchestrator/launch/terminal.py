"""What people see in a terminal: plans, runs and progress; status has its own module. A pipe gets the same as plain text."""

import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from orchestrator.launch.cost import Cost
from orchestrator.launch.plan import Plan
from orchestrator.status.sweep_status import SweepStatus
from orchestrator.status.verdict import summary
from orchestrator.store.root import PREFIX
from orchestrator.store.standing import State
from orchestrator.text import assignments, plain

_LINE_EVERY_S = 10.0
_LISTED_VARIANTS = 40


def show_plan(console: Console, plan: Plan, executor: str, cost: Cost | None) -> None:
    """Print what a launch is about to do, and what it will cost."""
    parts = [f"{len(plan.start)} to run"]
    parts += [f"{len(plan.reuse)} done already"] if plan.reuse else []
    parts += [f"{len(plan.active)} running or queued"] if plan.active else []
    unique = len({run.run_id for run in plan.runs})
    console.print(f"{escape(plan.sweep.label)}: {unique} runs, {', '.join(parts)} ({executor})", highlight=False)
    if plan.sweep.overrides:
        console.print(f"  with {escape(assignments(plan.sweep.overrides))}", highlight=False, soft_wrap=True)
    if plan.start:
        console.print(f"  {_cost(cost)}", highlight=False)
    if plan.leave:
        states = sorted({run.standing.state.value.lower() for run in plan.leave})
        console.print(f"  {len(plan.leave)} ended without a result; --retry {','.join(states)} tries them again")
        for run in plan.leave[:3]:
            console.print(
                f"  {_name(run.variant.name, run.seed, run.run_id)}: {escape(run.standing.reason or '')}", highlight=False
            )
    if executor == "slurm" and any(run.standing.state == State.OOM for run in plan.leave):
        console.print(
            "  what ran out of memory is tried again by itself once it asks for more: resources.mem_gb, gpu_type",
            highlight=False,
        )
    if plan.left_the_spec:
        left = escape(", ".join(plan.left_the_spec))
        console.print(f"  no longer in the spec, or changed: {left} (--prune cancels their jobs)", highlight=False)


def show_plan_runs(console: Console, plan: Plan) -> None:
    """Print a line per variant: which seeds would start, which are done."""
    for variant in plan.variants[:_LISTED_VARIANTS]:
        parts = []
        for what, runs in (("run", plan.start), ("reuse", plan.reuse), ("active", plan.active), ("leave", plan.leave)):
            ids = {run.run_id for run in runs}
            seeds = [str(run.seed) for run in plan.runs if run.variant is variant and run.run_id in ids]
            parts += [f"{what} seed {', '.join(seeds)}"] if seeds else []
        if parts:
            console.print(f"  {escape(variant.name)}: {'; '.join(parts)}", highlight=False, soft_wrap=True)
    if len(plan.variants) > _LISTED_VARIANTS:
        console.print(f"  … and {len(plan.variants) - _LISTED_VARIANTS} variants more", highlight=False)


def _cost(cost: Cost | None) -> str:
    if cost is None or cost.measured == 0:
        return "cost unknown: no run of this kind was measured here yet"
    hours = f"{cost.gpu_hours:.2f} GPU-hours" if cost.gpu_hours else f"{cost.run_hours:.2f} core-hours"
    rest = f", and {cost.unknown} runs of a kind never measured" if cost.unknown else ""
    kept = f"{cost.disk_bytes / 1e6:,.1f} MB of disk"
    return f"cost about {hours} and {kept}, told from {cost.measured} earlier runs{rest}"


def show_run(console: Console, known: dict[str, Any], preset: str, unlike: dict[str, Any]) -> None:
    """Print one run: where it stands, what it is, how it went."""
    state = " ".join(str(part) for part in (known["state"], known["outcome"], known["reason"]) if part)
    lines = [
        f"run      {known['run_id']}",
        f"state    {state}",
        f"folder   {known['folder']}",
        f"seed     {known['config']['seed']}",
    ]
    changes = ", ".join(f"{key}={value}" for key, value in unlike.items() if key != "seed") or "nothing changed"
    lines.append(f"config   {preset}: {changes}")
    for attempt in known["attempts"]:
        claim = attempt["claim"] or {"process": {"host": "?"}, "job": {"executor": "?", "device": "?"}}
        job = f"{claim['job']['executor']} on {claim['process']['host']}, {claim['job']['device']}"
        inexact = "" if attempt["exact"] in (True, None) else ", resumed inexactly"
        ended = f"{attempt['state'] or 'no last word'}{inexact}"
        lines.append(f"attempt  {attempt['number']}: {job}, {_from(attempt['first_step'])}, {ended}")
    for one in known["evaluations"]:
        found = ", ".join(f"{one[network]['accuracy']:.4f} {network}" for network in ("online", "target") if network in one)
        lines.append(f"{one['protocol']:<8} {found} (version {one['version']})")
    for name, value in ((known["result"] or {}).get("final") or {}).items():
        lines.append(f"{name:<16} {float(value):.4f} (mean over the last epoch)")  # text where it is not finite
    for line in lines:
        console.print(escape(plain(line)), highlight=False, soft_wrap=True)


def _from(step: int | None) -> str:
    return "before its first step" if step is None else f"from step {step}"


def show_difference(console: Console, found: dict[str, tuple[Any, Any]]) -> None:
    """Print a line per key that differs."""
    table = Table("key", "one", "other", box=None, pad_edge=False)
    for key, values in found.items():
        table.add_row(escape(key), *(escape(plain("–" if value is None else str(value))) for value in values))
    console.print(table if found else "no difference")


class Live:
    """Progress while runs run here: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), console=console
        )
        self._task = self._progress.add_task("training", total=1.0, text="starting")
        self._last: tuple[float, int] = (float("-inf"), -1)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self._progress.live.is_started:
            self._progress.stop()

    def update(self, status: SweepStatus) -> None:
        """Show where the sweep stands."""
        done = status.counts()[State.COMPLETED.value]
        share = sum(run.progress for run in status.runs) / max(1, len(status.runs))
        if self._console.is_terminal:
            self._progress.start()
            self._progress.update(self._task, completed=share, text=summary(status))
        elif time.monotonic() - self._last[0] > _LINE_EVERY_S or (done != self._last[1] and done == len(status.runs)):
            self._last = (time.monotonic(), done)
            self._console.print(f"  {share:4.0%}  {summary(status)}", highlight=False)


def _name(variant: str, seed: int, run_id: str) -> str:
    return f"{variant} seed {seed} ({run_id[:PREFIX]})"
