"""Prints what `status`, `show` and `diff` say, 80 columns wide; status is short for any sweep."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from orchestrator.machine.user import user_name
from orchestrator.status.diff import in_words
from orchestrator.status.folding import Family, fold_lines
from orchestrator.status.remarks import exclusion_lines
from orchestrator.status.run_status import DONE, FAILED, PENDING, RUNNING, RunStatus
from orchestrator.status.show import detail_lines
from orchestrator.status.sweep_status import SweepStatus
from orchestrator.status.verdict import Health, summary, verdict
from orchestrator.store.root import PREFIX
from orchestrator.text import assignments, counted, duration, percent, plain

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
    families: Sequence[Family], collapsed_below: float, launcher_at_work: bool = False
) -> Group:
    """Return what `sweep status` shows; nothing is printed."""
    parts: list[RenderableType] = []
    roots = {status.root for family in families for status in family.whole}
    for family in families:
        for status in family.whole:
            parts += _sweep(status, collapsed_below, launcher_at_work)
            if len(roots) > 1:
                parts.append(_indented(f"in {status.root}"))
        parts += map(_indented, fold_lines(family))
    return Group(*parts)


def run_lines(statuses: Sequence[SweepStatus], state: str) -> Iterator[str]:
    """Yield one line per run in a state; `any` for all."""
    for status in statuses:
        for run in status.runs:
            if state in ("any", run.state.value.lower()):
                note = run.why or run.outcome or run.node or ""
                if run.excluded is not None:
                    note += f"; excluded: {run.excluded}"
                if run.tags:
                    note += f"; tags: {', '.join(run.tags)}"
                head = f"{run.run_id[:PREFIX]}  {run.state.value:<9}  {run.progress:>4.0%}"
                of_sweep = f"{status.label}  " if len(statuses) > 1 else ""
                yield plain(f"{head}  {of_sweep}{run.variant} seed {run.seed}  {note}".rstrip())


def reason_lines(runs: Sequence[RunStatus]) -> Iterator[str]:
    """Yield why runs failed or wait, equal reasons together.

    What failed comes first, then what waits; of each, the most frequent reason comes first.
    """
    # What failed or diverged is named by variant; of what waits, the number says enough.
    alike: dict[tuple[str, str, str], list[RunStatus]] = {}
    for run in runs:
        if run.why is not None:
            variant = "" if run.group == PENDING else run.variant
            group = "diverged" if run.group == DONE else run.group
            alike.setdefault((group, variant, run.why), []).append(run)

    ordered = sorted(alike.items(), key=lambda item: (item[0][0] != FAILED, -len(item[1])))
    for (group, _, why), of_reason in ordered[:_SHOWN_REASONS]:
        yield plain(f"{group}  {_who(of_reason)}: {why}")
    if len(ordered) > _SHOWN_REASONS:
        more = counted(len(ordered) - _SHOWN_REASONS, "reason")
        yield f"… and {more} more: sweep status --state any"


def _sweep(
    status: SweepStatus, collapsed_below: float, launcher_at_work: bool
) -> Iterator[RenderableType]:
    """Yield the parts of a sweep, from the one word that judges it down to what to do next."""
    health = verdict(status, launcher_at_work)
    word = (health.value, _WORDS[health])
    yield Text.assemble((status.label, "bold"), ": ", word, f": {summary(status)}")
    yield from map(_indented, _facts(status))

    by_variant = status.by_variant()
    yield _table(_first(by_variant), collapsed_below)
    if len(by_variant) > _SHOWN_VARIANTS:
        more = len(by_variant) - _SHOWN_VARIANTS
        yield _indented(f"… and {counted(more, 'variant')} more: --only NAME,… or --json")

    yield from map(_indented, reason_lines(status.runs))
    yield from map(_indented, exclusion_lines(status.runs))
    yield from map(_indented, _next_steps(status, launcher_at_work))


def _indented(text: str) -> Text:
    return Text(f"  {text}")


def _facts(status: SweepStatus) -> Iterator[str]:
    """Yield how and when a sweep was launched, what it used, and whether SLURM answers."""
    if status.overrides:
        yield f"with {assignments(status.overrides)}"
    launched = time.strftime("%Y-%m-%d %H:%M", time.localtime(status.launched_at))
    if status.tags:
        yield f"tags: {', '.join(status.tags)}"
    if status.note is not None:
        yield plain(f"note: {status.note}")
    parts = [f"launched {launched}"]
    if status.launched_by not in (None, user_name()):
        parts = [f"launched {launched} by {status.launched_by}"]
    if status.usage.hours:
        parts.append(_used(status))

    # Whether SLURM answers matters only where a run has a job.
    if status.slurm_answered_at is not None and any(run.job_id for run in status.runs):
        age_s = max(0.0, time.time() - status.slurm_answered_at)
        if age_s > _STALE_S:
            parts.append(f"SLURM last answered {duration(age_s)} ago")
        else:
            parts.append("SLURM answers")
    yield ", ".join(parts)


def _used(status: SweepStatus) -> str:
    """Return `1.50 of about 6.00 GPU-hours used`."""
    used = f"{status.usage.hours:,.2f}"
    expected = status.usage.expected(status.forecast.hours_left)
    if expected:
        used += f" of about {expected:,.2f}"
    return f"{used} {status.usage.unit} used"


def _next_steps(status: SweepStatus, launcher_at_work: bool) -> Iterator[str]:
    """Yield what somebody should know or do."""
    if status.skipped_lines:
        lines = counted(status.skipped_lines, "damaged line")
        yield f"{lines} of event logs skipped"
    if status.stuck():
        runs = counted(status.stuck(), "run")
        yield (
            f"{runs} cannot start as they are: do what the reason says; for other resources, "
            f"`sweep cancel {status.label}`, then launch with --retry cancelled"
        )
    if status.left_jobs:
        jobs = counted(status.left_jobs, "job")
        yield (
            f"{jobs} of runs that left the spec: `sweep cancel {status.label}` ends them with the "
            "rest, `sweep launch … --prune` alone"
        )
    if status.waiting():
        way = "run `sweep launch` again"
        if launcher_at_work:
            way = "the launcher at work will start them"
        yield f"{status.waiting()} not running and not done: {way}"
    newest = _newest_probe(status.runs)
    older = sum(0 < (run.probe_version or 0) < newest for run in status.runs)
    if older:
        yield (
            f"{counted(older, 'run')} judged by an older version of the probe than {newest}, so "
            "without a number here: `sweep runs` lists it, `sweep report --setting` shows its table"
        )
    failed = {run.state.value.lower() for run in status.runs if run.group == FAILED}
    if failed:
        yield (
            "what ended without a result stays so: see `sweep logs RUN`, "
            f"then `sweep launch … --retry {','.join(sorted(failed))}`"
        )


def _who(runs: Sequence[RunStatus]) -> str:
    """Return `no_norm seeds 0, 1 (3f2a91…)` for runs of one variant, `118 runs` for more."""
    if len({run.variant for run in runs}) > 1:
        return f"{len(runs)} runs"
    seeds = ", ".join(str(run.seed) for run in runs[:_SHOWN_SEEDS])
    if len(runs) > _SHOWN_SEEDS:
        seeds += ", …"
    noun = "seeds" if len(runs) > 1 else "seed"
    return f"{runs[0].variant} {noun} {seeds} ({runs[0].run_id[:PREFIX]})"


def _first(by_variant: dict[str, list[RunStatus]]) -> dict[str, list[RunStatus]]:
    """Return as many variants as people read, those that are neither done nor untouched first."""
    idle = ({DONE}, {PENDING})
    in_order = sorted(by_variant.items(), key=lambda item: {run.group for run in item[1]} in idle)
    chosen = dict(in_order[:_SHOWN_VARIANTS])
    return {name: runs for name, runs in by_variant.items() if name in chosen}


def _table(by_variant: dict[str, list[RunStatus]], collapsed_below: float) -> Table:
    """Return a line per variant; a column that would be empty is left out."""
    all_runs = list(chain.from_iterable(by_variant.values()))
    present = {run.group for run in all_runs}
    groups = [group for group in _GROUPS if group in present]
    with_progress = any(0 < run.progress < 1 for run in all_runs)

    # Numbers of an older version of the probe do not stand beside those of a newer one.
    newest = _newest_probe(all_runs)

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  variant")
    headings = ["done", *groups]
    if with_progress:
        headings.append("progress")
    for heading in (*headings, "probe", "collapsed"):
        table.add_column(heading, justify="right", no_wrap=True)

    for variant, runs in by_variant.items():
        counts = Counter(run.group for run in runs)
        cells: list[Text | str] = [Text(f"  {plain(variant)}"), f"{counts[DONE]}/{len(runs)}"]
        cells += [_count(counts[group], group) for group in groups]
        if with_progress:
            cells.append(f"{sum(run.progress for run in runs) / len(runs):.0%}")
        table.add_row(*cells, _mean_probe(runs, newest), _collapsed(runs, collapsed_below))
    return table


def _count(count: int, group: str) -> Text:
    """Return a number in the colour of its group; nothing for none."""
    if not count:
        return Text()
    return Text(str(count), style=_GROUPS[group])


def _newest_probe(runs: Sequence[RunStatus]) -> int:
    """Return the newest version of the probe that has judged one of these runs; 0 without any."""
    return max((run.probe_version or 0 for run in runs), default=0)


def _mean_probe(runs: Sequence[RunStatus], version: int) -> str:
    """Return the mean over the runs that this version of the probe has judged."""
    probes: list[float] = []
    for run in runs:
        is_judged = run.probe is not None and (run.probe_version or 0) == version
        if is_judged and run.excluded is None:
            probes.append(run.probe or 0.0)
    if not probes:
        return "–"
    return percent(sum(probes) / len(probes))


def _collapsed(runs: Sequence[RunStatus], collapsed_below: float) -> str:
    """Return `1/3` where one of three runs that tell it has collapsed."""
    kept = [run for run in runs if run.excluded is None]
    std_sqrt_d = [run.std_sqrt_d for run in kept if run.std_sqrt_d is not None]
    if not std_sqrt_d:
        return "–"
    return f"{sum(value < collapsed_below for value in std_sqrt_d)}/{len(std_sqrt_d)}"


def show_run(console: Console, run: dict[str, Any], preset: str, changed: dict[str, Any]) -> None:
    """Print a run: where it stands, what it is, how it went.

    Args:
        console: where to.
        run: its details, as `--json` prints them.
        preset: the one closest to its config.
        changed: what its config has and the preset has not.
    """
    for line in detail_lines(run, preset, changed):
        console.print(escape(plain(line)), highlight=False, soft_wrap=True)


def show_difference(console: Console, differences: dict[str, tuple[Any, Any]]) -> None:
    """Print a line per key that differs."""
    if not differences:
        console.print("no difference")
        return
    table = Table("key", "one", "other", box=None, pad_edge=False)
    for key, values in differences.items():
        table.add_row(escape(key), *(escape(plain(in_words(key, value))) for value in values))
    console.print(table)
