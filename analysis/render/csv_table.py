"""A table as CSV: a line per row with all numbers as fractions, for a spreadsheet or another
program.
"""

from typing import Any

from analysis.render.csv_cells import as_csv_text
from analysis.tables.build import Line, Table

_COLUMNS = (
    "table setting label published published_pm n mean std half_range ci95_low ci95_high delta "
    "delta_low delta_high p_holm "
    "collapsed trained std_sqrt_d positive_cosine negative_cosine state marks"
)


def as_csv(table: Table) -> str:
    """Return the text."""
    rows = (_cells(line, table) for line in table.lines)
    return as_csv_text(_COLUMNS.split(), rows).rstrip("\n")


def _cells(line: Line, table: Table) -> list[Any]:
    summary, difference = line.summary, line.difference
    setting = table.setting.id if table.setting else ""
    delta = [difference.delta, *(difference.ci95 or (None, None))] if difference else [None] * 3
    signs = [line.final.get(name) for name in ("std_sqrt_d", "positive_cosine", "negative_cosine")]
    return [
        *(table.rows.id, setting, line.row.label, line.row.published.value, line.row.published.pm),
        *(
            summary.n,
            summary.mean,
            summary.std,
            summary.half_range,
            *(summary.ci95 or (None, None)),
        ),
        *(*delta, line.p_holm, *(line.collapsed or (None, None)), *signs),
        *(line.state, "; ".join(line.marks)),
    ]
