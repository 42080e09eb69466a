"""Holds `sweep runs`."""

import sys
from typing import Annotated

import typer

from orchestrator.cli.complete import complete_sweeps
from orchestrator.cli.console import make_console
from orchestrator.cli.context import collected


def runs(
    context: typer.Context,
    sweep: Annotated[
        str | None,
        typer.Argument(help="A sweep's name; all where left out.", autocompletion=complete_sweeps),
    ] = None,
    conditions: Annotated[
        list[str] | None,
        typer.Option(
            "--where", metavar="KEY=VALUE", help="Only these runs, e.g. state=failed; repeat."
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Sort by this; -COLUMN: from high to low."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B,…", help="Show these; settings and metrics too."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List runs, a line each; find and sort them by what they are.

    Example: sweep runs --where projector.norm=gn --sort -accuracy
    """
    from orchestrator.status import runs_text
    from orchestrator.status.runs_list import Request, list_runs

    names = [name.strip() for name in (columns or "").split(",") if name.strip()]
    request = Request(sweep, conditions or [], sort, names, limit)
    listing = list_runs(collected(context.obj), request)
    if as_json:
        print(runs_text.as_json(listing))
        return
    if not listing.rows:
        print("no runs match" if conditions or sweep else "no runs yet", file=sys.stderr)
        return
    console = make_console()
    for line in runs_text.lines(listing, console.width if console.is_terminal else None):
        print(line)
