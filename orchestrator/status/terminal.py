"""What `status`, `show` and `diff` print, 80 columns wide. Status stays short for any number of
runs.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from orchestrator.status.sweep_status import DONE, FAILED, PENDING, RUNNING, RunStatus, SweepStatus
from orchestrator.status.verdict import Health, summary, verdict
from orchestrator.store.root import PREFIX
from orchestrator.text import assignments, duration, plain

_SHOWN_VARIANTS = 60
_SHOWN_REASONS = 8
_SHOWN_SEEDS = 5
_STALE_S = 60.0
_WORDS = {
    Health.DONE: "green",
    Health.WELL: "green",
    Health.QUEUED: "cyan",
    Health.WAITS: "yellow",
    Health.TROUBLE: "red",
}
_GROUPS = {RUNNING: "cyan", PENDING: "yellow", FAILED: "red"}


def status_view(
    statuses: Sequence[SweepStatus], collapsed_below: float, launcher_at_work: bool = False
) -> Group:
    """Return what `sweep status` shows; nothing is printed."""
    return Group(
        *(part for status in statuses for part in _sweep(status, collapsed_below, launcher_at_work))
    )


def run_lines(statuses: Sequence[SweepStatus], state: str) -> Iterator[str]:
    """Yield one line per run in a state; `any` for all."""
    for status in statuses:
        for run in status.runs:
            if state in ("any", run.state.value.lower()):
                note = run.why or run.outcome or run.node or ""
                head = f"{run.run_id[:PREFIX]}  {run.state.value:<9}  {run.progress:>4.0%}"
                yield plain(f"{head}  {run.variant} seed {run.seed}  {note}".rstrip())


def reason_lines(runs: Sequence[RunStatus]) -> Iterator[str]:
    """Yield why runs failed or wait, equal reasons together, what failed first and the most
    frequent first.
    """
    found: dict[tuple[str, str, str], list[RunStatus]] = {}
    for run in runs:
        if run.why is not None and run.group != DONE:
            found.setdefault(
                (run.group, run.variant if run.group == FAILED else "", run.why), []
            ).append(run)
    ordered = sorted(found.items(), key=lambda item: (item[0][0] != FAILED, -len(item[1])))
    for (group, _, why), alike in ordered[:_SHOWN_REASONS]:
        yield plain(f"{group}  {_who(alike)}: {why}")
    if len(ordered) > _SHOWN_REASONS:
        yield f"… and {len(ordered) - _SHOWN_REASONS} reasons more: sweep status --state any"


def _sweep(
    status: SweepStatus, collapsed_below: float, launcher_at_work: bool
) -> Iterator[RenderableType]:
    word = verdict(status, launcher_at_work)
    head = Text.assemble(
        (status.label, "bold"), ": ", (word.value, _WORDS[word]), f": {summary(status)}"
    )
    yield head
    yield from map(_indented, _facts(status))
    by_variant = status.by_variant()
    yield _table(_first(by_variant), collapsed_below)
    if len(by_variant) > _SHOWN_VARIANTS:
        yield _indented(
            f"… and {len(by_variant) - _SHOWN_VARIANTS} variants more: --only NAME,… or --json"
        )
    yield from map(_indented, reason_lines(status.runs))
    yield from map(_indented, _next_steps(status, launcher_at_work))


def _indented(text: str) -> Text:
    return Text(f"  {text}")


def _facts(status: SweepStatus) -> Iterator[str]:
    if status.overrides:
        yield f"with {assignments(status.overrides)}"
    parts = [f"launched {time.strftime('%Y-%m-%d %H:%M', time.localtime(status.launched_at))}"]
    used, expected = status.usage, status.usage.expected(status.forecast.hours_left)
    if used.hours:
        parts.append(
            f"{used.hours:,.2f} {'of about ' + format(expected, ',.2f') + ' ' if expected else ''}{used.unit} used"
        )
    if status.slurm_answered_at is not None and any(run.job_id for run in status.runs):
        age_s = max(0.0, time.time() - status.slurm_answered_at)
        parts.append(
            f"SLURM last answered {duration(age_s)} ago" if age_s > _STALE_S else "SLURM answers"
        )
    yield ", ".join(parts)


def _next_steps(status: SweepStatus, launcher_at_work: bool) -> Iterator[str]:
    if status.skipped_lines:
        yield f"{status.skipped_lines} damaged lines of event logs were skipped"
    if status.waiting():
        way = (
            "the launcher at work will start them"
            if launcher_at_work
            else "run `sweep launch` again"
        )
        yield f"{status.waiting()} not running and not done: {way}"
    if status.groups()[FAILED]:
        states = ",".join(
            sorted({run.state.value.lower() for run in status.runs if run.group == FAILED})
        )
        yield f"what ended without a result stays so: see `sweep logs RUN`, then `sweep launch … --retry {states}`"


def _who(runs: Sequence[RunStatus]) -> str:
    """Return `no_norm seeds 0, 1 (3f2a91…)` for runs of one variant, `118 runs` for more."""
    if len({run.variant for run in runs}) > 1:
        return f"{len(runs)} runs"
    seeds = ", ".join(str(run.seed) for run in runs[:_SHOWN_SEEDS]) + (
        ", …" if len(runs) > _SHOWN_SEEDS else ""
    )
    return (
        f"{runs[0].variant} seed{'s' if len(runs) > 1 else ''} {seeds} ({runs[0].run_id[:PREFIX]})"
    )


def _first(by_variant: dict[str, list[RunStatus]]) -> dict[str, list[RunStatus]]:
    """Return as many variants as one reads, those that are neither done nor untouched first."""
    idle = ({DONE}, {PENDING})
    in_order = sorted(by_variant.items(), key=lambda item: {run.group for run in item[1]} in idle)
    chosen = dict(in_order[:_SHOWN_VARIANTS])
    return {name: runs for name, runs in by_variant.items() if name in chosen}


def _table(by_variant: dict[str, list[RunStatus]], collapsed_below: float) -> Table:
    """Return a line per variant; a column that would be empty is left out."""
    all_runs = [run for runs in by_variant.values() for run in runs]
    groups = [group for group in _GROUPS if any(run.group == group for run in all_runs)]
    progress = any(0 < run.progress < 1 for run in all_runs)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  variant")
    for heading in ("done", *groups, *(["progress"] if progress else []), "probe", "collapsed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for variant, runs in by_variant.items():
        counts = [sum(run.group == group for run in runs) for group in groups]
        shown = [
            Text(str(count), style=_GROUPS[group]) if count else ""
            for group, count in zip(groups, counts, strict=True)
        ]
        shares = [f"{sum(run.progress for run in runs) / len(runs):.0%}"] if progress else []
        done = f"{sum(run.group == DONE for run in runs)}/{len(runs)}"
        table.add_row(
            Text(f"  {plain(variant)}"), done, *shown, *shares, *_results(runs, collapsed_below)
        )
    return table


def _results(runs: Sequence[RunStatus], collapsed_below: float) -> tuple[str, str]:
    probes = [run.probe for run in runs if run.probe is not None]
    spreads = [run.std_sqrt_d for run in runs if run.std_sqrt_d is not None]
    probe = f"{sum(probes) / len(probes):.3f}" if probes else "–"
    return (
        probe,
        f"{sum(value < collapsed_below for value in spreads)}/{len(spreads)}" if spreads else "–",
    )


def show_run(console: Console, known: dict[str, Any], preset: str, unlike: dict[str, Any]) -> None:
    """Print one run: where it stands, what it is, how it went."""
    state = " ".join(
        str(part) for part in (known["state"], known["outcome"], known["reason"]) if part
    )
    lines = [
        f"run      {known['run_id']}",
        f"state    {state}",
        f"folder   {known['folder']}",
        f"seed     {known['config']['seed']}",
    ]
    changes = (
        ", ".join(f"{key}={value}" for key, value in unlike.items() if key != "seed")
        or "nothing changed"
    )
    lines.append(f"config   {preset}: {changes}")
    for attempt in known["attempts"]:
        claim = attempt["claim"] or {
            "process": {"host": "?"},
            "job": {"executor": "?", "device": "?"},
        }
        job = f"{claim['job']['executor']} on {claim['process']['host']}, {claim['job']['device']}"
        inexact = "" if attempt["exact"] in (True, None) else ", resumed inexactly"
        ended = f"{attempt['state'] or 'no last word'}{inexact}"
        lines.append(
            f"attempt  {attempt['number']}: {job}, {_from(attempt['first_step'])}, {ended}"
        )
    for one in known["evaluations"]:
        found = ", ".join(
            f"{one[network]['accuracy']:.4f} {network}"
            for network in ("online", "target")
            if network in one
        )
        lines.append(f"{one['protocol']:<8} {found} (version {one['version']})")
    for name, value in ((known["result"] or {}).get("final") or {}).items():
        lines.append(
            f"{name:<16} {float(value):.4f} (mean over the last epoch)"
        )  # text where it is not finite
    for line in lines:
        console.print(escape(plain(line)), highlight=False, soft_wrap=True)


def _from(step: int | None) -> str:
    return "before its first step" if step is None else f"from step {step}"


def show_difference(console: Console, found: dict[str, tuple[Any, Any]]) -> None:
    """Print a line per key that differs."""
    table = Table("key", "one", "other", box=None, pad_edge=False)
    for key, values in found.items():
        table.add_row(
            escape(key), *(escape(plain("–" if value is None else str(value))) for value in values)
        )
    console.print(table if found else "no difference")
