"""A table as plain text for a terminal: percent, aligned columns, and notes that say what each
column is.
"""

import textwrap
from collections.abc import Sequence

from analysis.render.cells import cells, header
from analysis.tables.build import Table
from analysis.tables.collapse import COLLAPSED_BELOW

_WIDTH = 110


def as_text(table: Table) -> str:
    """Return the whole text."""
    parts = [
        *title(table),
        "",
        *_grid(header(table), [cells(line, table) for line in table.lines]),
        "",
        *notes(table),
    ]
    return "\n".join(line.rstrip() for line in parts)


def title(table: Table) -> list[str]:
    """Return the lines above a table: its name, and where both sides come from."""
    rows = table.rows
    if table.setting is None:
        ours = f"no runs yet: start some with `sweep launch SPEC --table {rows.id}`"
    else:
        ids = ", ".join(one.id for one in table.others[:5])
        others = f"; others with --setting: {ids}" if table.others else ""
        ours = (
            f"{table.setting.summary_text()} ({table.setting.sweep}, {table.when}, setting "
            f"{table.setting.id}{others})"
        )
    return [
        f"{rows.id}: {rows.title}",
        f"  published  {rows.published_setting}: {rows.published_source}",
        f"  ours       {ours}",
    ]


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    text_columns = {0, len(header) - 1}

    def aligned(row: Sequence[str]) -> str:
        cells = zip(row, widths, strict=True)
        return "  ".join(
            c.ljust(w) if i in text_columns else c.rjust(w) for i, (c, w) in enumerate(cells)
        )

    return [
        aligned(header),
        aligned(["─" * width for width in widths]),
        *(aligned(row) for row in rows),
    ]


def notes(table: Table) -> list[str]:
    """Return the lines below a table: what each column is, and what a reader must know."""
    rows = table.rows
    baselines = ", ".join(rows.rows[key].label for key in rows.baselines)
    found = [
        f"ours: {rows.protocol} accuracy of the {rows.network} encoder in percent, mean over n seeds "
        "± half its 95% t-interval.",
        f"vs baseline: mean difference in points, seed by seed, from its method's baseline ({baselines}), "
        "with its 95% t-interval; p by Holm over the table.",
        "collapsed: runs whose std·√d (spread of the online projections, 1 = even, 0 = a point) is below "
        f"{COLLAPSED_BELOW}. cos: online against target projections, same image / different images.",
    ]
    if table.setting is not None and (unlike := rows.unlike_published(table.setting.values)):
        named = ", ".join(f"{key} {ours} for {theirs}" for key, (ours, theirs) in unlike.items())
        found.append(
            f"published and ours differ ({named}): compare the order of the rows, not the numbers."
        )
    if any(
        not line.row.published.cosines_printed and line.row.published.positive_cosine
        for line in table.lines
    ):
        found.append("≈: measured on a published figure, error about 0.01.")
    found += _own_settings(table)
    found += [f"{label}: {note}." for label, note in rows.notes.items()]
    absent = [line.row.label for line in table.lines if line.state == "absent"]
    if absent and table.setting is not None:
        count = f"{len(absent)} of {len(table.lines)} rows"
        found.append(
            f"absent: no run of this setting for {count}; `sweep launch SPEC --table {rows.id}` starts a spec's."
        )
    return [line for note in found for line in textwrap.wrap(note, _WIDTH, subsequent_indent="  ")]


def _own_settings(table: Table) -> list[str]:
    """Say which rows ran at a value of their own in a companion key."""
    rows_at: dict[str, list[str]] = {}
    for line in table.lines:
        if line.own:
            rows_at.setdefault(
                ", ".join(f"{key} {value}" for key, value in line.own.items()), []
            ).append(line.row.label)
    return [f"at {values}: {', '.join(labels)}." for values, labels in rows_at.items()]
