"""Writes what `sweep why` prints: a row's numbers, its marks, its runs and their attempts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from analysis.render.grid import Style, grid_of
from analysis.render.notes import title
from analysis.results.provenance import Attempt
from analysis.tables.collapse import is_collapsed
from analysis.tables.marks import MEANINGS
from analysis.tables.setting_index import unlike
from analysis.trail.follow import SHOWN_DIGITS
from orchestrator.text import counted, duration, plain

if TYPE_CHECKING:
    from analysis.tables.line import Line
    from analysis.tables.settings import Setting
    from analysis.tables.tidy import Report
    from analysis.trail.follow import RowTrail, RunTrail

_NAMES = 11
"""The width of the column of names."""
_SHOWN_KEYS = 12
_SHOWN_SETTINGS = 5
_HIDDEN = ("label", "published", "published_cosines", "per_seed", "state")
"""Columns of the table that have lines of their own here, or none."""


def why_lines(trail: "RowTrail", report: "Report", width: int) -> Iterator[str]:
    """Yield all that is to be said of a row.

    Args:
        trail: where it comes from.
        report: the table.
        width: of the page in characters.
    """
    line = next(line for line in report.table.lines if line.row.key == trail.key)
    yield from wrap(plain(f"{trail.table}: {trail.label} (row {trail.key})"), width)
    yield from _named("setting", [title(report).ours], width)
    yield from _named("state", [trail.state], width)
    yield from _named("ours", [_numbers(report, trail.key)], width)
    yield from _named("published", _published(report, line), width)
    for mark in trail.marks:
        meaning = MEANINGS[mark.code]
        yield from _named(f"mark {meaning.letter}", [f"{mark}: {meaning.sentence}"], width)
    yield from _named("no number", _reasons(report, line), width)

    yield from _difference(trail, report, width)
    yield from _runs(trail, width)
    yield from _commands(trail)


def _named(name: str, texts: Iterable[str | None], width: int) -> Iterator[str]:
    """Yield lines with a name before the first; nothing where there is nothing to say."""
    for number, text in enumerate(filter(None, texts)):
        first = f"  {name if number == 0 else '':<{_NAMES}} "
        rest = " " * len(first)
        yield from wrap(plain(text), width, initial_indent=first, subsequent_indent=rest)


def _numbers(report: "Report", key: str) -> str:
    """Return a row's numbers as the table shows them."""
    if report.table.rows.is_published_only:
        return "none: this table is shown as it is published"
    grid = grid_of(report, Style())
    keys = [line.row.key for line in report.table.lines]
    texts: list[str] = []
    for column, text in zip(grid.columns, grid.rows[keys.index(key)], strict=True):
        if column.key not in _HIDDEN and text not in ("", "–"):
            texts.append(f"{column.heading} {text}".removeprefix("ours "))
    return ", ".join(texts)


def _published(report: "Report", line: "Line") -> Iterator[str]:
    """Yield the published number, its source, and what is known of it."""
    rows = report.table.rows
    published = line.row.published
    if rows.is_published_only and rows.printed is not None:
        for name, cell in published.columns.items():
            yield f"{rows.printed.columns[name].metric} {cell.text}"
        yield rows.published_source
    elif published.text is None:
        yield "no number is published for this row"
    else:
        setting = published.setting or rows.published_setting
        yield f"{published.text}, {published.source or rows.published_source}"
        yield setting
        if not published.setting:
            yield report.table.unknown_data
    yield published.note
    if published.disputed:
        yield f"disputed: {published.disputed}"


def _reasons(report: "Report", line: "Line") -> Iterator[str]:
    """Yield why a row has no number; nothing where it has one."""
    table = report.table
    if line.summary.n:
        return
    if line.row.not_run:
        yield f"no run can be of this row: {line.row.not_run}"
    elif table.setting is None:
        yield f"there are no runs yet: sweep launch SPEC --table {table.rows.id}"
    elif line.word == "absent":
        yield "no run of this setting is of this row"
        yield from _elsewhere(table.others, table.setting, line.row.key)
        yield f"`sweep launch SPEC --table {table.rows.id}` starts what a spec has of it"
    elif line.word == "confounded":
        yield "its runs differ in more than the seed; mark x names the keys"
    elif line.word == "excluded":
        yield "people left out all of its runs; mark e says why"
    else:
        yield "none of its runs has a result yet; each says below how it stands"


def _elsewhere(others: Sequence["Setting"], shown: "Setting", key: str) -> Iterator[str]:
    """Say at which other settings runs of a row are, and in which keys these differ."""
    count = 0
    for other in others:
        groups = [group for group in other.groups if group.row.key == key]
        if not groups:
            continue
        count += 1
        if count > _SHOWN_SETTINGS:
            yield "… and at more settings: `sweep report` lists them"
            return
        runs = sum(len(group.runs) for group in groups)
        keys = ", ".join(_pairs(unlike(groups[0].values, shown.values)))
        yield f"{counted(runs, 'run')} at setting {other.id} ({other.source}): {keys}"
    if not count:
        yield "nor is any run of another setting"


def _pairs(differing: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Return the keys in which settings differ, with both values, and how many more there are."""
    pairs = [f"{key} {own} for {other}" for key, (own, other) in differing.items()]
    more = len(pairs) - _SHOWN_KEYS
    hidden = [f"and {more} keys more"] if more > 0 else []
    return [*pairs[:_SHOWN_KEYS], *hidden]


def _difference(trail: "RowTrail", report: "Report", width: int) -> Iterator[str]:
    """Say in which settings a row differs from its baseline."""
    if trail.baseline is None:
        return
    label = report.table.rows.rows[trail.baseline].label
    pairs = _pairs(trail.differs)
    yield ""
    yield from wrap(plain(f"settings that it has for those of {label}:"), width)
    for text in pairs or ["none: its settings are those of its baseline"]:
        yield from wrap(plain(text), width, initial_indent="  ", subsequent_indent="    ")


def _runs(trail: "RowTrail", width: int) -> Iterator[str]:
    """Yield the runs of a row with their attempts, and the seeds that have none."""
    if trail.runs:
        yield ""
        yield "runs:"
    for run in trail.runs:
        text = f"seed {run.run.seed}  {run.run.run_id[:SHOWN_DIGITS]}  {_state(run)}"
        yield from wrap(plain(text), width, initial_indent="  ", subsequent_indent=" " * 10)
        for attempt in run.attempts:
            yield from wrap(
                plain(_attempt(attempt)), width, initial_indent=" " * 10, subsequent_indent=" " * 12
            )
    if trail.missing:
        seeds = ", ".join(str(seed) for seed in trail.missing)
        yield f"  no run yet, though a spec asks for it: seed {seeds}"


def _state(trail: "RunTrail") -> str:
    """Return how a run stands, with its value and what is known of it."""
    run = trail.run
    words = [run.state.lower() if run.outcome in (None, "ok") else str(run.outcome)]
    if trail.value is not None:
        words.append(f"{Style().number(trail.value)} %")
    if trail.value is not None and not trail.counts:
        words.append("no part of n")
    if is_collapsed(run.final):
        words.append("collapsed")
    if trail.reason and trail.reason != "ok":
        words.append(trail.reason)
    if run.excluded is not None:
        words.append(f"left out: {run.excluded}")
    return ", ".join(words)


def _attempt(attempt: Attempt) -> str:
    """Return an attempt's end, place and code."""
    words = [f"attempt {attempt.number} {(attempt.state or 'has not ended').lower()}"]
    if attempt.reason and attempt.reason != "ok":
        words.append(attempt.reason)
    if attempt.is_exact is False:
        words.append("went on from another trainer's or machine's checkpoint (inexact)")
    place = f"{attempt.executor or 'not known how'} on {attempt.host or 'a machine not known'}"
    words.append(f"{place} ({attempt.device or 'device not known'})")
    if attempt.job_id:
        words.append(f"job {attempt.job_id}")
    words.append(_code(attempt))
    if attempt.wall_s is not None:
        words.append(duration(attempt.wall_s))
    return ", ".join(words)


def _code(attempt: Attempt) -> str:
    commit = "commit not known"
    if attempt.commit is not None:
        commit = f"commit {attempt.commit[:SHOWN_DIGITS]}"
    if attempt.is_changed:
        commit += " with changes"
    if attempt.trainer is not None:
        commit += f", trainer {attempt.trainer[:SHOWN_DIGITS]}"
    return commit


def _commands(trail: "RowTrail") -> Iterator[str]:
    """Yield the commands that go on from here, each on a line of its own, to be copied."""
    commands = [*trail.commands]
    if trail.runs:
        commands += trail.runs[0].commands
    if not commands:
        return
    yield ""
    for command in commands:
        of_seed = ""
        if trail.runs and command in trail.runs[0].commands:
            of_seed = f" (seed {trail.runs[0].run.seed})"
        yield f"{command.purpose}{of_seed}:"
        yield plain(f"  {command.text}")
