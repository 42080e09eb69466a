"""Holds the commands that print or write results: report and export."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.complete import complete_sweeps, complete_tables, listed
from orchestrator.cli.context import Places, collected, near, write_out
from orchestrator.cli.output import format_for
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
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="text, md, csv, json, png, svg or pdf; else as --out ends, else text.",
            autocompletion=listed("text", "md", "csv", "json", "png", "svg", "pdf"),
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="rows, or matrix: as the paper prints table norm (text).",
            autocompletion=listed("rows", "matrix"),
        ),
    ] = "rows",
    out: Annotated[
        Path | None, typer.Option(help="Write there instead of printing, as its ending says.")
    ] = None,
) -> None:
    """Rebuild a paper's table beside the published numbers; text also draws its figure.

    Without --table: which tables there are, at which settings, and how complete.

    Example: sweep report --table mlp_norm --out mlp_norm.pdf
    """
    from analysis.papers.rows import UnknownTableError, load_table
    from analysis.render.matrix import NoMatrixError
    from analysis.report import report as rebuild
    from analysis.results.connect import NoDatabaseError
    from analysis.tables.build import UnknownSettingError, UnknownSweepError

    places: Places = context.obj
    if not table:
        given = {"--setting": setting, "--out": out, "--layout": layout != "rows"}
        return _list_tables(places, sweeps or [], format_, [*filter(given.get, given)])

    # What is misspelt is refused before anything is read.
    chosen = _chosen_format(table, out, format_, layout)
    try:
        load_table(table)
        collected(places)
        built = rebuild(places.db, table, setting, sweeps or ())
        content = _content(built, chosen, layout)
    except (
        UnknownTableError,
        UnknownSettingError,
        UnknownSweepError,
        NoDatabaseError,
        NoMatrixError,
    ) as error:
        raise UsageError(str(error)) from None

    if out is None:
        print(content.decode(), end="")
    else:
        write_out(out, content)
        print(f"wrote {near(out)}")
    if chosen == "text":
        _add_figure(places.root, built, out)


def _chosen_format(table: str, out: Path | None, format_: str | None, layout: str) -> str:
    """Return the format of a table; refuse options that do not go together."""
    from analysis.figures.files import FIGURE_FORMATS
    from analysis.report import FORMATS, LAYOUTS

    chosen = format_for(out, format_, [*FORMATS, *FIGURE_FORMATS], "text")
    _check_choice("--layout", layout, LAYOUTS)
    if layout != "rows" and chosen != "text":
        raise UsageError(f"--layout {layout} is for text; leave it out for {chosen}")
    if chosen in FIGURE_FORMATS and out is None:
        raise UsageError(f"--format {chosen} is a picture; name its file: --out {table}.{chosen}")
    return chosen


def _content(built: "Table", format_: str, layout: str) -> bytes:
    """Return a table as the content of a file."""
    from analysis.report import FORMATS, LAYOUTS

    if format_ == "text":
        return f"{LAYOUTS[layout](built)}\n".encode()
    if format_ in FORMATS:
        return f"{FORMATS[format_](built)}\n".encode()
    return _draw(built, format_)


def _list_tables(
    places: Places, sweeps: Sequence[str], format_: str | None, given: Sequence[str]
) -> None:
    """Print which tables there are, at which settings, and how complete they are."""
    from analysis.papers.rows import table_ids
    from analysis.render.overview import overview_json, overview_text
    from analysis.report import overview
    from analysis.tables.build import UnknownSweepError

    if given:
        raise UsageError(f"{given[0]} needs --table NAME; `sweep report` alone lists the tables")
    renderers = {"text": overview_text, "json": overview_json}
    format_ = format_ or "text"
    if format_ not in renderers:
        raise UsageError(
            f"--format {format_} needs --table NAME; the list of tables is text or json"
        )

    # A table's name is often typed where a sweep's belongs.
    collected(places)
    try:
        print(renderers[format_](overview(places.db, sweeps)))
    except UnknownSweepError as error:
        tables = [name for name in sweeps if name in table_ids()]
        hint = f"; for the table: sweep report --table {tables[0]}" if tables else ""
        raise UsageError(f"{error}{hint}") from None


def _add_figure(root: Root, built: "Table", out: Path | None) -> None:
    """Draw the figure of a table that was printed, and say where it is."""
    try:
        print(f"figure: {near(_figure(root, built, out))}")
    except OSError as error:  # the root of somebody who lets us read
        print(
            f"figure: none, {error.filename} cannot be written: {error.strerror}; "
            "--out FILE puts both elsewhere"
        )


def _check_choice(option: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise UsageError(f"{option} {value!r} does not exist; allowed: {', '.join(allowed)}")


def _figure(root: Root, built: "Table", out: Path | None) -> Path:
    """Draw a table beside `out`, or among the root's reports, which are as open as the root.

    Its name carries the setting, so that two settings have two figures.
    """
    from byol_core.files import make_folder, write_atomic

    words = [built.rows.id]
    if built.setting is not None:
        words.append(built.setting.id)
    name = f"{'-'.join(words)}.png"
    if out is not None:
        file = out.with_name(name)
        write_out(file, _draw(built))
        return file
    file = root.path / "reports" / name
    make_folder(file.parent)
    write_atomic(file, _draw(built))
    return file


def _draw(built: "Table", format_: str = "png") -> bytes:
    """Return a table's figure as the content of a file; loads matplotlib."""
    from analysis.figures.table import draw

    return draw(built, format_)


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
