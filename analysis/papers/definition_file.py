"""Holds the schema of ``tables/*.yaml``, and of a table's file that a user wrote."""

from typing import Any

from analysis.papers.strict_file import Strict
from analysis.papers.table_rows import DEFAULT_FIGURES


class MetricEntry(Strict):
    """What the table prints: a protocol's metric of a network."""

    protocol: str = "probe"
    network: str = "online"
    name: str = "accuracy"


class PublishedEntry(Strict):
    """Where a row, or all of a table's rows, are printed: in `published/<file>.yaml`."""

    file: str
    table: str


class PublishedRowEntry(PublishedEntry):
    """Where a row of another source's table is printed."""

    row: str


class TableFileEntry(Strict):
    """A table.

    Attributes:
        id: its name; that of the file where there is none.
        title: for people; the name where there is none.
        rows: key → row, as a TableRowEntry.
        axes: keys that rows may differ in; all that they name where this is left out.
        baselines: rows that others are compared with, one for each method.
        metric: as a MetricEntry.
        published: as a PublishedEntry; may be left out.
        note: what a reader must know of all rows.
        claims: what is said of the order of the rows.
        figures: the kinds of figures that it is shown with, of `FIGURES`.
    """

    rows: dict[str, Any]
    id: str = ""
    title: str = ""
    axes: list[str] | None = None
    baselines: list[str] = []
    metric: dict[str, Any] = {}
    published: dict[str, Any] | None = None
    note: str = ""
    claims: list[Any] = []
    figures: list[str] = [*DEFAULT_FIGURES]


class TableRowEntry(Strict):
    """A row, or with `over` the rows of a product.

    Attributes:
        match: dotted key → value, or `{any: [values]}`.
        label: for people; the key where there is none.
        companions: keys that the row sets for itself.
        published: key of the printed row, or a PublishedRowEntry; null for none.
        at: coordinates of the printed row, in the place of its key.
        not_run: why no run can be of this row.
        note: what a reader must know of it.
        over: name → axis, as an AxisEntry. `{name}` stands for its value in the row's key, `label`
            and `published`.
    """

    match: dict[str, Any] = {}
    label: str = ""
    companions: list[str] = []
    published: Any = None
    at: dict[str, Any] = {}
    not_run: str = ""
    note: str = ""
    over: dict[str, Any] = {}


class AxisEntry(Strict):
    """An axis that rows are made from.

    Attributes:
        values: a list, or name → value where the name is not the value itself.
        key: of a run, set to the value, or a list of keys; none where a value is a mapping of
            settings, which go over those of the row's `match`.
        at: the coordinate of the printed row that the name stands for.
        labels: name → words in the row's label, where these are not the name itself.
        companions: name → keys that its rows set for themselves.
        not_run: name → why no run can be of its rows.
    """

    values: Any
    key: Any = None
    at: str = ""
    labels: dict[Any, str] = {}
    companions: dict[Any, list[str]] = {}
    not_run: dict[Any, str] = {}
