"""Gives what a row of the page unfolds to: its runs as a table of texts, and commands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from analysis.render.grid import Style
from analysis.results.provenance import Attempt
from analysis.trail.follow import SHOWN_DIGITS, RowTrail, RunTrail
from analysis.trail.relaunch import Command

_SHOWN_RUNS = 30
_SHOWN_KEYS = 12
_NOT_KNOWN = "not known"


@dataclass(frozen=True)
class RunView:
    """A run as texts."""

    seed: str
    value: str
    state: str
    attempts: Sequence[str]
    commit: str
    place: str
    wall: str
    show: str
    compare: str


@dataclass(frozen=True)
class TrailView:
    """What a row unfolds to.

    Attributes:
        summary: what stands beside the triangle.
        baseline: label of the row that it is compared with; empty without one.
        differs: keys in which it differs from that row: `key own for other`.
        unlisted_keys: how many more of them there are.
        missing: seeds without a run.
        runs: the first of them.
        more_runs: how many more there are.
        commands: that go on from here.
    """

    summary: str
    baseline: str
    differs: Sequence[str]
    unlisted_keys: int
    missing: str
    runs: Sequence[RunView]
    more_runs: int
    commands: Sequence[Command]


def trail_view(trail: RowTrail, labels: Mapping[str, str], style: Style) -> TrailView | None:
    """Return what a row unfolds to; None where there is nothing to unfold.

    Args:
        trail: of the row.
        labels: row key → label, of its table.
        style: how numbers are written.
    """
    if not trail.runs and not trail.missing:
        return None
    differs = [f"{key} {own} for {other}" for key, (own, other) in trail.differs.items()]
    shown = trail.runs[:_SHOWN_RUNS]
    return TrailView(
        summary=_summary(trail),
        baseline=labels.get(trail.baseline or "", ""),
        differs=differs[:_SHOWN_KEYS],
        unlisted_keys=max(0, len(differs) - _SHOWN_KEYS),
        missing=", ".join(str(seed) for seed in trail.missing),
        runs=[_run_view(run, style) for run in shown],
        more_runs=len(trail.runs) - len(shown),
        commands=trail.commands,
    )


def _summary(trail: RowTrail) -> str:
    runs = "1 run" if len(trail.runs) == 1 else f"{len(trail.runs)} runs"
    if trail.missing:
        return f"{runs}, {len(trail.missing)} missing"
    return runs


def _run_view(trail: RunTrail, style: Style) -> RunView:
    run = trail.run
    newest = trail.attempts[-1] if trail.attempts else None
    short = run.run_id[:SHOWN_DIGITS]
    texts = [command.text for command in trail.commands]
    diff = [text for text in texts if text.startswith("sweep diff")]
    return RunView(
        seed=str(run.seed),
        value=_value(trail, style),
        state=", ".join(_state(trail)),
        attempts=[_attempt(attempt) for attempt in trail.attempts],
        commit=_commit(newest),
        place=_place(newest),
        wall=duration(trail.wall_s),
        show=f"sweep show {short}",
        compare="".join(diff),
    )


def _value(trail: RunTrail, style: Style) -> str:
    if trail.value is None:
        return "–"
    text = style.number(trail.value)
    return text if trail.counts else f"({text})"


def _state(trail: RunTrail) -> Iterator[str]:
    """Yield how a run stands, and what people said of it."""
    run = trail.run
    yield run.state.lower() if run.outcome in (None, "ok") else str(run.outcome)
    if trail.reason and run.outcome is None:
        yield trail.reason
    if run.excluded is not None:
        yield f"excluded: {run.excluded}"


def _attempt(attempt: Attempt) -> str:
    words = [f"{attempt.number} {(attempt.state or 'no word yet').lower()}"]
    if attempt.reason and attempt.reason != "ok":
        words.append(attempt.reason)
    if attempt.is_exact is False:
        words.append("resumed inexactly")
    return ", ".join(words)


def _commit(attempt: Attempt | None) -> str:
    if attempt is None or attempt.commit is None:
        return _NOT_KNOWN
    changed = " with changes" if attempt.is_changed else ""
    return attempt.commit[:SHOWN_DIGITS] + changed


def _place(attempt: Attempt | None) -> str:
    if attempt is None:
        return _NOT_KNOWN
    place = f"{attempt.host or _NOT_KNOWN} ({attempt.device or 'device not known'})"
    return f"{place}, job {attempt.job_id}" if attempt.job_id else place


def duration(seconds: float | None) -> str:
    """Return a time as people read it: `48 s`, `12 min`, `3.1 h`."""
    if seconds is None:
        return _NOT_KNOWN
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
