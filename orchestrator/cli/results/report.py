"""Holds `sweep report`, which rebuilds a table from results.db."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.complete import (
    complete_figures,
    complete_shown_tables,
    complete_sweeps,
    listed,
)
from orchestrator.cli.console import make_console, page_width
from orchestrator.cli.context import Places, collected, near, write_out
from orchestrator.cli.output import format_for
from orchestrator.cli.results.colours import print_coloured
from orchestrator.cli.results.manifest import manifest_bytes
from orchestrator.cli.results.page import write_page
from orchestrator.cli.results.report_options import (
    TableOptions,
    check_options,
    refuse_beside_all,
    refuse_of_published,
)
from orchestrator.cli.results.tables_list import list_tables
from orchestrator.errors import SweepError, UsageError
from orchestrator.store.root import Root

if TYPE_CHECKING:
    from analysis.formats import Layout
    from analysis.tables.tidy import Report


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
        typer.Option(
            help="Which table, e.g. mlp_norm or norm; variants: all of one sweep's; or a YAML file.",
            autocompletion=complete_shown_tables,
        ),
    ] = "",
    setting: Annotated[
        str | None,
        typer.Option(help="Which setting; else that of the newest sweep which feeds the table."),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="text, md, html, latex, csv, json, png, svg or pdf; else as --out ends, else text.",
            autocompletion=listed(
                "text", "md", "html", "latex", "csv", "json", "png", "svg", "pdf"
            ),
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="rows, or matrix: as the paper prints table norm.",
            autocompletion=listed("rows", "matrix"),
        ),
    ] = "rows",
    figure: Annotated[
        str | None,
        typer.Option(
            help="Which picture --out holds: rows (default), drop, axis, heat_map, cosines, …",
            autocompletion=complete_figures,
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="Judge runs by probe or knn; else as the table says."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="Judge the online or the target encoder.")
    ] = None,
    unit: Annotated[
        str, typer.Option(help="percent or fraction.", autocompletion=listed("percent", "fraction"))
    ] = "percent",
    digits: Annotated[
        int | None, typer.Option(min=0, max=6, help="Digits behind the point.")
    ] = None,
    per_seed: Annotated[bool, typer.Option("--per-seed", help="Show each seed's value.")] = False,
    relative: Annotated[
        bool, typer.Option("--relative", help="Show differences as a part of the baseline.")
    ] = False,
    wide: Annotated[
        bool, typer.Option("--wide", help="Show all columns, however narrow the terminal.")
    ] = False,
    all_: Annotated[
        bool, typer.Option("--all", help="Write a page with every table into the folder --out.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 unless every row is done and unmarked.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write there instead of printing, as its ending says.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="Write there which runs and files the numbers are from (JSON)."),
    ] = None,
) -> None:
    """Rebuild a paper's table beside the published numbers; text also draws its figure.

    Without --table: which tables there are, at which settings, and how complete.

    Example: sweep report --table mlp_norm --out mlp_norm.pdf
    """
    from analysis.formats import FORMATS, Layout
    from analysis.page.garbage import collected_at_ease
    from analysis.render.grid import Style

    places: Places = context.obj
    options = TableOptions(
        setting=setting,
        manifest=manifest,
        layout=layout,
        figure=figure,
        protocol=protocol,
        network=network,
        unit=unit,
        digits=digits,
        per_seed=per_seed,
        relative=relative,
        wide=wide,
        strict=strict,
    )

    # Without the name of a table, the command is about all of them.
    if all_:
        own = {"--table": bool(table), "--format": format_ is not None}
        refuse_beside_all([*filter(own.get, own), *options.given()])
        return write_page(places, sweeps or [], out)
    if not table:
        own = {"--out": out is not None}
        return list_tables(places, sweeps or [], format_, [*filter(own.get, own), *options.given()])

    # What is misspelt is refused before anything is read.
    chosen = format_for(out, format_, (*FORMATS, "html"), "text")
    check_options(options, table, chosen, out)

    style = Style(unit, digits, per_seed, relative)
    width = None if wide else page_width(to_file=out is not None)
    page = Layout(style, layout, width, figure or "rows")
    with collected_at_ease():
        built, content = _built(places, table, sweeps or [], options, chosen, page)
    if out is None and chosen == "text":
        print_coloured(content.decode(), make_console())
    elif out is None:
        print(content.decode(), end="")
    else:
        write_out(out, content)
        print(f"wrote {near(out)}")
    if chosen == "text" and not built.table.rows.is_published_only:
        _add_figure(places.root, built, out)
    if manifest is not None:
        write_out(manifest, manifest_bytes(places, built))
        print(f"manifest: {near(manifest)}; check it with: sweep verify {near(manifest)}")
    if strict:
        _check_strict(built)


def _built(
    places: Places,
    table: str,
    sweeps: Sequence[str],
    options: TableOptions,
    format_: str,
    page: "Layout",
) -> tuple["Report", bytes]:
    """Return a table, and the content of its file; every error names what was asked for."""
    from analysis.errors import AnalysisError
    from analysis.formats import render
    from analysis.page.files import as_html
    from analysis.report import definition_of, published_report
    from analysis.report import report as rebuild
    from byol_core.config.resolve import keys

    try:
        rows = definition_of(table, keys())
        if rows is not None and rows.is_published_only:
            refuse_of_published(table, options.of_runs())
        if rows is not None and rows.is_published_only and format_ != "html":
            built = published_report(rows)
            return built, render(built, format_, page)
        collected(places)
        judge = {"protocol": options.protocol, "network": options.network}
        built = rebuild(places.db, table, options.setting, sweeps, **judge)
        if format_ == "html":
            return built, as_html(places.db, built, sweeps, page.style)
        return built, render(built, format_, page)
    except AnalysisError as error:
        raise UsageError(str(error)) from None


def _check_strict(built: "Report") -> None:
    """Raise unless every row of a table is done and without a mark."""
    main = built.main[built.main["state"] != "not run"]
    failing = main[~main["state"].str.startswith("done") | (main["codes"].map(len) > 0)]
    if failing.empty:
        return
    rows = [
        f"{line.label} ({'; '.join([line.state, *line.marks])})" for line in failing.itertuples()
    ]
    raise SweepError(
        f"--strict: {len(failing)} of {len(main)} rows of {built.table.rows.id} are not done and "
        f"unmarked: {'; '.join(rows)}"
    )


def _add_figure(root: Root, built: "Report", out: Path | None) -> None:
    """Draw the figure of a table that was printed, and say where it is."""
    try:
        print(f"figure: {near(_figure(root, built, out))}")
    except OSError as error:  # the root of somebody who lets us read
        print(
            f"figure: none, {error.filename} cannot be written: {error.strerror}; "
            "--out FILE puts both elsewhere"
        )


def _figure(root: Root, built: "Report", out: Path | None) -> Path:
    """Draw a table beside `out`, or among the root's reports, which are as open as the root.

    Its name carries the setting, so that two settings have two figures.
    """
    from analysis.figures import table
    from analysis.figures.page import drawn
    from byol_core.files import make_folder, write_atomic

    words = [built.table.rows.id]
    if built.table.setting is not None:
        words.append(built.table.setting.id)
    if built.table.rows.network != "online":
        words.append(built.table.rows.network)
    name = f"{'-'.join(words)}.png"
    if out is not None:
        file = out.with_name(name)
        write_out(file, drawn(table.figure, built, "png"))
        return file
    file = root.path / "reports" / name
    make_folder(file.parent)
    write_atomic(file, drawn(table.figure, built, "png"))
    return file
