"""A table as plain text for a terminal: percent, aligned columns, and notes that say what each column is."""

import textwrap
from collections.abc import Sequence

from analysis.collapse import COLLAPSED_BELOW
from analysis.rows import Published
from analysis.stats import Difference, Summary
from analysis.table import Line, Table

_NOTHING = "–"
_WIDTH = 110


def as_text(table: Table) -> str:
    """Return the whole text."""
    parts = [*_title(table), "", *_grid(_header(table), [_cells(line, table) for line in table.lines]), "", *_notes(table)]
    return "\n".join(line.rstrip() for line in parts)


def _title(table: Table) -> list[str]:
    rows = table.rows
    if table.setting is None:
        ours = f"no runs yet: start some with `sweep launch SPEC --table {rows.id}`"
    else:
        others = f"; {len(table.others)} other settings, see --setting" if table.others else ""
        ours = f"{table.setting.describe()} ({table.setting.sweep}, {table.when}, setting {table.setting.id}{others})"
    return [
        f"{rows.id}: {rows.title}",
        f"  published  {rows.published_setting}: {rows.published_source}",
        f"  ours       {ours}",
    ]


def _header(table: Table) -> list[str]:
    header = ["row", "published", "ours", "vs baseline", "p", "n", "collapsed", "std·√d", "cos + / −"]
    return [*header, *(["published"] if _has_cosines(table) else []), "state"]


def _cells(line: Line, table: Table) -> list[str]:
    cells = [
        line.row.label,
        _percent(line.row.published.value),
        _mean(line.summary),
        _delta(line, table),
        _p(line.p_holm),
        str(line.summary.n) if line.summary.n else _NOTHING,
        f"{line.collapsed[0]}/{line.collapsed[1]}" if line.collapsed else _NOTHING,
        _number(line.final.get("std_sqrt_d"), 2),
        _pair(line.final.get("positive_cosine"), line.final.get("negative_cosine")),
    ]
    cosines = [_published_pair(line.row.published)] if _has_cosines(table) else []
    return [*cells, *cosines, "; ".join([line.state, *line.marks])]


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    text_columns = {0, len(header) - 1}

    def aligned(row: Sequence[str]) -> str:
        cells = zip(row, widths, strict=True)
        return "  ".join(c.ljust(w) if i in text_columns else c.rjust(w) for i, (c, w) in enumerate(cells))

    return [aligned(header), aligned(["─" * width for width in widths]), *(aligned(row) for row in rows)]


def _notes(table: Table) -> list[str]:
    rows = table.rows
    baselines = ", ".join(rows.rows[key].label for key in rows.baselines)
    notes = [
        f"ours: {rows.protocol} accuracy of the {rows.network} encoder in percent, mean over n seeds "
        "± half its 95% t-interval.",
        f"vs baseline: mean difference in points, seed by seed, from its method's baseline ({baselines}), "
        "with its 95% t-interval; p by Holm over the table.",
        "collapsed: runs whose std·√d (spread of the online projections, 1 = even, 0 = a point) is below "
        f"{COLLAPSED_BELOW}. cos: online against target projections, same image / different images.",
    ]
    if table.setting is not None and (unlike := rows.unlike_published(table.setting.values)):
        named = ", ".join(f"{key} {ours} for {theirs}" for key, (ours, theirs) in unlike.items())
        notes.append(f"published and ours differ ({named}): compare the order of the rows, not the numbers.")
    if any(not line.row.published.cosines_printed and line.row.published.positive_cosine for line in table.lines):
        notes.append("≈: measured on a published figure, error about 0.01.")
    notes += [f"{label}: {note}." for label, note in rows.notes.items()]
    absent = [line.row.label for line in table.lines if line.state == "absent"]
    if absent and table.setting is not None:
        notes.append(f"absent: no run of this setting for {len(absent)} of {len(table.lines)} rows.")
    return [line for note in notes for line in textwrap.wrap(note, _WIDTH, subsequent_indent="  ")]


def _has_cosines(table: Table) -> bool:
    return any(row.published.positive_cosine is not None for row in table.rows.rows.values())


def _mean(summary: Summary) -> str:
    """Return the mean with half the width of its interval."""
    if summary.mean is None or summary.ci95 is None:
        return _percent(summary.mean)
    return f"{100 * summary.mean:.1f} ±{100 * (summary.ci95[1] - summary.mean):4.1f}"


def _delta(line: Line, table: Table) -> str:
    if line.row.key in table.rows.baselines:
        return "baseline"
    return _difference(line.difference) if line.difference else _NOTHING


def _difference(difference: Difference) -> str:
    low_high = f" [{100 * difference.ci95[0]:+.1f}, {100 * difference.ci95[1]:+.1f}]" if difference.ci95 else ""
    return f"{100 * difference.delta:+.1f}{low_high}"


def _percent(fraction: float | None) -> str:
    return _NOTHING if fraction is None else f"{100 * fraction:.1f}"


def _number(value: float | None, digits: int) -> str:
    return _NOTHING if value is None else f"{value:.{digits}f}"


def _pair(one: float | None, other: float | None) -> str:
    return _NOTHING if one is None or other is None else f"{one:.2f} / {other:.2f}"


def _published_pair(published: Published) -> str:
    pair = _pair(published.positive_cosine, published.negative_cosine)
    return pair if published.cosines_printed or pair == _NOTHING else f"≈{pair}"


def _p(p: float | None) -> str:
    return _NOTHING if p is None else "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0")
