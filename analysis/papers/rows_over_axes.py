"""Makes the rows of a table's file: each as it is written, or a product of axes.

A row with `over` stands for many, so that a table names each value once.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.papers.definition_file import AxisEntry, TableRowEntry
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
    """A value of an axis: its name, the settings that make it, its words and its coordinate."""

    name: str
    settings: Mapping[str, Any]
    words: str
    at: Mapping[str, Any] = field(default_factory=dict)


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
                raise TableFileError(f"{row.place}: another row is called {row.key!r} too")
            seen.add(row.key)
            made.append(row)
            if len(made) > _MAX_ROWS:
                raise TableFileError(f"{place}: more than {_MAX_ROWS} rows")
    return made


def _product(key: str, entry: TableRowEntry, place: str) -> Iterator[PlainRow]:
    """Yield the rows that an entry stands for: itself, where it has no axes."""
    axes = [_points(name, axis, f"{place}: over {name}") for name, axis in entry.over.items()]
    for points in itertools.product(*axes):
        names = {name: point.name for name, point in zip(entry.over, points, strict=True)}
        words = {name: point.words for name, point in zip(entry.over, points, strict=True)}

        match = dict(entry.match)
        at = dict(entry.at)
        for point in points:
            match.update(point.settings)
            at.update(point.at)
        made = _filled(key, names, place)
        published = entry.published
        if isinstance(published, str):
            published = _filled(published, names, place)
        changes = {
            "match": match,
            "label": _filled(entry.label, words, place),
            "published": published,
        }
        yield PlainRow(
            made, entry.model_copy(update=changes), at, f"{place.rpartition(' ')[0]} {made}"
        )


def _points(name: str, values: Any, place: str) -> list[_Point]:
    axis = checked(AxisEntry, values, place)
    if isinstance(axis.values, Mapping):
        named = {str(key): value for key, value in axis.values.items()}
    elif isinstance(axis.values, list):
        named = {digits(value): value for value in axis.values}
    else:
        raise TableFileError(f"{place}: values: {axis.values!r} is no list, and no names of values")
    if not named:
        raise TableFileError(f"{place}: values: is empty")

    unknown = [word for word in axis.labels if word not in named]
    if unknown:
        raise TableFileError(
            f"{place}: labels: {unknown[0]!r} is no value; values: {', '.join(named)}"
        )
    return [
        _Point(
            name=text,
            settings=_settings(axis.keys, value, f"{place}: values {text}"),
            words=axis.labels.get(text, text),
            at={axis.at: text} if axis.at else {},
        )
        for text, value in named.items()
    ]


def _settings(keys: Sequence[str], value: Any, place: str) -> Mapping[str, Any]:
    """Return the settings of a value of an axis."""
    if keys:
        return dict.fromkeys(keys, value)
    if not isinstance(value, Mapping):
        raise TableFileError(f"{place}: {value!r} is no mapping of settings; or name `keys`")
    return value


def _filled(text: str, words: Mapping[str, str], place: str) -> str:
    """Return a text with its placeholders filled."""
    for name in _PLACEHOLDER.findall(text):
        if name not in words:
            axes = ", ".join(words) or "none"
            raise TableFileError(f"{place}: {{{name}}} in {text!r} is no axis; axes: {axes}")
    return _PLACEHOLDER.sub(lambda match: words[match.group(1)], text)
