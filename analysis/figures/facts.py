"""Says of a report what every figure says below itself: n, source, setting, and what guessing gives."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.papers.chance import chance_of
from analysis.tables.line import Line
from analysis.tables.tidy import Report

PERCENT = 100
MINUS = "\N{MINUS SIGN}"
_NAMING = ("dataset.name", "encoder.arch")
_SHOWN_KEYS = 3
_SHOWN_ROWS = 8
_SEVERAL = 2


def number(value: float, sign: str = "") -> str:
    """Return a percentage with a digit behind the point; what is not zero is not written as zero."""
    text = f"{value:{sign}.1f}"
    if value and not float(text):
        text = f"{value:{sign}.1g}"
    return text.replace("-", MINUS)


def words_of(*texts: str) -> str:
    """Return the texts that say anything, beside each other."""
    return ", ".join(filter(None, texts))


def labels_of(report: Report) -> dict[str, str]:
    """Return row → label, safe to print."""
    main = report.main
    return dict(zip(main["row"], main["label"], strict=True))


def has_ours(report: Report) -> bool:
    """Tell whether there are runs to show."""
    return report.table.setting is not None


def has_published(report: Report) -> bool:
    """Tell whether anything is printed for a row."""
    return any(line.row.published.text is not None for line in report.table.lines)


def is_comparable(report: Report) -> bool:
    """Tell whether our numbers and the published ones may stand on one axis."""
    table = report.table
    if table.setting is None or not table.rows.published_like:
        return False
    return not (table.rows.unlike_published(table.setting.values) or table.unknown_data)


def chance_of_ours(report: Report) -> float | None:
    """Return the accuracy of guessing on our data, in percent."""
    if report.table.setting is None:
        return None
    return scaled(chance_of(str(report.table.setting.values.get("dataset.name"))))


def chance_of_published(report: Report) -> float | None:
    """Return the accuracy of guessing on the published data, in percent; None of what is none."""
    if published_factor(report) != PERCENT:
        return None
    return scaled(report.table.rows.chance)


def published_factor(report: Report) -> int:
    """Return what a published number is multiplied with: a fraction is shown in percent."""
    printed = report.table.rows.printed
    if printed is None or not printed.columns:
        return PERCENT
    first = next(iter(printed.columns.values()))
    return {"number": 1}.get(first.unit, PERCENT)


def control_of(report: Report) -> Line | None:
    """Return the row of the encoder that nothing has trained; None without one, or with several."""
    controls = [line for line in report.table.lines if line.row.method == "random"]
    if len(controls) != 1:
        return None
    return controls[0]


def control_of_ours(report: Report) -> float | None:
    """Return what the encoder that nothing has trained reaches here, in percent."""
    control = control_of(report)
    if control is None:
        return None
    return scaled(control.summary.mean)


def control_of_published(report: Report) -> float | None:
    """Return what is printed for the encoder that nothing has trained."""
    control = control_of(report)
    if control is None:
        return None
    return scaled(control.row.published.value, published_factor(report))


def ours_name(report: Report) -> str:
    """Return the name of our side: its data and encoder."""
    setting = report.table.setting
    if setting is None:
        return "ours"
    return _side("ours", setting.values)


def published_name(report: Report) -> str:
    """Return the name of the published side: its data and encoder."""
    return _side("published", report.table.rows.published_like)


def _side(name: str, values: Any) -> str:
    words = [str(values[key]) for key in _NAMING if values.get(key) is not None]
    return ": ".join([name, *filter(None, [", ".join(words)])])


def ours_metric(report: Report) -> str:
    """Return what our numbers are."""
    return f"{report.table.rows.metric} in percent"


def published_metric(report: Report) -> str:
    """Return what the published numbers are, in the words of their source."""
    printed = report.table.rows.printed
    if printed is None or not printed.columns:
        return "as printed"
    column = next(iter(printed.columns.values()))
    if column.unit != "percent":
        return column.metric
    return f"{column.metric} in percent"


def footers(
    report: Report,
    what: str,
    counts: Sequence[int] | None = None,
    *,
    is_judged: bool = True,
    with_published: bool = True,
) -> list[str]:
    """Return the sentences below a figure.

    Args:
        report: what is drawn.
        what: which of our numbers are drawn, and what their interval or band is.
        counts: of seeds, row by row; those with a number in the table where None.
        is_judged: whether they are of the table's protocol, and not measured while training.
        with_published: whether published numbers are drawn.
    """
    seeds = n_text(counts) if counts is not None else n_of_rows(report)
    texts = _ours(report, f"{what}, {seeds}", is_judged=is_judged)
    if with_published:
        texts += [*_published(report), *_comparison(report)]
    return texts


def n_text(counts: Sequence[int]) -> str:
    """Return how many seeds the rows with a number have."""
    known = sorted({count for count in counts if count})
    if not known:
        return "no result yet"
    if len(known) == 1:
        return f"n = {known[0]} seeds".replace("n = 1 seeds", "n = 1 seed")
    return f"n = {known[0]} to {known[-1]} seeds"


def n_of_rows(report: Report) -> str:
    """Return how many seeds the rows with a number have, and which have others than the most."""
    labels = labels_of(report)
    counts = {labels[line.row.key]: line.summary.n for line in report.table.lines if line.summary.n}
    if len({*counts.values()}) < _SEVERAL:
        return n_text([*counts.values()])

    usual = Counter(counts.values()).most_common(1)[0][0]
    others = [f"{label}: {count}" for label, count in counts.items() if count != usual]
    more = len(others) - _SHOWN_ROWS
    hidden = [f"and {more} rows more"] if more > 0 else []
    return f"n = {usual} seeds ({'; '.join([*others[:_SHOWN_ROWS], *hidden])})"


def _ours(report: Report, what: str, *, is_judged: bool) -> list[str]:
    table = report.table
    if table.rows.is_published_only:
        return []
    if table.setting is None:
        return ["ours: no runs yet."]
    setting = table.setting
    parts = [what]
    if is_judged:
        rows = table.rows
        parts.append(f"{rows.protocol} (version {setting.version}), {rows.network} encoder")
    parts.append(f"{setting.summary_text()} ({setting.source}, setting {setting.id})")
    lacking = sum(line.summary.mean is None for line in table.lines)
    if lacking:
        parts.append(f"{lacking} of {len(table.lines)} rows have no number")
    return [f"ours: {'; '.join(parts)}."]


def _published(report: Report) -> list[str]:
    rows = report.table.rows
    if not has_published(report):
        return []
    words = [text for text in (rows.published_setting, rows.published_source) if text]
    if rows.printed is not None and rows.printed.seeds:
        words.append(f"n = {rows.printed.seeds} seeds")
    if rows.printed is not None and rows.printed.spread is not None:
        words.append(f"± is {rows.printed.spread.words}")
    others = {line.row.published.source for line in report.table.lines} - {""}
    words += [f"some rows: {source}" for source in sorted(others)]
    return [f"published: {'; '.join(words)}."]


def _comparison(report: Report) -> list[str]:
    """Say in which keys the two sides differ or may differ, so that nobody compares their numbers."""
    table = report.table
    if table.setting is None or not has_published(report):
        return []
    unlike = table.rows.unlike_published(table.setting.values)
    pairs = [f"{key} {ours} for {theirs}" for key, (ours, theirs) in unlike.items()]
    texts = [f"{table.unknown_data}."] if table.unknown_data else []
    if pairs:
        shown = ", ".join(pairs[:_SHOWN_KEYS])
        texts.append(
            f"Another setting than the published ({shown}): compare the order, not the numbers."
        )
    return texts


def signs_of(report: Report, metric: str) -> dict[str, Any]:
    """Return row → its line of the frame for what was measured while training, where it is there."""
    frame = report.frame[report.frame["metric"] == metric]
    return {line.row: line for line in frame.itertuples()}


def optional(value: Any) -> float | None:
    """Return a number of the frame; None where it is missing."""
    if pd.isna(value):
        return None
    return float(value)


def scaled(value: float | None, factor: int = PERCENT) -> float | None:
    """Return a fraction in percent, or multiplied otherwise; None stays."""
    if value is None:
        return None
    return factor * value


def interval_of(ends: Sequence[float] | None, factor: int = PERCENT) -> list[float] | None:
    """Return the ends of an interval in percent, or multiplied otherwise; None stays."""
    if ends is None:
        return None
    return [factor * end for end in ends]


def within_percent(values: Sequence[float]) -> list[float]:
    """Return what an axis of accuracies has to show: an interval may reach beyond, they do not."""
    return [min(max(value, 0.0), PERCENT) for value in values]


def in_percent(values: Sequence[float]) -> list[float]:
    """Return fractions in percent."""
    return [PERCENT * value for value in values]
