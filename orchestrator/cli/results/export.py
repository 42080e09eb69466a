"""Holds `sweep export`, which writes results.db as files."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.arguments import check_choice
from orchestrator.cli.complete import listed
from orchestrator.cli.context import Places, collected, near
from orchestrator.errors import UsageError


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
    from analysis.errors import AnalysisError
    from analysis.export.files import FORMATS
    from analysis.export.files import export as write

    check_choice("--format", format_, FORMATS)
    places: Places = context.obj
    collected(places)
    try:
        for file in write(places.db, out, format_):
            print(near(file))
    except AnalysisError as error:
        raise UsageError(str(error)) from None
