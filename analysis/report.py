"""Rebuilds a table from results.db and names the formats that `sweep report` prints it in."""

from collections.abc import Sequence
from functools import partial

from analysis.papers.rows import load_table, table_ids
from analysis.render.csv_table import as_csv
from analysis.render.json_table import as_json
from analysis.render.markdown import as_markdown
from analysis.render.matrix import as_matrix
from analysis.render.text import as_text
from analysis.results.connect import reading
from analysis.results.runs import Run, read_runs, with_results
from analysis.tables.build import Table, build, runs_of
from analysis.tables.completeness import TableOverview, table_overview

FORMATS = {"text": as_text, "md": as_markdown, "csv": as_csv, "json": as_json}
LAYOUTS = {"rows": as_text, "matrix": as_matrix}


def report(db: str, name: str, setting: str | None = None, sweeps: Sequence[str] = ()) -> Table:
    """Rebuild a table from a database.

    Raises:
        UnknownTableError: no table of that name.
        UnknownSettingError: no setting of that name.
        UnknownSweepError: no sweep of that name.
        NoDatabaseError: no database there.
    """
    rows = load_table(name)
    with reading(db) as connection:
        runs = read_runs(connection)
        return build(rows, runs, partial(with_results, connection), setting, sweeps)


def overview(db: str, sweeps: Sequence[str] = ()) -> list[TableOverview]:
    """Return every table with its settings, and how complete they are.

    Args:
        db: path or URL.
        sweeps: count only runs that these sweeps ask for; all where empty.

    Raises:
        UnknownSweepError: no sweep of that name.
        NoDatabaseError: no database there.
    """
    with reading(db) as connection:
        runs: Sequence[Run] = read_runs(connection)
    if sweeps:
        runs = runs_of(sweeps, runs)
    return [table_overview(load_table(name), runs) for name in table_ids()]
