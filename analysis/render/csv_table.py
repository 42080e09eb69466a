"""Renders a table as CSV, for a spreadsheet or another program.

There is a line per row; accuracies are fractions in [0, 1], as the names of their columns say.
"""

from typing import Any

from analysis.render.csv_cells import as_csv_text
from analysis.tables.build import Line, Table

_COLUMNS = (
    "table",
    "setting",
    "label",
    "published_fraction",
    "published_pm_fraction",
    "n",
    "mean_fraction",
    "std_fraction",
    "half_range_fraction",
    "ci95_low_fraction",
    "ci95_high_fraction",
    "delta_fraction",
    "delta_low_fraction",
    "delta_high_fraction",
    "p_holm",
    "collapsed",
    "trained",
    "std_sqrt_d",
    "positive_cosine",
    "negative_cosine",
    "state",
    "marks",
)


def as_csv(table: Table) -> str:
    """Return the text."""
    rows = (_cells(line, table) for line in table.lines)
    return as_csv_text(_COLUMNS, rows).rstrip("\n")


def _cells(line: Line, table: Table) -> list[Any]:
    """Return a line's cells in the order of `_COLUMNS`; None is an empty cell."""
    setting = None
    if table.setting is not None:
        setting = table.setting.id
    summary = line.summary
    ci95_low, ci95_high = summary.ci95 or (None, None)

    # The differences of a baseline are empty, as are those of a row without a shared seed.
    delta = None
    delta_ci95 = None
    if line.difference is not None:
        delta = line.difference.delta
        delta_ci95 = line.difference.ci95
    delta_low, delta_high = delta_ci95 or (None, None)

    collapsed, trained = line.collapsed or (None, None)
    return [
        table.rows.id,
        setting,
        line.row.label,
        line.row.published.value,
        line.row.published.pm,
        summary.n,
        summary.mean,
        summary.std,
        summary.half_range,
        ci95_low,
        ci95_high,
        delta,
        delta_low,
        delta_high,
        line.p_holm,
        collapsed,
        trained,
        line.final.get("std_sqrt_d"),
        line.final.get("positive_cosine"),
        line.final.get("negative_cosine"),
        line.state,
        "; ".join(line.marks),
    ]
