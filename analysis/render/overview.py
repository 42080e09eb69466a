"""Renders the list of tables that `sweep report` prints where it is told none."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from analysis.papers.plain_text import plain
from analysis.tables.completeness import Completeness, Overview, TableOverview

_SHOWN_SETTINGS = 5
_SHOWN_KEYS = 3
_WIDTH = 80


def overview_text(overview: Overview) -> str:
    """Return the tables, below each its settings, and in the end the next command.

    A run is of every table that it fits, whichever sweep made it. So tables that a sweep was made
    for are shown, and of the others the names.
    """
    tables = overview.tables
    wanted = [table for table in tables if _is_wanted(table)]
    with_runs = [table for table in tables if table.settings]
    shown = wanted or with_runs or tables
    lines: list[str] = []
    for table in shown:
        lines += _table_lines(table)

    lines += _names("runs of other tables' sweeps fit:", with_runs, shown)
    lines += _names("no runs yet:", [table for table in tables if not table.settings], shown)
    lines += _own_tables(overview.of_no_table)
    fullest = max(tables, key=_fullness)
    lines.append(f"\nnext: sweep report --table {fullest.rows.id} [--setting ID]")
    return "\n".join(lines)


def overview_json(overview: Overview) -> str:
    """Return the same as JSON."""
    document = {
        "tables": [_document(table) for table in overview.tables],
        "sweeps_of_no_table": list(overview.of_no_table),
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def _own_tables(labels: Sequence[str]) -> list[str]:
    """Say how sweeps that feed no paper's table are shown."""
    if not labels:
        return []
    first = plain(labels[0])
    text = (
        f"sweeps that feed none of these: {', '.join(map(plain, labels))}; "
        f"sweep report {first} --table variants"
    )
    return textwrap.wrap(text, _WIDTH, subsequent_indent="  ")


def _is_wanted(table: TableOverview) -> bool:
    """Tell whether a sweep was made for a table."""
    return any(each.setting.feeds for each in table.settings)


def _names(what: str, tables: Sequence[TableOverview], shown: Sequence[TableOverview]) -> list[str]:
    """Return the names of those tables that are not shown, after what is to be said of them."""
    names = [table.rows.id for table in tables if table not in shown]
    if not names:
        return []
    return textwrap.wrap(f"{what} {', '.join(names)}", _WIDTH, subsequent_indent="  ")


def _table_lines(table: TableOverview) -> Iterator[str]:
    yield f"{table.rows.id}: {table.rows.title}"
    if not table.settings:
        yield "  no runs yet"
    made_for_it = [each for each in table.settings if each.setting.feeds] or table.settings
    for each in made_for_it[:_SHOWN_SETTINGS]:
        rows = f"{each.rows_done}/{len(table.rows.rows)} rows"
        runs = f"{each.runs_done}/{each.runs} runs done"
        yield f"  {each.setting.id}  {rows}, {runs}  {each.setting.source}"
        yield f"    {each.setting.summary_text()}"
        yield from _difference_lines(each, table.settings[0])
    hidden = len(table.settings) - len(made_for_it[:_SHOWN_SETTINGS])
    if hidden:
        yield f"  … and {hidden} settings more: sweep report --format json"


def _difference_lines(completeness: Completeness, first: Completeness) -> Iterator[str]:
    """Say what tells a setting from the first of its table, as far as people read it."""
    unlike = completeness.setting.unlike(first.setting)
    pairs = [f"{key} {own} for {other}" for key, (own, other) in unlike.items()]
    if pairs:
        more = f", and {len(pairs) - _SHOWN_KEYS} keys more" if len(pairs) > _SHOWN_KEYS else ""
        yield f"    unlike {first.setting.id}: {', '.join(pairs[:_SHOWN_KEYS])}{more}"


def _fullness(table: TableOverview) -> tuple[bool, float]:
    """Order tables by how much there is of them; those that a sweep is for come first."""
    if not table.settings:
        return False, 0.0
    shown = table.settings[0]
    return shown.setting.feeds, shown.rows_done / len(table.rows.rows)


def _document(table: TableOverview) -> dict[str, Any]:
    return {
        "table": table.rows.id,
        "title": table.rows.title,
        "rows": len(table.rows.rows),
        "settings": [
            {
                "id": each.setting.id,
                "sweep": each.setting.sweep,
                "launched_at": each.setting.launched_at,
                "description": each.setting.summary_text(),
                "rows_done": each.rows_done,
                "runs": each.runs,
                "runs_done": each.runs_done,
            }
            for each in table.settings
        ],
    }
