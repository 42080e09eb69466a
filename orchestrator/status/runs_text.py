"""Prints a list of runs: in columns for people, as JSON for programs."""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from byol_core.protocols import PROTOCOLS
from orchestrator.status.runs_list import Listing
from orchestrator.status.runs_source import KEYS, Row
from orchestrator.store.root import PREFIX
from orchestrator.text import counted, percent, plain

SHOWN = (
    "run_id",
    "sweep",
    "variant",
    "seed",
    "state",
    "accuracy",
    "std_sqrt_d",
    "commit",
    "date",
    "hours",
    "host",
)
"""What people see where they name no columns."""
_LEAST_IMPORTANT = ("host", "commit", "hours", "date", "tags", "sweep", "std_sqrt_d")
"""What goes where the terminal is narrow, the first of it first."""
_HEADINGS = {"run_id": "run", "std_sqrt_d": "std·√d"}
_SHORTEST = 8
_NOTHING = "–"


def as_json(listing: Listing) -> str:
    """Return the text of `sweep runs --json`: fractions in [0, 1], null where there is nothing."""
    return json.dumps({"count": listing.count, "runs": listing.with_run_ids()}, indent=1)


def lines(listing: Listing, width: int | None) -> Iterator[str]:
    """Yield a heading, a line per run, and what was left out.

    Args:
        listing: of the runs; its columns are kept where people named them.
        width: of the terminal; None for lines as long as they are.
    """
    names = list(listing.columns)
    is_own_choice = names != list(KEYS)
    if not is_own_choice:
        names = list(SHOWN)
        if any(row["tags"] for row in listing.rows):
            names.append("tags")
    columns = {name: _column(name, listing.rows) for name in names}

    # A narrow terminal shows what matters most.
    dropped = []
    for name in _LEAST_IMPORTANT:
        if width is not None and not is_own_choice and _width(columns) > width and name in columns:
            del columns[name]
            dropped.append(name)
    if width is not None and not is_own_choice:
        _shorten(columns, "variant", _width(columns) - width)

    yield from _aligned(columns)
    if dropped:
        yield f"no room for {', '.join(dropped)}: name --columns, or send it through a pipe"
    if len(listing.rows) < listing.count:
        yield f"{len(listing.rows)} of {counted(listing.count, 'run')}"


def _column(name: str, rows: Sequence[Row]) -> list[str]:
    """Return the heading and the cells of a column."""
    cells = [plain(_cell(name, row)) for row in rows]
    return [_HEADINGS.get(name, name), *cells]


def _cell(name: str, row: Row) -> str:
    """Return a value as people read it: percent, dates, short hashes."""
    value: Any = row[name]
    if value is None or value == []:
        return _NOTHING
    if name == "state":
        return _state(row)
    if name in ("run_id", "commit"):
        return str(value)[:PREFIX]
    if name == "date":
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(value))
    if name == "tags":
        return ",".join(value)
    if name == "accuracy" and row["accuracy_version"] < PROTOCOLS["probe"]:
        return f"{percent(value)} (v{row['accuracy_version']})"
    if isinstance(value, float):
        return _number(name, value)
    return value if isinstance(value, str) else json.dumps(value)


def _number(name: str, value: float) -> str:
    if name.endswith("accuracy"):
        return percent(value)
    if name in ("hours", "std_sqrt_d"):
        return f"{value:.2f}"
    return f"{value:g}"


def _state(row: Row) -> str:
    """Return the state, and what a reader must know of it."""
    words = [row["state"]]
    if row["outcome"] == "diverged":
        words.append("diverged")
    if row["excluded"] is not None:
        words.append("excluded")
    return " ".join(words)


def _width(columns: dict[str, list[str]]) -> int:
    widths = [max(map(len, column)) for column in columns.values()]
    return sum(widths) + 2 * (len(widths) - 1)


def _shorten(columns: dict[str, list[str]], name: str, excess: int) -> None:
    """Cut the cells of a column so that lines are shorter by `excess`."""
    if excess > 0 and name in columns:
        longest = max(_SHORTEST, max(map(len, columns[name])) - excess)
        columns[name] = [
            text if len(text) <= longest else f"{text[: longest - 1]}…" for text in columns[name]
        ]


def _aligned(columns: dict[str, list[str]]) -> Iterator[str]:
    """Yield lines with columns one below the other; numbers stand at the right."""
    padded = []
    for column in columns.values():
        width = max(map(len, column))
        is_number = all(text[:1].isdigit() or text == _NOTHING for text in column[1:])
        is_short = width <= _SHORTEST
        padded.append(
            [text.rjust(width) if is_number and is_short else text.ljust(width) for text in column]
        )
    for cells in zip(*padded, strict=True):
        yield "  ".join(cells).rstrip()
