"""Names the files of the page's folder: the page, and for each table its own in four formats."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from analysis.formats import Layout, render
from analysis.page.contents import Contents, Section, contents, section_of
from analysis.page.document import fill
from analysis.page.garbage import collected_at_ease
from analysis.render.grid import Style
from analysis.report import opened
from analysis.tables.tidy import Report

ManifestOf = Callable[[Report], bytes]
INDEX = PurePosixPath("index.html")


def page_files(
    db: str, sweeps: Sequence[str] = (), manifest_of: ManifestOf | None = None
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the files of a folder that holds a page of all tables, the page first.

    Args:
        db: path or URL.
        sweeps: use only their runs; all where empty.
        manifest_of: makes a table's JSON: which runs and files its numbers are from. Without it the
            JSON is that of `sweep report`.

    Raises:
        UnknownSweepError: no sweep of that name.
        NoDatabaseError: no database there.
    """
    with opened(db, sweeps) as source, collected_at_ease():
        shown = contents(source)
    yield INDEX, as_page(shown)
    for section in [*shown.tables, *shown.fitting]:
        yield from _table_files(section, manifest_of)


def as_page(shown: Contents) -> bytes:
    """Return the page of all tables."""
    return fill("index.html.j2", contents=shown, made=_now())


def as_html(
    db: str, report: Report, sweeps: Sequence[str] = (), style: Style | None = None
) -> bytes:
    """Return a page with one table.

    Args:
        db: where its runs are followed back to their attempts.
        report: of the table.
        sweeps: use only their runs; all where empty.
        style: how numbers are written; in percent where None.
    """
    with opened(db, sweeps) as source:
        section = section_of(source, report, "table", style or Style())
    return fill("table.html.j2", section=section, made=_now())


def _table_files(
    section: Section, manifest_of: ManifestOf | None
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield a table's own files."""
    folder = PurePosixPath(section.slug)
    for name in section.files:
        format_ = name.partition(".")[2]
        if format_ == "json" and manifest_of is not None:
            yield folder / name, manifest_of(section.report)
        else:
            yield folder / name, render(section.report, format_, Layout())


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M")
