"""Prints the list of tables, for `sweep report` without --table."""

from collections.abc import Sequence

from orchestrator.cli.context import Places, collected
from orchestrator.errors import UsageError


def list_tables(
    places: Places, sweeps: Sequence[str], format_: str | None, given: Sequence[str]
) -> None:
    """Print which tables there are, at which settings, and how complete they are.

    Args:
        places: root and database.
        sweeps: use only their runs; all where empty.
        format_: text or json; text where None.
        given: options that are of one table.

    Raises:
        UsageError: an option is of one table, the list has no such format, or no sweep is called so.
    """
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
