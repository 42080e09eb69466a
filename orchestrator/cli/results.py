"""Holds the commands that print or write results: report and export."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.complete import complete_sweeps, complete_tables, listed
from orchestrator.cli.context import Places, collected, near, write_out
from orchestrator.errors import UsageError
from orchestrator.store.root import Root

if TYPE_CHECKING:
    from analysis.tables.build import Table


def report(
    context: typer.Context,
    sweeps: Annotated[
        list[str] | None,
        typer.Argument(
            help="Use only runs of these sweeps; all where left out.",
            autocompletion=complete_sweeps,
        ),
    ] = None,
    table: Annotated[
        str,
        typer.Option(help="Which table, e.g. mlp_norm or norm.", autocompletion=complete_tables),
    ] = "",
    setting: Annotated[
        str | None,
        typer.Option(help="Which setting; else that of the newest sweep which feeds the table."),
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="text, md, csv or json.")] = "text",
    layout: Annotated[
        str, typer.Option(help="rows, or matrix: as the paper prints table norm (text).")
    ] = "rows",
    out: Annotated[Path | None, typer.Option(help="Write there instead of printing.")] = None,
) -> None:
    """Rebuild a paper's table beside the published numbers; text also draws its figure."""
    from analysis.papers.rows import UnknownTableError, load_table, table_ids
    from analysis.render.matrix import NoMatrixError
    from analysis.report import FORMATS, LAYOUTS
    from analysis.report import report as rebuild
    from analysis.results.connect import NoDatabaseError
    from analysis.tables.build import UnknownSettingError, UnknownSweepError

    if not table:
        raise UsageError(f"--table is missing; tables: {', '.join(table_ids())}")
    _check_choice("--format", format_, FORMATS)
    _check_choice("--layout", layout, LAYOUTS)

    # A misspelt table is refused before anything is read.
    places: Places = context.obj
    render = LAYOUTS[layout] if format_ == "text" else FORMATS[format_]
    try:
        load_table(table)
        collected(places)
        built = rebuild(places.db, table, setting, sweeps or ())
        text = render(built)
    except (
        UnknownTableError,
        UnknownSettingError,
        UnknownSweepError,
        NoDatabaseError,
        NoMatrixError,
    ) as error:
        raise UsageError(str(error)) from None

    if out is not None:
        write_out(out, f"{text}\n".encode())
    else:
        print(text)
    if format_ == "text":
        try:
            print(f"figure: {near(_figure(places.root, built, out))}")
        except OSError as error:  # the root of somebody who lets us read
            print(
                f"figure: none, {error.filename} cannot be written: {error.strerror}; "
                "--out FILE puts both elsewhere"
            )


def _check_choice(option: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise UsageError(f"{option} {value!r} does not exist; allowed: {', '.join(allowed)}")


def _figure(root: Root, built: "Table", out: Path | None) -> Path:
    """Draw a table beside `out`, or among the root's reports, which are as open as the root."""
    from analysis.figures.table import draw
    from byol_core.files import make_folder, write_atomic

    if out is not None:
        file = out.with_name(f"{built.rows.id}.png")
        write_out(file, draw(built))
        return file
    file = root.path / "reports" / f"{built.rows.id}.png"
    make_folder(file.parent)
    write_atomic(file, draw(built))
    return file


def export(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="csv, json or parquet.",
            autocompletion=listed("csv", "json", "parquet"),
        ),
    ] = "csv",
) -> None:
    """Write results.db as files: runs, sweeps, attempts, evaluations, and the whole series."""
    from analysis.export.files import FORMATS, ExportError
    from analysis.export.files import export as write
    from analysis.results.connect import NoDatabaseError

    _check_choice("--format", format_, FORMATS)
    places: Places = context.obj
    collected(places)
    try:
        for file in write(places.db, out, format_):
            print(near(file))
    except (ExportError, NoDatabaseError) as error:
        raise UsageError(str(error)) from None
