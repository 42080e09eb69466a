"""Holds `sweep why`, which follows a cell of a table back to its runs."""

from typing import Annotated

import typer

from orchestrator.cli.complete import complete_rows, complete_shown_tables, complete_sweeps
from orchestrator.cli.console import page_width
from orchestrator.cli.context import Places, collected
from orchestrator.errors import UsageError


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
) -> None:
    """Show where a cell of a table comes from, or why it has no number.

    Runs with seeds, values, attempts and commits; what tells the row from its baseline; the
    published number and its source; the commands that make it again.

    Example: sweep why mlp_norm byol
    """
    from analysis.errors import AnalysisError
    from analysis.report import VARIANTS, definition_of, opened
    from analysis.trail.follow import trail
    from orchestrator.cli.results.why_text import why_lines

    places: Places = context.obj
    if table == VARIANTS and sweep is None:
        raise UsageError(
            f"the table {VARIANTS} is of one sweep: sweep why {VARIANTS} ROW --sweep SWEEP"
        )
    try:
        definition_of(table)
        collected(places)
        with opened(places.db, [sweep] if sweep is not None else []) as source:
            report = source.report(source.definition(table), setting)
            followed = trail(source.connection, report, row)
    except AnalysisError as error:
        raise UsageError(str(error)) from None
    print("\n".join(why_lines(followed, report, page_width())))
