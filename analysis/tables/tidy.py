"""Makes one tidy model of a rebuilt table, which every format, figure and check reads.

`tidy` gives a `Report`: a pandas DataFrame with a line per row and metric, whose columns have types,
and what stands around it. Fractions are in [0, 1]; what has no value is missing. Names that people
chose are made safe to print here, once: no format sees a control character.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.papers.plain_text import plain
from analysis.results.points import PointOfRun
from analysis.tables.agreement import (
    Comparison,
    Place,
    RankAgreement,
    compare_with_published,
    rank_agreement,
)
from analysis.tables.build import Table
from analysis.tables.line import Line, is_ok
from analysis.tables.marks import Code
from analysis.tables.reproduces import Verdict
from analysis.tables.stats import summarize

COLUMNS = {
    "row": "string",
    "label": "string",
    "method": "string",
    "metric": "string",
    "unit": "string",
    "published": "Float64",
    "published_pm": "Float64",
    "published_as_printed": "string",
    "published_lies": "string",
    "n": "Int64",
    "mean": "Float64",
    "std": "Float64",
    "half_range": "Float64",
    "ci95_low": "Float64",
    "ci95_high": "Float64",
    "baseline": "string",
    "delta": "Float64",
    "delta_low": "Float64",
    "delta_high": "Float64",
    "n_pairs": "Int64",
    "p_holm": "Float64",
    "collapsed": "Int64",
    "trained": "Int64",
    "state": "string",
    "done": "Int64",
    "asked": "Int64",
    "codes": "object",
    "marks": "object",
    "values": "object",
    "run_ids": "object",
}
"""The frame's columns and their types: `codes` and `marks` are tuples of texts, `values` is seed →
value and `run_ids` the ids of those runs.
"""

_PUBLISHED_SIGNS = ("positive_cosine", "negative_cosine")


@dataclass(frozen=True)
class Footnote:
    """What a mark means, and which rows have it."""

    code: Code
    rows: Sequence[str]


@dataclass(frozen=True)
class Report:
    """A table as it is shown.

    Attributes:
        table: what was rebuilt.
        frame: its numbers, of `COLUMNS`.
        footnotes: the codes of its marks in the order of `Code`, with rows and their details.
        verdicts: whether its claims held.
        unlisted: variants of its sweep that are rows of none of that sweep's tables.
        series: reads the points of a metric of some runs, for figures over training; None where
            the report is of no database.
    """

    table: Table
    frame: pd.DataFrame
    footnotes: Sequence[Footnote] = ()
    verdicts: Sequence[Verdict] = ()
    unlisted: Sequence[str] = field(default=())
    series: Callable[[str, Sequence[str]], Sequence[PointOfRun]] | None = None

    @cached_property
    def main(self) -> pd.DataFrame:
        """The lines of the table's own metric, one per row; of the first that is printed, else."""
        if self.table.rows.is_published_only:
            return self.frame.drop_duplicates("row")
        return self.frame[self.frame["metric"] == self.table.rows.metric]

    @cached_property
    def agreement(self) -> RankAgreement | None:
        """How far the order of our means is the printed one; None below three rows."""
        ours = {line.row.key: line.summary.mean for line in self.table.lines}
        published = {line.row.key: line.row.published.value for line in self.table.lines}
        return rank_agreement(ours, published)

    @cached_property
    def outside(self) -> dict[str, str]:
        """Rows whose printed number lies outside our interval: label → where, and if what is so."""
        doubt = ", if the data are the published" if self.table.unknown_data else ""
        places = {line.row.label: place_of(self.table, line) for line in self.table.lines}
        return {
            plain(label): f"{place.text}{doubt}"
            for label, place in places.items()
            if place.place == Place.OUTSIDE
        }

    def sign(self, row: str, metric: str) -> Any:
        """Return the mean of another metric of a row; None where there is none."""
        return self._means.get((row, metric))

    @cached_property
    def _means(self) -> dict[tuple[str, str], float]:
        means = self.frame[self.frame["mean"].notna()]
        return dict(
            zip(zip(means["row"], means["metric"], strict=True), means["mean"], strict=True)
        )


def tidy(table: Table, verdicts: Sequence[Verdict] = (), unlisted: Sequence[str] = ()) -> Report:
    """Return the tidy model of a table."""
    records: list[dict[str, Any]] = []
    for line in table.lines:
        if table.rows.is_published_only:
            records += _published_records(table, line)
        else:
            records.append(_main_record(table, line))
            records += _sign_records(line)
    frame = pd.DataFrame(records, columns=[*COLUMNS]).astype(COLUMNS)
    return Report(table, frame, _footnotes(table), verdicts, [plain(name) for name in unlisted])


def _row_facts(line: Line) -> dict[str, Any]:
    """Return what all lines of a row share."""
    return {
        "row": line.row.key,
        "label": plain(line.row.label),
        "method": line.row.method,
        "state": line.state,
        "done": line.done,
        "asked": line.wanted,
        "codes": tuple(str(mark.code) for mark in line.marks),
        "marks": tuple(plain(str(mark)) for mark in line.marks),
    }


def _main_record(table: Table, line: Line) -> dict[str, Any]:
    """Return the line of a row's accuracy."""
    published = line.row.published
    summary = line.summary
    low, high = summary.ci95 or (None, None)
    if Code.SPLIT in {mark.code for mark in line.marks}:
        low, high = None, None
    record = {
        **_row_facts(line),
        "metric": table.rows.metric,
        "unit": "fraction",
        "published": published.value,
        "published_pm": published.pm,
        "published_as_printed": published.text,
        "published_lies": str(place_of(table, line)),
        "n": summary.n,
        "mean": summary.mean,
        "std": summary.std,
        "half_range": summary.half_range,
        "ci95_low": low,
        "ci95_high": high,
        "baseline": line.baseline,
        "p_holm": line.p_holm,
        "values": dict(line.values),
        "run_ids": tuple(line.run_ids),
    }
    if line.collapsed is not None:
        record["collapsed"], record["trained"] = line.collapsed
    if line.difference is not None:
        delta_low, delta_high = line.difference.ci95 or (None, None)
        record |= {
            "delta": line.difference.delta,
            "delta_low": delta_low,
            "delta_high": delta_high,
            "n_pairs": line.difference.n_pairs,
        }
    return record


def place_of(table: Table, line: Line) -> Comparison:
    """Return where a row's printed number lies: in our interval or not, at an equal setting alone.

    Where our data may be the published or not, the comparison carries that as its condition.
    """
    printed = line.row.published
    band: float | tuple[float, float] | None = printed.value
    if printed.low is not None and printed.high is not None:
        band = (printed.low, printed.high)
    unlike = table.rows.unlike_published(table.setting.values) if table.setting else {}
    same = bool(table.rows.published_like) and not unlike and not printed.setting
    return compare_with_published(
        line.summary, band, same, f"differs in {', '.join(unlike)}", table.unknown_data
    )


def _published_records(table: Table, line: Line) -> Iterator[dict[str, Any]]:
    """Yield a line for each printed column of a row that no run of ours can be of."""
    columns = table.rows.printed.columns if table.rows.printed else {}
    for name, cell in line.row.published.columns.items():
        yield {
            **_row_facts(line),
            "metric": columns[name].metric,
            "unit": "fraction" if columns[name].unit == "percent" else "1",
            "published": cell.value,
            "published_pm": cell.pm,
            "published_as_printed": cell.text,
            "values": {},
            "run_ids": (),
        }


def _sign_records(line: Line) -> Iterator[dict[str, Any]]:
    """Yield the lines of what was measured while a row trained: signs of collapse, cosines, ranks."""
    published = {
        "positive_cosine": line.row.published.positive_cosine,
        "negative_cosine": line.row.published.negative_cosine,
    }
    runs = [run for run in line.runs if run.excluded is None and is_ok(run)]
    shown = {name for name, value in published.items() if value is not None}
    for name in sorted(shown.union(line.final)):
        finals = {run.seed: run.final for run in runs}
        values = _finite(finals, name)
        summary = summarize([*values.values()])
        low, high = summary.ci95 or (None, None)
        yield {
            **_row_facts(line),
            "metric": name,
            "unit": "1",
            "published": published.get(name),
            "n": summary.n,
            "mean": summary.mean,
            "std": summary.std,
            "ci95_low": low,
            "ci95_high": high,
            "values": values,
            "run_ids": tuple(run.run_id for run in runs if run.seed in values),
        }


def _finite(finals: Mapping[int, Mapping[str, float]], name: str) -> dict[int, float]:
    values: dict[int, float] = {}
    for seed, final in finals.items():
        value = final.get(name, math.nan)
        if math.isfinite(value):
            values[seed] = value
    return values


def _footnotes(table: Table) -> list[Footnote]:
    """Return a footnote for each code that a row has, with those rows and what is to be said."""
    rows: dict[Code, list[str]] = {}
    for line in table.lines:
        for mark in line.marks:
            detail = str(mark).removeprefix(str(mark.code)).lstrip(": ")
            text = f"{line.row.label} {detail}".rstrip()
            rows.setdefault(mark.code, []).append(plain(text))
    return [Footnote(code, rows[code]) for code in Code if code in rows]
