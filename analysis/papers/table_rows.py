"""Holds a table: its rows, what they differ in, and its published side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.papers.claims import Claim
from analysis.papers.printed import PrintedTable, Published

FIGURES = (
    "rows",
    "drop",
    "axis",
    "heat_map",
    "cosines",
    "collapse_over_time",
    "loss_over_time",
    "cosines_over_time",
    "retrieval_over_time",
)
"""The kinds of figures that a table can be shown with; `analysis.figures.kinds` draws them."""
DEFAULT_FIGURES = ("rows", "drop")
"""Those of a table that names none."""

_DATASET = "dataset.name"
_PHOTOS = "folder"
"""The name of a data set that is any photos in a folder."""
_TITLES = {"imagenet": "ImageNet", "stl10": "STL-10", "cifar10": "CIFAR-10"}


@dataclass(frozen=True)
class TableRow:
    """One row of a table.

    Attributes:
        key: its name in the table's file.
        label: as printed.
        match: dotted key → value, or `{any: [values]}` where scales differ; what makes a run one of
            this row.
        companions: keys that this row sets for itself, so they are no part of the table's setting.
        published: its printed numbers.
        not_run: why no run of ours can be of this row; empty where one can.
        own_note: what the table's file says of it.
    """

    key: str
    label: str
    match: Mapping[str, Any]
    companions: tuple[str, ...]
    published: Published
    not_run: str = ""
    own_note: str = ""

    @property
    def method(self) -> str:
        """`byol`, `moco`, ...; empty where the row does not say."""
        return str(self.match.get("method", ""))

    @property
    def note(self) -> str:
        """What a reader must know of the row, as one text."""
        texts: list[str] = []
        if self.published.source:
            texts.append(f"published in {self.published.source}")
        if self.published.setting:
            texts.append(f"at another setting: {self.published.setting}")
        if self.published.note:
            texts.append(self.published.note)
        if self.published.disputed:
            texts.append(f"disputed: {self.published.disputed}")
        if self.own_note:
            texts.append(self.own_note)
        if self.not_run:
            texts.append(f"not run here: {self.not_run}")
        return "; ".join(texts)

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Tell whether a canonical config is of this row."""
        if self.not_run:
            return False

        # A loop: this is asked of every variant of every sweep.
        for key, wanted in self.match.items():  # noqa: SIM110
            if not _meets(config.get(key), wanted):
                return False
        return True


@dataclass(frozen=True)
class TableRows:
    """A table: its rows, what they differ in, the metric it prints, and its published side.

    Attributes:
        id: its name.
        title: for people.
        protocol: the evaluation whose numbers it shows.
        network: of which network.
        metric: of that evaluation.
        axes: keys that its rows differ in.
        baselines: rows that others are compared with, one for each method.
        rows: by key.
        printed: the published side; None where there is none.
        own_note: what a reader must know of all rows.
        claims: what is said of the order of the rows.
        figures: the kinds of figures that it is shown with, of `FIGURES`.
        is_published_only: whether no run can be of any row.
    """

    id: str
    title: str
    protocol: str
    network: str
    metric: str
    axes: tuple[str, ...]
    baselines: tuple[str, ...]
    rows: Mapping[str, TableRow]
    printed: PrintedTable | None = None
    own_note: str = ""
    claims: tuple[Claim, ...] = ()
    figures: tuple[str, ...] = DEFAULT_FIGURES
    is_published_only: bool = False

    @property
    def published_source(self) -> str:
        """The paper and the place in it; empty without a published side."""
        return self.printed.source if self.printed else ""

    @property
    def published_setting(self) -> str:
        """What the published numbers were measured at, in words."""
        return self.printed.setting if self.printed else ""

    @property
    def published_like(self) -> Mapping[str, Any]:
        """Settings of ours that would have to be equal for the numbers to be comparable."""
        return self.printed.like if self.printed else {}

    @property
    def chance(self) -> float | None:
        """Accuracy of guessing on the data of the published numbers, in [0, 1]."""
        return self.printed.chance if self.printed else None

    @property
    def notes(self) -> dict[str, str]:
        """What a reader must know of single rows, by their labels."""
        return {row.label: row.note for row in self.rows.values() if row.note}

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know of all rows."""
        texts: list[str] = []
        if self.printed is not None:
            if self.printed.note:
                texts.append(self.printed.note)
            if self.printed.disputed:
                texts.append(f"disputed: {self.printed.disputed}")
        texts += self._spreads()
        if self.own_note:
            texts.append(self.own_note)
        return tuple(texts)

    def _spreads(self) -> list[str]:
        """Say of what kind every published ± is; two kinds name their sources."""
        source_of: dict[str, str] = {}
        for row in self.rows.values():
            spread = row.published.spread
            if spread is not None:
                source_of.setdefault(spread.words, row.published.source or self.published_source)

        if len(source_of) == 1:
            return [f"± of published numbers: {words}" for words in source_of]
        return [
            f"± of numbers published in {source}: {words}" for words, source in source_of.items()
        ]

    def row_of(self, config: Mapping[str, Any]) -> TableRow | None:
        """Return the row of a canonical config, None where it has none in this table."""
        for row in self.rows.values():
            if row.holds(config):
                return row
        return None

    def unlike_published(self, setting: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return the keys that differ from the published setting: key → (ours, theirs).

        The data set is none of them where nobody can tell: `unknown_data` says so.
        """
        compared = dict(self.published_like)
        if self.unknown_data(setting):
            del compared[_DATASET]
        return {
            key: (setting.get(key), value)
            for key, value in compared.items()
            if setting.get(key) != value
        }

    def unknown_data(self, setting: Mapping[str, Any]) -> str:
        """Return the sentence that a folder of photos may hold the published data, or others.

        It is empty where ours is no folder, or the data of the published numbers are not known.
        Where it is not, a setting that agrees in all else is not said to be the published one.
        """
        theirs = self.published_like.get(_DATASET)
        if theirs is None or setting.get(_DATASET) != _PHOTOS:
            return ""
        held = _TITLES.get(theirs, theirs)
        return f"{_DATASET} {_PHOTOS} for {theirs}: whether it holds {held} is not known"

    def baseline_of(self, row: TableRow) -> TableRow | None:
        """Return the baseline of the row's own method."""
        for key in self.baselines:
            if self.rows[key].method == row.method:
                return self.rows[key]
        return None


def _meets(value: Any, wanted: Any) -> bool:
    """Tell whether a setting is the one that a row wants, or one of several."""
    if isinstance(wanted, Mapping):
        return value in wanted["any"]
    return bool(value == wanted)
