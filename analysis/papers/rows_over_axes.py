"""Makes the rows of a table's file: each as it is written, or a product of axes.

A row with `over` stands for many, so that a table names each value once.
"""

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.papers.definition_file import AxisEntry, TableRowEntry
from analysis.papers.nearest import nearest
from analysis.papers.printed import digits
from analysis.papers.strict_file import TableFileError, checked

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_MAX_ROWS = 1000


@dataclass(frozen=True)
class PlainRow:
    """A row without placeholders.

    Attributes:
        key: its name.
        entry: what the file says of it; `match`, `label` and `published` without placeholders.
        at: coordinates of the printed row; empty where the row names it, or is not printed.
        place: the file and the row, for errors.
    """

    key: str
    entry: TableRowEntry
    at: Mapping[str, Any]
    place: str


@dataclass(frozen=True)
class _Point:
    """A value of an axis: its name, and what it gives to each of its rows."""

    name: str
    settings: Mapping[str, Any]
    words: str
    at: Mapping[str, Any]
    companions: Sequence[str]
    not_run: str


def plain_rows(rows: Mapping[str, Any], place: str) -> list[PlainRow]:
    """Return all rows of a table's file, in its order.

    Raises:
        TableFileError: a row does not fit the schema, or two have one key.
    """
    made: list[PlainRow] = []
    seen: set[str] = set()
    for key, values in rows.items():
        entry = checked(TableRowEntry, values, f"{place}: row {key}")
        for row in _product(key, entry, f"{place}: row {key}"):
            if row.key in seen:
                raise TableFileError(f"{row.place}: two rows are called {row.key!r}")
            seen.add(row.key)
            made.append(row)
            if len(made) > _MAX_ROWS:
                raise TableFileError(f"{place}: more than {_MAX_ROWS} rows")
    return made


def _product(key: str, entry: TableRowEntry, place: str) -> Iterator[PlainRow]:
    """Yield the rows that an entry stands for: itself, where it has no axes."""
    axes = [_points(axis, f"{place}: over {name}") for name, axis in entry.over.items()]
    for points in itertools.product(*axes):
        yield _row(key, entry, dict(zip(entry.over, points, strict=True)), place)


def _row(key: str, entry: TableRowEntry, points: Mapping[str, _Point], place: str) -> PlainRow:
    """Return one row of a product; a later axis goes over what an earlier one sets."""
    match = dict(entry.match)
    at = dict(entry.at)
    companions = [*entry.companions]
    reasons = [entry.not_run] if entry.not_run else []
    for point in points.values():
        match.update(point.settings)
        at.update(point.at)
        companions += point.companions
        reasons += [point.not_run] if point.not_run else []

    # The key and the printed row are named by the values' names, the label by their words.
    names = {axis: point.name for axis, point in points.items()}
    words = {axis: point.words for axis, point in points.items()}
    published = entry.published
    if isinstance(published, str):
        published = _filled(published, names, place)
    changes = {
        "match": match,
        "label": _filled(entry.label, words, place),
        "companions": companions,
        "published": published,
        "not_run": "; ".join(reasons),
    }
    made = _filled(key, names, place)
    return PlainRow(made, entry.model_copy(update=changes), at, place)


def _points(values: Any, place: str) -> list[_Point]:
    axis = checked(AxisEntry, values, place)
    if isinstance(axis.values, Mapping):
        named = {digits(key): value for key, value in axis.values.items()}
    elif isinstance(axis.values, list):
        named = {digits(value): value for value in axis.values}
    else:
        raise TableFileError(f"{place}: values: {axis.values!r} is no list, and no names of values")
    if not named:
        raise TableFileError(f"{place}: values: is empty; list what the rows differ in")

    keys = _keys(axis, place)
    labels = _by_name(axis.labels, named, f"{place}: labels")
    companions = _by_name(axis.companions, named, f"{place}: companions")
    not_run = _by_name(axis.not_run, named, f"{place}: not_run")
    return [
        _Point(
            name=name,
            settings=_settings(keys, value, f"{place}: values {name}"),
            words=labels.get(name, name),
            at={axis.at: name} if axis.at else {},
            companions=companions.get(name, ()),
            not_run=not_run.get(name, ""),
        )
        for name, value in named.items()
    ]


def _by_name(facts: Mapping[Any, Any], names: Collection[str], place: str) -> dict[str, Any]:
    """Return facts by the names of an axis' values, which they must be of."""
    by_name = {digits(key): fact for key, fact in facts.items()}
    for key in by_name:
        if key not in names:
            raise TableFileError(f"{place}: {key!r} is no value; {nearest(key, names, 'values')}")
    return by_name


def _keys(axis: AxisEntry, place: str) -> list[str]:
    """Return the keys that a value of an axis sets."""
    keys = axis.key
    if keys is None:
        return []
    if isinstance(keys, str):
        return [keys]
    if isinstance(keys, list) and all(isinstance(key, str) for key in keys):
        return keys
    raise TableFileError(f"{place}: key: {keys!r} is no key, and no list of keys")


def _settings(keys: Sequence[str], value: Any, place: str) -> Mapping[str, Any]:
    """Return the settings of a value of an axis."""
    if keys:
        return dict.fromkeys(keys, value)
    if not isinstance(value, Mapping):
        raise TableFileError(f"{place}: {value!r} is no mapping of settings; or name its `key`")
    return value


def _filled(text: str, words: Mapping[str, str], place: str) -> str:
    """Return a text with its placeholders filled."""
    for name in _PLACEHOLDER.findall(text):
        if name not in words:
            axes = ", ".join(words) or "none"
            raise TableFileError(f"{place}: {{{name}}} in {text!r} is no axis; axes: {axes}")
    return _PLACEHOLDER.sub(lambda match: words[match.group(1)], text)
