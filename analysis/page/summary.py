"""Says what the page opens with: what was asked, what was found, and what is incomplete."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from analysis.render.notes import claim_text
from analysis.results.provenance import Launched
from analysis.results.runs import Run
from analysis.results.sweeps import SweepAsked
from analysis.tables.reproduces import Outcome, Verdict
from analysis.tables.tidy import Report
from analysis.trail.follow import SHOWN_DIGITS
from analysis.trail.relaunch import RETRIED, launch_command
from orchestrator.database.schema import State

_SHOWN_ROWS = 6


@dataclass(frozen=True)
class Question:
    """What a sweep asks, and how many of the runs that its spec asks for are done."""

    text: str
    sweep: str
    launched: str
    tables: Sequence[str]
    done: int
    runs: int


@dataclass(frozen=True)
class ClaimView:
    """A claim of a table: whether it held, by which numbers, and why."""

    table: str
    outcome: str
    claim: str
    numbers: str
    reason: str


@dataclass(frozen=True)
class Finding:
    """What is known of one table: how much of it is done, its claims counted, what collapsed."""

    table: str
    rows_done: int
    rows: int
    held: int
    contradicted: int
    undecided: int
    collapsed: Sequence[str]


@dataclass(frozen=True)
class OpenSweep:
    """A sweep with runs that are not done: how many are in which state, and how it goes on."""

    sweep: str
    states: str
    command: str


@dataclass(frozen=True)
class FailedRun:
    """A run that ended without a result: which, why, and how to look at it."""

    sweep: str
    seed: int
    state: str
    reason: str
    command: str


@dataclass(frozen=True)
class OpenTable:
    """A table with rows that are not done."""

    table: str
    rows: Sequence[str]
    more: int


def questions(
    launched: Sequence[Launched], sweeps: Sequence[SweepAsked], states: Mapping[str, str]
) -> list[Question]:
    """Return what the sweeps ask, newest first.

    Args:
        launched: the sweeps as they were launched.
        sweeps: what they ask for.
        states: run id → state.
    """
    by_label = {sweep.label: sweep for sweep in launched}
    views: list[Question] = []
    for sweep in sweeps:
        ids = {*sweep.runs.values()}
        question = by_label[sweep.label].question if sweep.label in by_label else ""
        view = Question(
            text=question or "no question in its spec",
            sweep=sweep.label,
            launched=day(sweep.launched_at),
            tables=sweep.tables,
            done=sum(states.get(run_id) == State.COMPLETED for run_id in ids),
            runs=len(ids) + _never_launched(sweep),
        )
        views.append(view)
    return views


def day(seconds: float) -> str:
    """Return the day of a time in seconds since 1970."""
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d}"


def claim_views(report: Report) -> list[ClaimView]:
    """Return a table's claims; first the contradicted ones, then those that held."""
    order = [Outcome.CONTRADICTED, Outcome.HELD, Outcome.UNDECIDED]
    judged = sorted(report.verdicts, key=lambda verdict: order.index(verdict.outcome))
    return [_claim_view(report, verdict) for verdict in judged]


def _claim_view(report: Report, verdict: Verdict) -> ClaimView:
    reason = verdict.reason
    if verdict.needs is not None:
        reason = f"{reason}; {verdict.needs} seeds would decide it at this spread"
    return ClaimView(
        table=report.table.rows.id,
        outcome=str(verdict.outcome),
        claim=claim_text(verdict.claim, report),
        numbers=verdict.numbers,
        reason=reason,
    )


def finding(report: Report) -> Finding:
    """Return what is known of a table."""
    outcomes = Counter(verdict.outcome for verdict in report.verdicts)
    lines = report.table.lines
    collapsed = [
        f"{line.row.label} {line.collapsed[0]}/{line.collapsed[1]}"
        for line in lines
        if line.collapsed is not None and line.collapsed[0]
    ]
    return Finding(
        table=report.table.rows.id,
        rows_done=sum(line.word == "done" for line in lines),
        rows=len(lines),
        held=outcomes[Outcome.HELD],
        contradicted=outcomes[Outcome.CONTRADICTED],
        undecided=outcomes[Outcome.UNDECIDED],
        collapsed=collapsed,
    )


def open_table(report: Report) -> OpenTable | None:
    """Return which rows of a table are not done; None where all are."""
    open_lines = [line for line in report.table.lines if line.word not in ("done", "not run")]
    rows = [f"{line.row.label} ({line.state})" for line in open_lines]
    if not rows:
        return None
    return OpenTable(report.table.rows.id, rows[:_SHOWN_ROWS], max(0, len(rows) - _SHOWN_ROWS))


def open_sweeps(
    launched: Sequence[Launched], sweeps: Sequence[SweepAsked], states: Mapping[str, str]
) -> Iterator[OpenSweep]:
    """Yield the sweeps whose runs are not all done, with the command that goes on."""
    by_label = {sweep.label: sweep for sweep in launched}
    for sweep in sweeps:
        counts = Counter(
            states.get(run_id, "not submitted").lower() for run_id in {*sweep.runs.values()}
        )
        counts.pop(State.COMPLETED.lower(), None)
        never = _never_launched(sweep)
        if never:
            counts["never launched"] = never
        if not counts or sweep.label not in by_label:
            continue
        retried = sorted(state.lower() for state in RETRIED if counts[state.lower()])
        more = f" --retry {','.join(retried)}" if retried else ""
        texts = [f"{count} {state}" for state, count in sorted(counts.items())]
        command = launch_command(by_label[sweep.label]) + more
        yield OpenSweep(sweep.label, ", ".join(texts), command)


def _never_launched(sweep: SweepAsked) -> int:
    """Count the seeds of variants that a spec asks for and no launch has been told to make."""
    seeds = sweep.seeds or ()
    return sum((name, seed) not in sweep.runs for name in sweep.variants for seed in seeds)


def failed_runs(failed: Sequence[Run], reasons: Mapping[str, str]) -> list[FailedRun]:
    """Return the runs that ended without a result, as the page lists them."""
    return [
        FailedRun(
            sweep=run.sweeps[0] if run.sweeps else "no sweep",
            seed=run.seed,
            state=run.state.lower(),
            reason=reasons.get(run.run_id, ""),
            command=f"sweep show {run.run_id[:SHOWN_DIGITS]}",
        )
        for run in failed
    ]
