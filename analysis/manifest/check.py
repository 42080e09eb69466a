"""Derives the numbers of a manifest again, and names what differs.

A database of exactly the manifest's runs, made from their files, takes the place of results.db: what
that says is not believed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from analysis.manifest.contents import Manifest, RowEntry, RunEntry
from analysis.manifest.write import FilesOf, row_entries, run_entries
from analysis.papers.printed import Published
from analysis.papers.rows import TableRow, TableRows
from analysis.results.runs import Run, read_runs, with_results
from analysis.tables.build import Table, rounding_of
from analysis.tables.compare import compare
from analysis.tables.line import Line, line_of
from analysis.tables.settings import Setting
from analysis.tables.tidy import tidy

_EQUAL = 1e-9
"""Numbers that differ by less, in parts of them, are equal: libraries differ in the last digit."""
_NUMBERS = (
    "n",
    "mean",
    "std",
    "half_range",
    "ci95",
    "baseline",
    "delta",
    "delta_ci95",
    "n_pairs",
    "p_holm",
    "collapsed",
)
_RUN_FACTS = (
    "seed",
    "state",
    "value",
    "excluded",
    "attempt",
    "commit",
    "snapshot",
    "trainer",
    "semantics",
    "data",
)
_SHOWN_DIGITS = 10
_MISSING = "its folder is missing or damaged"
_ANOTHER_ROW = "its run.json has other settings, which are not those of this row"


@dataclass(frozen=True)
class RowCheck:
    """What became of a row.

    Attributes:
        key: of the row.
        label: of the row.
        n: as the manifest says.
        numbers: those that differ, a text each.
        runs: those that are missing or differ, a text each.
    """

    key: str
    label: str
    n: int
    numbers: Sequence[str]
    runs: Sequence[str]

    @property
    def is_same(self) -> bool:
        """Tell whether nothing differs."""
        return not self.numbers and not self.runs


def check(connection: Connection, manifest: Manifest, files_of: FilesOf) -> list[RowCheck]:
    """Derive the numbers of a manifest again.

    Args:
        connection: to a database of the manifest's runs, made from their files.
        manifest: what was written.
        files_of: reads the digests of a run's files.

    Returns:
        A check for each row, in their order.
    """
    known = {run.run_id: run for run in read_runs(connection)}
    table = _table(connection, manifest, known)
    report = tidy(table)
    rows = {row.key: row for row in row_entries(report)}
    written = {run.run_id: run for run in manifest.runs}

    # The files of the attempt that counted then: it is damaged now, or another counts.
    def same_files(root: str, run_id: str, _: int) -> Mapping[str, str]:
        return files_of(root, run_id, written[run_id].attempt)

    runs = {run.run_id: run for run in run_entries(connection, report, same_files)}

    checks: list[RowCheck] = []
    for row in manifest.rows:
        remarks: list[str] = []
        for run_id in row.runs:
            name = f"run {run_id[:_SHOWN_DIGITS]} seed {written[run_id].seed}"
            if run_id in runs:
                texts = _run_remarks(written[run_id], runs[run_id])
            else:
                texts = iter([_ANOTHER_ROW if run_id in known else _MISSING])
            remarks += [f"{name}: {text}" for text in texts]
        numbers = [*_differing(row, rows[row.key], _NUMBERS)]
        checks.append(RowCheck(row.key, row.label, row.n, numbers, remarks))
    return checks


def _table(connection: Connection, manifest: Manifest, by_id: Mapping[str, Run]) -> Table:
    """Build the table of exactly the runs that the manifest names, each in its own row."""
    rows = _rows(manifest)
    members: dict[str, list[Run]] = {}
    for entry in manifest.rows:
        row = rows.rows[entry.key]
        known = [by_id[run_id] for run_id in entry.runs if run_id in by_id]
        fitting = [run for run in known if row.holds(run.config)]
        members[entry.key] = with_results(connection, fitting)

    # Without runs, nothing is compared.
    if manifest.setting is None:
        return Table(rows, None, [], [line_of(rows, row, [], 1) for row in rows.rows.values()])

    version = manifest.setting.protocol_version
    rounding = rounding_of(members.values())
    lines: dict[str, Line] = {}
    for key, row in rows.rows.items():
        lines[key] = line_of(rows, row, members[key], version, rounding=rounding)
    setting = Setting({}, {}, [], version)
    return Table(rows, setting, [], compare(rows, lines, rounding), rounding)


def _rows(manifest: Manifest) -> TableRows:
    """Return the table as it was defined when the manifest was written."""
    table = manifest.table
    rows: dict[str, TableRow] = {}
    for row in manifest.rows:
        rows[row.key] = TableRow(
            key=row.key,
            label=row.label,
            match=row.match,
            companions=tuple(row.companions),
            published=Published(),
            not_run=row.not_run,
        )
    return TableRows(
        id=table.id,
        title=table.title,
        protocol=table.protocol,
        network=table.network,
        metric=table.metric,
        axes=tuple(table.axes),
        baselines=tuple(table.baselines),
        rows=rows,
    )


def _run_remarks(written: RunEntry, now: RunEntry) -> Iterator[str]:
    """Say what is not as it was with a run."""
    for file in sorted(written.files.keys() | now.files.keys()):
        if file not in now.files:
            yield f"{file} is missing"
        elif file not in written.files:
            yield f"{file} is new"
        elif written.files[file] != now.files[file]:
            yield f"{file} has another sha256"
    yield from _differing(written, now, _RUN_FACTS)


def _differing(
    written: RowEntry | RunEntry, now: RowEntry | RunEntry, names: Sequence[str]
) -> Iterator[str]:
    for name in names:
        before = getattr(written, name)
        after = getattr(now, name)
        if not _is_equal(before, after):
            yield f"{name} {_text(before)} in the manifest, {_text(after)} by the files"


def _is_equal(value: Any, other: Any) -> bool:
    """Tell whether two values are the same, but for the last digits of a fraction."""
    if isinstance(value, tuple) and isinstance(other, tuple):
        return all(_is_equal(*pair) for pair in zip(value, other, strict=True))
    if isinstance(value, float) and isinstance(other, float):
        return math.isclose(value, other, rel_tol=_EQUAL, abs_tol=1e-12)
    return bool(value == other)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and len(value) > _SHOWN_DIGITS:
        return value[:_SHOWN_DIGITS]
    return "none" if value is None else str(value)
