"""Renders a table as plain text for a terminal, with notes that say what each column is."""

import textwrap
from collections.abc import Sequence

from analysis.render.cells import cells, header
from analysis.tables.build import EXCLUDED, NOT_JUDGED, Table
from analysis.tables.collapse import COLLAPSED_BELOW
from analysis.tables.settings import Setting

_WIDTH = 110


def as_text(table: Table) -> str:
    """Return the whole text."""
    grid = _grid(header(table), [cells(line, table) for line in table.lines])
    text = [*title(table), "", *grid, "", *notes(table)]
    return "\n".join(line.rstrip() for line in text)


def title(table: Table) -> list[str]:
    """Return the lines above a table: its name, and where both sides come from."""
    rows = table.rows
    ours = f"no runs yet: start some with `sweep launch SPEC --table {rows.id}`"
    if table.setting is not None:
        ours = f"{table.setting.summary_text()} ({_source(table, table.setting)})"
    return [
        f"{rows.id}: {rows.title}",
        f"  published  {rows.published_setting}: {rows.published_source}",
        f"  ours       {ours}",
    ]


def _source(table: Table, setting: Setting) -> str:
    """Return the sweep of a setting, its day and id, and which other settings there are."""
    source = f"{setting.source}, setting {setting.id}"
    if not table.others:
        return source
    ids = ", ".join(other.id for other in table.others[:5])
    return f"{source}; others with --setting: {ids}"


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines: the first and the last column hold text, the others numbers."""
    columns = zip(header, *rows, strict=True)
    widths = [max(map(len, column)) for column in columns]
    text_columns = {0, len(header) - 1}

    def aligned(row: Sequence[str]) -> str:
        padded: list[str] = []
        for number, (text, width) in enumerate(zip(row, widths, strict=True)):
            if number in text_columns:
                padded.append(text.ljust(width))
            else:
                padded.append(text.rjust(width))
        return "  ".join(padded)

    rule = ["─" * width for width in widths]
    return [aligned(row) for row in (header, rule, *rows)]


def notes(table: Table) -> list[str]:
    """Return the lines below a table: what each column is, and what a reader must know."""
    texts = _column_notes(table)
    texts += _newest_is_empty(table)
    texts += _comparison_notes(table)
    texts += _own_settings(table)
    texts += _not_judged(table)
    texts += _exclusions(table)
    texts += [f"{remark}." for remark in table.rows.remarks]
    texts += _row_notes(table)

    # Without a setting every row is absent, and the title says what to do.
    absent = sum(line.state == "absent" for line in table.lines)
    if absent and table.setting is not None:
        texts.append(
            f"absent: no run of this setting for {absent} of {len(table.lines)} rows; "
            f"`sweep launch SPEC --table {table.rows.id}` starts a spec's."
        )

    lines: list[str] = []
    for text in texts:
        lines += textwrap.wrap(text, _WIDTH, subsequent_indent="  ")
    return lines


def _row_notes(table: Table) -> list[str]:
    """Say what a reader must know of single rows; what holds for several is said once."""
    labels: dict[str, list[str]] = {}
    for label, note in table.rows.notes.items():
        labels.setdefault(note, []).append(label)
    return [f"{'; '.join(of)}: {note}." for note, of in labels.items()]


def _column_notes(table: Table) -> list[str]:
    """Say what the columns are."""
    rows = table.rows
    baselines = ", ".join(rows.rows[key].label for key in rows.baselines)
    protocol = rows.protocol
    if table.setting is not None:
        protocol += f" (version {table.setting.version})"
    return [
        f"ours: {protocol} accuracy (docs/results.md) of the {rows.network} encoder in percent, "
        "mean over n seeds ± half its 95% t-interval.",
        "vs baseline: mean difference in points, seed by seed, from its method's baseline "
        f"({baselines}), with its 95% t-interval; p by Holm over the table.",
        "collapsed: runs whose std·√d (spread of the online projections, 1 = even, 0 = a point) "
        f"is below {COLLAPSED_BELOW}. "
        "cos: online against target projections, same image / different images.",
    ]


def _newest_is_empty(table: Table) -> list[str]:
    """Name the setting to look at while the newest, which is shown, has no result."""
    if table.fuller is None:
        return []
    filled = "complete" if table.fuller.is_complete() else "with results"
    return [
        "the newest has no result of its own yet; "
        f"{filled}: --setting {table.fuller.id} ({table.fuller.sweep})"
    ]


def _comparison_notes(table: Table) -> list[str]:
    """Say where the published numbers are not quite comparable."""
    texts: list[str] = []
    if table.setting is not None:
        unlike = table.rows.unlike_published(table.setting.values)
        if unlike:
            pairs = [f"{key} {ours} for {theirs}" for key, (ours, theirs) in unlike.items()]
            texts.append(
                f"published and ours differ ({', '.join(pairs)}): "
                "compare the order of the rows, not the numbers."
            )

    # Cosines that the paper does not print were measured on its figures.
    printed = [line.row.published for line in table.lines]
    if any(row.positive_cosine and not row.cosines_printed for row in printed):
        texts.append("≈: measured on a published figure, error about 0.01.")
    if any(row.approximate for row in printed):
        texts.append("≈: measured on a published figure.")
    return texts


def _not_judged(table: Table) -> list[str]:
    """Say how runs that have a result but no evaluation get one."""
    label = f"{NOT_JUDGED} {table.rows.protocol}"
    if not any(mark.startswith(label) for line in table.lines for mark in line.marks):
        return []
    return [
        f"{label}: completed runs whose evaluation is missing count nowhere: put the file back from a "
        "backup, or train them again (`sweep launch SPEC --only VARIANT --seeds N --rerun`)."
    ]


def _exclusions(table: Table) -> list[str]:
    """Say which runs people left out, and why."""
    texts: list[str] = []
    for line in table.lines:
        texts += [f"{line.row.label}: {mark}." for mark in line.marks if mark.startswith(EXCLUDED)]
    return texts


def _own_settings(table: Table) -> list[str]:
    """Say which rows ran at a value of their own in a companion key."""
    labels_at: dict[str, list[str]] = {}
    for line in table.lines:
        if line.own:
            values = ", ".join(f"{key} {value}" for key, value in line.own.items())
            labels_at.setdefault(values, []).append(line.row.label)
    return [f"at {values}: {', '.join(labels)}." for values, labels in labels_at.items()]
