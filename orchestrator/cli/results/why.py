"""Holds `sweep why`, which follows a cell of a table back to its runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.complete import complete_rows, complete_shown_tables, complete_sweeps
from orchestrator.cli.console import page_width
from orchestrator.cli.context import Places, collected
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from analysis.tables.tidy import Report
    from analysis.trail.follow import RowTrail


def why(
    context: typer.Context,
    table: Annotated[
        str,
        typer.Argument(
            help="A table as `sweep report --table` takes it.", autocompletion=complete_shown_tables
        ),
    ],
    row: Annotated[
        str,
        typer.Argument(help="A row: its label, or its key.", autocompletion=complete_rows),
    ],
    setting: Annotated[
        str | None,
        typer.Option(help="Which setting; else that of the newest sweep which feeds the table."),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(help="Use only runs of this sweep.", autocompletion=complete_sweeps),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show where a cell of a table comes from, or why it has no number.

    Runs with seeds, values, attempts and commits; what tells the row from its baseline; the
    published number and its source; the commands that make it again.

    Example: sweep why mlp_norm byol
    """
    from analysis.errors import AnalysisError
    from analysis.report import VARIANTS, definition_of, opened, published_report
    from analysis.trail.follow import published_trail, trail

    places: Places = context.obj
    if table == VARIANTS and sweep is None:
        raise UsageError(
            f"the table {VARIANTS} is of one sweep: sweep why {VARIANTS} ROW --sweep SWEEP"
        )
    try:
        rows = definition_of(table)
        if rows is not None and rows.is_published_only:
            _refuse_of_published(table, setting, sweep)
            report = published_report(rows)
            _show(published_trail(report, row), report, as_json=as_json)
            return
        collected(places)
        with opened(places.db, [sweep] if sweep is not None else []) as source:
            report = source.report(source.definition(table), setting)
            followed = trail(source.connection, report, row)
    except AnalysisError as error:
        raise UsageError(str(error)) from None
    _show(followed, report, as_json=as_json)


def _show(followed: "RowTrail", report: "Report", *, as_json: bool) -> None:
    """Print where a row comes from, for people or for programs."""
    from analysis.trail.json_trail import as_json as json_text
    from orchestrator.cli.results.why_text import why_lines

    if as_json:
        print(json_text(followed, report))
    else:
        print("\n".join(why_lines(followed, report, page_width())))


def _refuse_of_published(table: str, setting: str | None, sweep: str | None) -> None:
    """Refuse options that choose runs, for a table that has none."""
    for option, value in (("--setting", setting), ("--sweep", sweep)):
        if value is not None:
            raise UsageError(
                f"{option} is for tables of runs; {table} is shown as it is published, and has none"
            )
