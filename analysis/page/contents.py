"""Gathers what the page shows, from one reading of a database: an introduction, then the tables."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from analysis.page.figure import FigureView, figure_views
from analysis.page.garbage import collect_new
from analysis.page.summary import (
    ClaimView,
    FailedRun,
    Finding,
    OpenSweep,
    OpenTable,
    Question,
    claim_views,
    failed_runs,
    finding,
    open_sweeps,
    open_table,
    questions,
)
from analysis.page.table_view import TableView, table_view
from analysis.page.trail_view import trail_view
from analysis.papers.printed import Cell as Printed
from analysis.papers.rows import TableRows, load_table, table_ids
from analysis.render.grid import NOTHING, Style
from analysis.render.notes import Title, difference_text, notes, title
from analysis.report import Source, variants_table
from analysis.results.provenance import read_launched, read_provenance
from analysis.tables.tidy import Report
from analysis.trail.follow import trails
from analysis.trail.relaunch import RETRIED

_SHOWN_SETTINGS = 12
_FIRST = ("norm", "norm_variants", "mlp_norm", "tau", "lambda", "target_modes", "init")
"""The tables that the whole is about, in the order in which the page shows them."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
TABLE_FILES = ("table.json", "table.md", "table.csv")
"""A table's own files; its figure stands beside them where it shows something."""


@dataclass(frozen=True)
class OtherSetting:
    """A setting that a table is not shown for: where it comes from, and what tells it apart."""

    id: str
    source: str
    difference: str


@dataclass(frozen=True)
class Section:
    """A table with runs.

    Attributes:
        slug: its name in addresses and folders.
        report: the table.
        title: its name, and where both sides come from.
        view: the table as the page shows it.
        claims: of its paper, judged.
        notes: sentences below.
        others: settings that it is not shown for.
        more_others: how many more there are.
        figures: that it is shown with.
        files: the table's own ones, beside the page.
    """

    slug: str
    report: Report
    title: Title
    view: TableView
    claims: Sequence[ClaimView]
    notes: Sequence[str]
    others: Sequence[OtherSetting]
    more_others: int
    figures: Sequence[FigureView]
    files: Sequence[str]


@dataclass(frozen=True)
class PublishedTable:
    """A table without runs: what its paper prints."""

    name: str
    title: str
    source: str
    setting: str
    can_be_run: bool
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Contents:
    """What the page shows.

    Attributes:
        roots: the folders of the runs.
        questions: what was asked.
        findings: what was found, table by table.
        open_sweeps: sweeps with runs that are not done.
        failed: runs that ended without a result.
        open_tables: tables with rows that are not done.
        tables: that a sweep was made for.
        fitting: tables that runs of other tables' sweeps fit.
        published: tables without runs.
    """

    roots: Sequence[str]
    questions: Sequence[Question]
    findings: Sequence[Finding]
    open_sweeps: Sequence[OpenSweep]
    failed: Sequence[FailedRun]
    open_tables: Sequence[OpenTable]
    tables: Sequence[Section]
    fitting: Sequence[Section]
    published: Sequence[PublishedTable]

    @property
    def claims(self) -> list[ClaimView]:
        """All claims of the tables that a sweep was made for."""
        return [*chain.from_iterable(section.claims for section in self.tables)]


def contents(source: Source) -> Contents:
    """Return what the page shows of a database."""
    launched = read_launched(source.connection)
    states = {run.run_id: run.state for run in source.runs}
    tables: list[Section] = []
    fitting: list[Section] = []
    published: list[PublishedTable] = []
    for section in sections(source, _tables(source)):
        if isinstance(section, PublishedTable):
            published.append(section)
        else:
            setting = section.report.table.setting
            is_wanted = setting is not None and setting.feeds
            (tables if is_wanted else fitting).append(section)
    failed = [run for run in source.runs if run.state in RETRIED]
    reasons = read_provenance(source.connection, failed).reasons
    shown = [section.report for section in tables]
    opened = [open_table(report) for report in shown]
    return Contents(
        roots=sorted({sweep.root for sweep in launched}),
        questions=questions(launched, source.sweeps, states),
        findings=[finding(report) for report in shown],
        open_sweeps=[*open_sweeps(launched, source.sweeps, states)],
        failed=failed_runs(failed, reasons),
        open_tables=[table for table in opened if table is not None],
        tables=tables,
        fitting=fitting,
        published=sorted(published, key=lambda table: not table.can_be_run),
    )


def _tables(source: Source) -> Iterator[TableRows]:
    """Yield the tables of sweeps that feed no paper's, and those of the papers."""
    known = {*table_ids()}
    for sweep in source.sweeps:
        if known.isdisjoint(sweep.tables):
            yield variants_table(sweep)
    for name in sorted(known, key=lambda name: (_place(name), name)):
        yield load_table(name)


def _place(name: str) -> int:
    """Return where a table stands: first those that people look for most."""
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def sections(source: Source, tables: Iterable[TableRows]) -> Iterator[Section | PublishedTable]:
    """Yield each table: with its runs, or as it was printed where it has none."""
    slugs: set[str] = set()
    for rows in tables:
        if rows.is_published_only:
            yield published_table(rows)
            continue
        report = source.report(rows)
        if report.table.setting is None:
            yield published_table(rows)
        else:
            yield section_of(source, report, _slug(rows.id, slugs), Style())
            collect_new()


def section_of(source: Source, report: Report, slug: str, style: Style) -> Section:
    """Return a table with its runs.

    Args:
        source: where it was read.
        report: of the table.
        slug: its name in addresses.
        style: how numbers are written.
    """
    table = report.table
    labels = {line.row.key: line.row.label for line in table.lines}
    views = [
        trail_view(trail, labels, style)
        for trail in trails(source.connection, report, source.sweeps)
    ]
    figures = figure_views(report)
    return Section(
        slug=slug,
        report=report,
        title=title(report),
        view=table_view(report, views, style),
        claims=claim_views(report),
        notes=notes(report, with_other_settings=False),
        others=[*_others(report)],
        more_others=max(0, len(table.others) - _SHOWN_SETTINGS),
        figures=figures,
        files=[*TABLE_FILES, "table.png"] if figures else TABLE_FILES,
    )


def _others(report: Report) -> Iterator[OtherSetting]:
    shown = report.table.setting
    if shown is None:
        return
    for other in islice(report.table.others, _SHOWN_SETTINGS):
        yield OtherSetting(other.id, other.source, difference_text(other, shown))


def published_table(rows: TableRows) -> PublishedTable:
    """Return a table as its paper prints it."""
    printed = rows.printed
    columns = printed.columns if printed is not None else {}
    texts: list[tuple[str, Sequence[str]]] = []
    for row in rows.rows.values():
        cells = [row.published.columns.get(name) for name in columns]
        texts.append((row.label, [_printed(cell) for cell in cells]))
    return PublishedTable(
        name=rows.id,
        title=rows.title,
        source=rows.published_source,
        setting=rows.published_setting,
        can_be_run=not rows.is_published_only,
        columns=[column.metric for column in columns.values()],
        rows=texts,
    )


def _printed(cell: Printed | None) -> str:
    """Return a cell as printed; None where nothing was."""
    return NOTHING if cell is None or cell.text is None else cell.text


def _slug(name: str, known: set[str]) -> str:
    """Return a name as an address and a folder take it, unlike all before."""
    plain_name = _UNSAFE.sub("-", name).strip("-.") or "table"
    slug = plain_name
    number = 2
    while slug in known:
        slug = f"{plain_name}-{number}"
        number += 1
    known.add(slug)
    return slug
