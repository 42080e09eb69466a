"""The cells of a line as people read them: percent, a dash for nothing. Text, Markdown and figures
share them.
"""

from analysis.papers.rows import Published
from analysis.tables.build import Line, Table
from analysis.tables.stats import Difference, Summary

NOTHING = "–"


def header(table: Table) -> list[str]:
    """Return the column headings."""
    headings = [
        "row",
        "published",
        "ours",
        "vs baseline",
        "p",
        "n",
        "collapsed",
        "std·√d",
        "cos + / −",
    ]
    return [*headings, *(["published"] if _has_cosines(table) else []), "state"]


def cells(line: Line, table: Table) -> list[str]:
    """Return a line's cells, one per heading."""
    found = [
        line.row.label,
        published(line.row.published),
        mean(line.summary),
        _delta(line, table),
        _p(line.p_holm),
        str(line.summary.n) if line.summary.n else NOTHING,
        f"{line.collapsed[0]}/{line.collapsed[1]}" if line.collapsed else NOTHING,
        _number(line.final.get("std_sqrt_d"), 2),
        _pair(line.final.get("positive_cosine"), line.final.get("negative_cosine")),
    ]
    cosines = [_published_pair(line.row.published)] if _has_cosines(table) else []
    return [*found, *cosines, "; ".join([line.state, *line.marks])]


def published(printed: Published) -> str:
    """Return the published value with its spread."""
    spread = f" ±{100 * printed.pm:.1f}" if printed.pm is not None else ""
    return percent(printed.value) + spread


def mean(summary: Summary) -> str:
    """Return the mean with half the width of its interval."""
    if summary.mean is None or summary.ci95 is None:
        return percent(summary.mean)
    return f"{100 * summary.mean:.1f} ±{100 * (summary.ci95[1] - summary.mean):4.1f}"


def _has_cosines(table: Table) -> bool:
    return any(row.published.positive_cosine is not None for row in table.rows.rows.values())


def _delta(line: Line, table: Table) -> str:
    if line.row.key in table.rows.baselines:
        return "baseline"
    return _difference(line.difference) if line.difference else NOTHING


def _difference(difference: Difference) -> str:
    low_high = (
        f" [{100 * difference.ci95[0]:+.1f}, {100 * difference.ci95[1]:+.1f}]"
        if difference.ci95
        else ""
    )
    return f"{100 * difference.delta:+.1f}{low_high}"


def percent(fraction: float | None) -> str:
    """Return a fraction in percent with one digit."""
    return NOTHING if fraction is None else f"{100 * fraction:.1f}"


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _pair(one: float | None, other: float | None) -> str:
    return NOTHING if one is None or other is None else f"{one:.2f} / {other:.2f}"


def _published_pair(printed: Published) -> str:
    pair = _pair(printed.positive_cosine, printed.negative_cosine)
    return pair if printed.cosines_printed or pair == NOTHING else f"≈{pair}"


def _p(p: float | None) -> str:
    return NOTHING if p is None else "<.001" if p < 0.001 else f"{p:.3f}".lstrip("0")
