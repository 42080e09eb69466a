"""Lists runs from the database: finds them by what they are, sorts them, and picks columns.

A run is listed once, as the variant of the newest sweep that asks for it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select

from orchestrator.database import schema
from orchestrator.errors import UsageError
from orchestrator.status.runs_source import KEYS, Row, RunsSource, hint_for
from orchestrator.status.sweep_status import named_sweeps
from orchestrator.store.state import State

_STATES = tuple(state.value for state in State)
_YES_NO = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True)
class Request:
    """Says which runs are listed, and what of them.

    Attributes:
        sweep: only of this sweep, by its label or its name; None for all.
        conditions: KEY=VALUE, of which all keys must hold, and of equal keys any.
        sort: a column, with "-" in front from high to low; None: newest sweep first.
        columns: names of `KEYS`, settings or metrics; empty for `KEYS`.
        limit: at most so many runs; None for all.
    """

    sweep: str | None = None
    conditions: Sequence[str] = ()
    sort: str | None = None
    columns: Sequence[str] = ()
    limit: int | None = None


@dataclass(frozen=True)
class Listing:
    """Holds the runs that were asked for.

    Attributes:
        columns: their names.
        rows: a value per column and key; None where there is none.
        count: how many runs there are without the limit.
    """

    columns: Sequence[str]
    rows: Sequence[Row]
    count: int

    def with_run_ids(self) -> list[dict[str, Any]]:
        """Return the shown values of each run by their columns, and its id with them."""
        names = self.columns
        if "run_id" not in names:
            names = ["run_id", *names]
        shown: list[dict[str, Any]] = []
        for row in self.rows:
            shown.append({name: row[name] for name in names})
        return shown


def list_runs(engine: Engine, request: Request) -> Listing:
    """Return the runs that are asked for.

    Raises:
        UsageError: a key, value or column is not known; the text names the nearest.
    """
    with engine.connect() as connection:
        wanted = _conditions(request)
        sweeps = connection.execute(select(schema.sweeps)).mappings().all()
        if "sweep" in wanted:
            named = [row for name in wanted["sweep"] for row in named_sweeps(sweeps, name)]
            wanted["sweep"] = [row["label"] for row in named]
        source = RunsSource(connection, wanted.get("sweep"))

        # Settings and metrics are read where somebody asks for them: it takes longer.
        sort_key = (request.sort or "").removeprefix("-")
        for name in {*wanted, *request.columns, *filter(None, [sort_key])} - {*KEYS, "tag"}:
            source.add(name)
    rows = source.rows
    for test in [_test(key, values, source.rows) for key, values in wanted.items()]:
        rows = [row for row in rows if test(row)]
    if sort_key:
        rows = _sorted(rows, sort_key, downward=(request.sort or "").startswith("-"))
    return Listing(list(request.columns) or list(KEYS), rows[: request.limit], len(rows))


def _conditions(request: Request) -> dict[str, list[str]]:
    """Return key → values, any of which will do."""
    wanted: dict[str, list[str]] = {}
    if request.sweep is not None:
        wanted["sweep"] = [request.sweep]
    for text in request.conditions:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(
                f"--where {text!r} is no condition; write KEY=VALUE, e.g. state=failed"
            )
        wanted.setdefault(key.strip(), []).append(value.strip())
    return wanted


def _test(key: str, values: Sequence[str], rows: Sequence[Row]) -> Callable[[Row], bool]:
    """Return what tells whether a run meets a condition.

    Raises:
        UsageError: no run has such a value, and another value is near it.
    """
    if key == "state":
        states = {_one_of("state", value.upper(), _STATES) for value in values}
        return lambda row: row["state"] in states
    if key == "excluded":
        chosen = {_YES_NO[_one_of(key, value.lower(), [*_YES_NO])] for value in values}
        return lambda row: (row["excluded"] is not None) in chosen
    if key == "commit":
        return lambda row: (row["commit"] or "-").startswith(tuple(values))

    from orchestrator.spec.strict_yaml import scalar

    # Whatever else. A word may be misspelt; a number that no run has is just that.
    known = {text for row in rows for text in _texts(key, row)}
    for value in values:
        is_word = isinstance(scalar(value), str)
        if is_word and value not in known:
            hint = hint_for(value, known)
            if hint.startswith("did"):
                raise UsageError(f"--where {key}={value}: no run has it; {hint}")
    wanted = {*values, *map(_canonical, values)}
    return lambda row: not wanted.isdisjoint(_texts(key, row))


def _texts(key: str, row: Row) -> set[str]:
    """Return the values of a run as a condition writes them."""
    if key == "tag":
        return set(row["tags"])
    if key == "sweep":
        return set(row["sweeps"])
    return {_text(row[key])}


def _text(value: Any) -> str:
    """Return a value as a condition writes it; 2.0 is 2."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)


def _canonical(text: str) -> str:
    """Return a value as it is stored, where it is a number written otherwise: 1e-3 is 0.001."""
    from orchestrator.spec.strict_yaml import scalar

    return _text(scalar(text))


def _one_of(key: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise UsageError(f"--where {key}={value}: no such value; {hint_for(value, allowed)}")
    return value


def _sorted(rows: Sequence[Row], key: str, downward: bool) -> list[Row]:
    """Sort rows by a column; what has no value comes last both ways.

    Accuracies of two versions of the probe are not compared: each version is sorted by itself.
    """
    valued = [row for row in rows if row[key] is not None]
    empty = [row for row in rows if row[key] is None]

    def order(row: Row) -> tuple[int, bool, Any]:
        value = row[key]
        is_number = isinstance(value, int | float)
        version = row["accuracy_version"] if key == "accuracy" else 0
        return version, not is_number, value if is_number else _text(value)

    return [*sorted(valued, key=order, reverse=downward), *empty]
