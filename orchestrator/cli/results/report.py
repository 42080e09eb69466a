"""Holds `sweep report`, which rebuilds a table from results.db."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.arguments import check_choice
from orchestrator.cli.complete import (
    complete_figures,
    complete_shown_tables,
    complete_sweeps,
    listed,
)
from orchestrator.cli.console import make_console, page_width
from orchestrator.cli.context import Places, collected, near, write_out
from orchestrator.cli.output import check_place, format_for
from orchestrator.cli.results.colours import print_coloured
from orchestrator.cli.results.manifest import manifest_bytes
from orchestrator.cli.results.page import write_page
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
    from analysis.formats import FORMATS, LAYOUTS, Layout
    from analysis.page.garbage import collected_at_ease
    from analysis.render.grid import Style

    places: Places = context.obj
    of_one_table = {
        "--setting": setting is not None,
        "--manifest": manifest is not None,
        "--layout": layout != "rows",
        "--figure": figure is not None,
        "--protocol": protocol is not None,
        "--network": network is not None,
        "--unit": unit != "percent",
        "--digits": digits is not None,
        "--per-seed": per_seed,
        "--relative": relative,
        "--wide": wide,
        "--strict": strict,
    }
    if all_:
        given = {"--table": bool(table), "--format": format_ is not None, **of_one_table}
        _refuse_beside_all([*filter(given.get, given)])
        return write_page(places, sweeps or [], out)
    if not table:
        given = {"--out": out is not None, **of_one_table}
        return _list_tables(places, sweeps or [], format_, [*filter(given.get, given)])

    # What is misspelt is refused before anything is read.
    chosen = format_for(out, format_, (*FORMATS, "html"), "text")
    check_choice("--layout", layout, LAYOUTS)
    check_choice("--unit", unit, ("percent", "fraction"))
    if unit == "fraction" and digits is not None and digits < 2:
        raise UsageError(f"--digits {digits} of a fraction hides what seeds differ in; use 2 to 6")
    _check_format(table, chosen, layout, out)
    of_style = ("--unit", "--digits", "--per-seed", "--relative", "--wide")
    _check_style(chosen, layout, [*filter(of_one_table.get, of_style)])
    if figure is not None:
        _check_figure(table, chosen, figure)
    _check_judge(protocol, network)
    if manifest is not None:
        check_place("--manifest", manifest)

    style = Style(unit, digits, per_seed, relative)
    page = Layout(
        style, layout, None if wide else page_width(to_file=out is not None), figure or "rows"
    )
    judge = {"protocol": protocol, "network": network}
    given_of_runs = [
        *filter({**of_one_table, "--wide": False, "--layout": False}.get, of_one_table)
    ]
    with collected_at_ease():
        built, content = _built(
            places, table, setting, sweeps or [], judge, chosen, page, given_of_runs
        )
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
    setting: str | None,
    sweeps: Sequence[str],
    judge: Mapping[str, str | None],
    format_: str,
    page: "Layout",
    given: Sequence[str],
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
            _refuse_of_published(table, given)
        if rows is not None and rows.is_published_only and format_ != "html":
            built = published_report(rows)
            return built, render(built, format_, page)
        collected(places)
        built = rebuild(places.db, table, setting, sweeps, **judge)
        if format_ == "html":
            return built, as_html(places.db, built, sweeps, page.style)
        return built, render(built, format_, page)
    except AnalysisError as error:
        raise UsageError(str(error)) from None


def _check_format(table: str, chosen: str, layout: str, out: Path | None) -> None:
    """Refuse options that do not go together."""
    from analysis.figures.files import FIGURE_FORMATS
    from analysis.formats import IN_LAYOUTS

    if layout != "rows" and chosen not in IN_LAYOUTS:
        allowed = " and ".join(IN_LAYOUTS)
        raise UsageError(f"--layout {layout} is for {allowed}; leave it out for {chosen}")
    if chosen in FIGURE_FORMATS and out is None:
        raise UsageError(f"--format {chosen} is a picture; name its file: --out {table}.{chosen}")


def _check_style(chosen: str, layout: str, given: Sequence[str]) -> None:
    """Refuse options of how numbers are written where they would change nothing."""
    from analysis.figures.files import FIGURE_FORMATS
    from analysis.formats import STYLES_OF_MATRIX

    if given and chosen in FIGURE_FORMATS:
        raise UsageError(
            f"{given[0]} is for tables of text; a figure shows percent and points: leave it out"
        )
    unused = [option for option in given if option not in STYLES_OF_MATRIX]
    if unused and layout == "matrix":
        raise UsageError(
            f"{unused[0]} is for --layout rows; a matrix has no column for it: leave one out"
        )


def _check_figure(table: str, chosen: str, figure: str) -> None:
    """Refuse a kind of figure that there is not, and one that is asked for in text."""
    from analysis.figures.files import FIGURE_FORMATS
    from analysis.papers.table_rows import FIGURES

    check_choice("--figure", figure, FIGURES)
    if chosen not in FIGURE_FORMATS:
        raise UsageError(
            f"--figure {figure} is a picture; name its file: --out {Path(table).stem}-{figure}.png"
        )


def _check_judge(protocol: str | None, network: str | None) -> None:
    from byol_core.config import PROTOCOLS

    if protocol is not None:
        check_choice("--protocol", protocol, PROTOCOLS)
    if network is not None:
        check_choice("--network", network, ("online", "target"))


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


def _refuse_of_published(table: str, given: Sequence[str]) -> None:
    """Refuse options that choose or judge runs, for a table that has none."""
    if given:
        raise UsageError(
            f"{given[0]} is for tables of runs; {table} is shown as it is published, and has none"
        )


def _refuse_beside_all(given: Sequence[str]) -> None:
    """Refuse options of one table beside --all, which writes every table as it is."""
    if given:
        raise UsageError(f"{given[0]} is for one table, and --all writes every one; leave one out")


def _list_tables(
    places: Places, sweeps: Sequence[str], format_: str | None, given: Sequence[str]
) -> None:
    """Print which tables there are, at which settings, and how complete they are."""
    from analysis.errors import AnalysisError
    from analysis.papers.rows import table_ids
    from analysis.render.overview import overview_json, overview_text
    from analysis.report import overview

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
    except AnalysisError as error:
        tables = [name for name in sweeps if name in table_ids()]
        hint = f"; for the table: sweep report --table {tables[0]}" if tables else ""
        raise UsageError(f"{error}{hint}") from None


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
    from analysis.figures.table import draw
    from byol_core.files import make_folder, write_atomic

    words = [built.table.rows.id]
    if built.table.setting is not None:
        words.append(built.table.setting.id)
    if built.table.rows.network != "online":
        words.append(built.table.rows.network)
    name = f"{'-'.join(words)}.png"
    if out is not None:
        file = out.with_name(name)
        write_out(file, draw(built))
        return file
    file = root.path / "reports" / name
    make_folder(file.parent)
    write_atomic(file, draw(built))
    return file
