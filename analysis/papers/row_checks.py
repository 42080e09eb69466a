"""Checks the rows of a table's file: what could never be found, or be mistaken for another."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from analysis.papers.nearest import nearest
from analysis.papers.strict_file import TableFileError
from analysis.papers.table_rows import TableRow


def check_rows(
    rows: Mapping[str, TableRow],
    axes: Collection[str],
    baselines: Sequence[str],
    place: str,
) -> None:
    """Refuse rows that no run can be of, or that are told from each other by nothing.

    Raises:
        TableFileError: the first of them; `place` is the file.
    """
    if not rows:
        raise TableFileError(f"{place}: rows: is empty; a table has a row or more")
    for row in rows.values():
        _check_match(row, axes, f"{place}: row {row.key}: match")
    _check_labels([*rows.values()], place)
    _check_shadows([row for row in rows.values() if not row.not_run], place)
    _check_baselines(baselines, rows, place)


def check_keys(
    axes: Collection[str], rows: Mapping[str, TableRow], known: Collection[str], place: str
) -> None:
    """Check that a run has the keys which a table names.

    Raises:
        TableFileError: one that it has not, with the nearest; `place` is the file.
    """
    named: list[tuple[str, str]] = []
    for row in rows.values():
        named += [(key, f"row {row.key}") for key in (*row.match, *row.companions)]
    named += [(key, "axes") for key in axes]
    for key, part in named:
        if key not in known:
            near = nearest(key, known, "keys").partition("? keys: ")
            hint = f"{near[0]}?" if near[1] else "`sweep keys` lists them"
            raise TableFileError(f"{place}: {part}: key {key!r} does not exist; {hint}")


def _check_match(row: TableRow, axes: Collection[str], place: str) -> None:
    for key, value in row.match.items():
        if isinstance(value, Mapping) and not _is_any(value):
            raise TableFileError(
                f"{place}: {key}: {dict(value)} is no value, and no {{any: [values]}}"
            )
    if row.not_run:
        return
    if not row.match:
        raise TableFileError(f"{place}: is empty, so that every run would be of this row")
    outside = [key for key in row.match if key not in (*axes, *row.companions)]
    if outside:
        raise TableFileError(
            f"{place}: {outside[0]!r} is none of the axes; add it to `axes`, or to the row's "
            f"`companions`; axes: {', '.join(axes)}"
        )


def _is_any(value: Mapping[str, Any]) -> bool:
    return set(value) == {"any"} and isinstance(value["any"], list)


def _check_labels(rows: Sequence[TableRow], place: str) -> None:
    labels: dict[str, str] = {}
    for row in rows:
        if row.label in labels:
            raise TableFileError(
                f"{place}: row {row.key}: label: {row.label!r} is that of row {labels[row.label]}; "
                "choose another"
            )
        labels[row.label] = row.key


def _check_shadows(rows: Sequence[TableRow], place: str) -> None:
    """Refuse a row whose every run is of an earlier one."""
    for later, row in enumerate(rows):
        for earlier in rows[:later]:
            if all(
                key in row.match and row.match[key] == wanted
                for key, wanted in earlier.match.items()
            ):
                raise TableFileError(
                    f"{place}: row {row.key}: match: its runs are all of row {earlier.key}, which "
                    "stands before it; put it first, or say what tells them apart"
                )


def _check_baselines(baselines: Sequence[str], rows: Mapping[str, TableRow], place: str) -> None:
    methods: dict[str, str] = {}
    for key in baselines:
        if key not in rows:
            hint = nearest(key, rows, "rows")
            raise TableFileError(f"{place}: baselines: no row is called {key!r}; {hint}")
        method = rows[key].method
        if method in methods:
            raise TableFileError(
                f"{place}: baselines: {methods[method]} and {key} are both of method {method!r}; "
                "leave one for each method"
            )
        methods[method] = key
