"""Draws the cosines of positives and of negatives as bars, as the blog does: ours and published."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.figures import facts
from analysis.figures.by_row.frame import RowPanel, draw_rows, limits_of
from analysis.figures.standing import state_words
from analysis.figures.style import Look
from analysis.tables.tidy import Report

SIGNS = {"positive_cosine": "positives (same image)", "negative_cosine": "negatives (other images)"}
"""Metric → what it compares, in the order of the bars."""
_BAR = 0.11
Pair = Sequence[float | None]


def is_possible(report: Report) -> bool:
    """Tell whether a row has cosines, of ours or published."""
    return bool(_measured(report)) or _is_published(report)


def figure(report: Report, look: Look) -> Any:
    """Return the figure of cosines."""
    panels: list[RowPanel] = []
    if facts.has_ours(report):
        panels.append(_ours(report, look))
    if _is_published(report) or not panels:
        panels.append(_published(report, look))
    labels = [*facts.labels_of(report).values()]
    what = (
        "cosine of online against target projections, mean of the last epoch over seeds, "
        "95% t-interval"
    )
    footers = facts.footers(report, what, is_judged=False, with_published=_is_published(report))
    title = f"{report.table.rows.title}: cosines"
    return draw_rows(look, title, labels, panels, _legend(look), footers)


def _measured(report: Report) -> Mapping[str, Mapping[str, Any]]:
    """Return metric → row → its line of the frame, of those that we measured."""
    by_metric: dict[str, dict[str, Any]] = {}
    for metric in SIGNS:
        for row, line in facts.signs_of(report, metric).items():
            if facts.optional(line.mean) is not None:
                by_metric.setdefault(metric, {})[row] = line
    return by_metric


def _is_published(report: Report) -> bool:
    return any(_printed(line.row.published) != (None, None) for line in report.table.lines)


def _printed(published: Any) -> tuple[float | None, float | None]:
    return published.positive_cosine, published.negative_cosine


def _ours(report: Report, look: Look) -> RowPanel:
    lines = report.table.lines
    measured = _measured(report)
    pairs: list[Pair] = []
    intervals: list[list[tuple[float, float] | None]] = []
    for line in lines:
        of_row = [measured.get(metric, {}).get(line.row.key) for metric in SIGNS]
        pairs.append([getattr(sign, "mean", None) for sign in of_row])
        intervals.append([_interval(sign) for sign in of_row])

    def paint(axes: Any, number: int, height: float) -> None:
        _paint_pair(axes, height, pairs[number], look)
        for place, interval in zip(_places(height), intervals[number], strict=True):
            if interval is not None:
                axes.plot(interval, [place] * 2, color=look.theme.ink, linewidth=1, gid="interval")

    ends = [end for of_row in intervals for interval in of_row for end in interval or ()]
    notes = [
        facts.words_of(_words(pair) or "no cosines", state_words(line))
        for pair, line in zip(pairs, lines, strict=True)
    ]
    return _panel(facts.ours_name(report), paint, notes, [*_numbers(pairs), *ends], look)


def _interval(sign: Any) -> tuple[float, float] | None:
    if sign is None or facts.optional(sign.ci95_low) is None:
        return None
    return sign.ci95_low, sign.ci95_high


def _published(report: Report, look: Look) -> RowPanel:
    lines = report.table.lines
    pairs: list[Pair] = [_printed(line.row.published) for line in lines]

    def paint(axes: Any, number: int, height: float) -> None:
        _paint_pair(axes, height, pairs[number], look)

    notes: list[str] = []
    for line, pair in zip(lines, pairs, strict=True):
        words = _words(pair)
        if words and not line.row.published.cosines_printed:
            words = f"≈{words}"
        notes.append(words)
    return _panel(facts.published_name(report), paint, notes, _numbers(pairs), look)


def _panel(
    title: str, paint: Any, notes: Sequence[str], values: Sequence[float], look: Look
) -> RowPanel:
    def zero(axes: Any) -> None:
        axes.axvline(0, color=look.theme.muted, linewidth=0.8)

    low, _ = limits_of(values)
    return RowPanel(title, "cosine", paint, notes, (max(low, -1.05), 1.05), zero)


def _paint_pair(axes: Any, height: float, pair: Pair, look: Look) -> None:
    """Draw two bars; one is hatched, so that they differ without colours too."""
    for number, (place, value) in enumerate(zip(_places(height), pair, strict=True)):
        if value is not None:
            axes.barh([place], [value], height=_BAR, gid="bar", **_bar(number, look))


def _bar(number: int, look: Look) -> dict[str, Any]:
    """Return how the bar of a sign looks: filled, or hatched."""
    colour = look.series(number).colour
    bar = {"facecolor": colour, "edgecolor": colour, "hatch": "", "linewidth": 0.9}
    if number > 0:
        bar |= {"facecolor": look.theme.background, "hatch": "//////"}
    return bar


def _places(height: float) -> tuple[float, float]:
    return height - _BAR / 2, height + _BAR / 2


def _numbers(pairs: Sequence[Pair]) -> list[float]:
    return [value for pair in pairs for value in pair if value is not None]


def _words(pair: Pair) -> str:
    if all(value is None for value in pair):
        return ""
    return " / ".join(map(_two_digits, pair))


def _two_digits(value: float | None) -> str:
    """Return two digits; what is almost 0 is not written as if it were."""
    if value is None:
        return "–"
    text = f"{value:.2f}"
    if value and not float(text):
        text = f"{value:.1g}"
    return text.replace("-", facts.MINUS)


def _legend(look: Look) -> list[Any]:
    from matplotlib.patches import Patch

    return [
        Patch(label=f"cosine of {words}", **_bar(number, look))
        for number, words in enumerate(SIGNS.values())
    ]
